"""What is known of a model before it answers: its losses on rows with a truth, by group, and the lives of its like in the plan's windows."""

import dataclasses

import lives
import numpy as np
import pytest
import toys

from thuja.artifact.folder import Artifact
from thuja.artifact.runtime import Predictor
from thuja.core.errors import SpecError
from thuja.fields import Category, Number, Text
from thuja.life.plan import Harm, Plan
from thuja.life.watch import Reference
from thuja.verbs import export
from thuja.verbs.reference import BATCH, Origin, aged, plain_truth, reference, usual_gap

AGEING = {"window": 10 * lives.DAY, "dated": True, "lives": [[8.0, True], [12.0, False]], "calendar": {"every": 6.0}}


def predictor(place, **how):
    return Predictor(Artifact.open(lives.artifact(place, **how), toys.KINDS))


def test_losses_are_those_of_the_answers_that_a_server_gives(tmp_path):
    rows = lives.priced(2 * BATCH + 10)
    known, why = reference(predictor(tmp_path / "a"), toys.Made(rows), ("price",), ("shop",))
    errors = np.abs(np.array(rows["price"]) - np.float32(2) * np.array(rows["size"], np.float32))
    scale = np.quantile(errors, 0.99)
    assert why == "" and known.rows == 2 * BATCH + 10 and not known.share
    assert known.judged == ("value", pytest.approx(scale, rel=1e-4)) and known.loss == pytest.approx(np.minimum(errors / scale, 1).mean(), rel=1e-4)
    assert set(known.groups) == {"shop=north", "shop=south"} and sum(rows for _, rows in known.groups.values()) == known.rows
    assert known.expected is not None and known.expected.rows == known.rows


def test_rows_that_are_refused_or_have_no_truth_are_left_out(tmp_path):
    rows = lives.priced(40)
    rows["size"][3], rows["price"][5], rows["price"][7] = "large", None, "dear"
    known, why = reference(predictor(tmp_path / "a"), toys.Made(rows), ("price",))
    assert why == "" and known.rows == 37


@pytest.mark.parametrize(("targets", "rows", "reason"), [
    ((), lives.priced(40), "not what should have been answered"), (("cost",), lives.priced(40), "not in the data (cost)"),
    (("price",), lives.priced(40) | {"price": [None] * 40}, "no test row has a truth"),
    (("price",), {name: values for name, values in lives.priced(40).items() if name != "shop"}, "not in the data (shop)"),
])
def test_without_a_truth_it_can_be_watched_for_faults_alone(tmp_path, targets, rows, reason):
    known, why = reference(predictor(tmp_path / "a"), toys.Made(rows), targets)
    assert reason in why and known.rows == 0 and known.claim() == 1.0
    assert Reference.parse(known.plain()) == known


def test_a_group_that_is_no_input_is_named(tmp_path):
    with pytest.raises(SpecError, match=r"life.harm.groups: expected inputs of the model, found 'shops'. Did you mean 'shop'"):
        reference(predictor(tmp_path / "a"), toys.Made(lives.priced(10)), ("price",), ("shops",))


def test_lives_and_calendar_are_counted_in_the_windows_of_the_plan():
    bare = Reference({}, 0.1, 10, True, None)
    known = aged(bare, AGEING, Plan(harm=Harm(window=5 * lives.DAY)))
    assert known.lives == ((16.0, True), (24.0, False)) and known.calendar == 12.0
    assert aged(bare, AGEING | {"calendar": {"every": None}}, Plan()).calendar is None
    assert aged(bare, AGEING | {"dated": False}, Plan()) == bare == aged(bare, None, Plan())


def test_the_usual_gap_is_longer_than_most():
    days = np.arange(100) * lives.DAY * 1e6
    assert usual_gap(np.repeat(days, 50)) == lives.DAY and usual_gap(np.array([1.0])) == 0.0 == usual_gap(np.array([np.nan, 5.0, 5.0]))


@pytest.mark.parametrize(("field", "value", "truth"), [
    (Category(names=("1", "2")), 1.0, "1"), (Category(names=("v1.0",)), "v1.0", "v1.0"), (Category(names=("a",)), None, None), (Number(), 3, 3.0),
    (Number(), "3", None), (Text(), "yes", "yes")])
def test_cells_are_said_as_labels_say_them(field, value, truth):
    assert plain_truth(field, value) == truth


def test_an_artefact_carries_what_is_known_of_it_and_its_programs_answer_as_before(tmp_path):
    made = toys.cells()._replace(origin=lives.origin())
    artifact = export.package(made, tmp_path / "a", toys.OPTIONS)
    known = Reference.parse(artifact.life["reference"])
    assert known.rows == 40 and known.inputs == artifact.reference["inputs"] and artifact.life["faults_only"] == ""
    assert set(artifact.life) == {*Origin._fields, "reference", "aged", "faults_only"} - {"targets", "answers", "gap", "ageing"}
    assert export.package(made, tmp_path / "b", toys.OPTIONS).digest == artifact.digest
    assert export.package(toys.cells(), tmp_path / "c", toys.OPTIONS).life == {}


def test_what_is_judged_is_the_first_output_by_the_order_of_the_codec(tmp_path):
    """schema.json is written with sorted keys, and would put another output first."""
    class Both(toys.CellCodec):
        def schema(self):
            return super().schema().model_copy(update={"outputs": {"value": Number(), "basis": Category(names=("a",))}})

        def decode(self, outputs):
            return super().decode(outputs) | {"basis": ["a"] * len(outputs["value"])}

    made = predictor(tmp_path / "a")
    codec = Both()
    made.artifact = dataclasses.replace(made.artifact, codec=codec)
    known, why = reference(made, toys.Made(lives.priced(40) | {"value": [1.0] * 40, "basis": ["a"] * 40}), ("value", "basis"))
    assert why == "" and known.judged.field == "value"
