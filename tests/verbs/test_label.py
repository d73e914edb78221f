"""Labels from files: what is right is kept, what is wrong is named by its line, and answers are found by name or by an input."""

import json

import lives
import pytest

from thuja.core.errors import DataError, DeploymentError
from thuja.life.calls import Call
from thuja.life.plan import Audit, Plan, Record
from thuja.verbs.deploy import deploy
from thuja.verbs.label import label

HOUR = 3600.0


@pytest.fixture
def shop(tmp_path):
    return served(tmp_path, Plan(record=Record(inputs="full")))


def served(tmp_path, plan):
    """Ten answers, one an hour, each of another size."""
    deployment = deploy(lives.artifact(tmp_path / "a"), lives.empty(tmp_path / "shop"), plan=plan)
    deployment.ids = []
    for hour in range(10):
        deployment.clock.now += HOUR
        at, size = deployment.clock.now, 100.0 + hour
        deployment.ids.append(deployment.calls.new_id(at))
        deployment.calls.add([Call(deployment.ids[-1], at, "1", {"size": size, "shop": "north"}, {"value": 2 * size}, 1.0, 1.0)])
    return deployment


def kept(deployment):
    return deployment.labels.between(0, deployment.clock.now + 1)


def test_right_lines_are_kept_and_wrong_ones_named(shop, tmp_path):
    good, late = shop.ids[0], lives.BEGIN + 5 * HOUR
    (tmp_path / "truth.csv").write_text(f"call,price,at,note\n{good},201.5,,x\n{shop.ids[1]},dear,,\n,5,,\n{shop.ids[2]},,,\nmade-up,5,,\n"
                                        f"{shop.ids[3]},300,2023-11-15T03:00:00,\n{shop.ids[4]},3,soon,\n")
    found = label(shop, tmp_path / "truth.csv", by="ada")
    assert (found.kept, found.unknown) == (2, 1)
    assert [(wrong.line, wrong.reason) for wrong in found.wrong] == [
        (3, "value: expected a number, found 'dear'"), (4, "call: expected which answer it is about, found nothing"),
        (5, "label.value: expected the true value, found nothing"),
        (8, "at: expected a time such as 2026-01-31T12:00:00, or seconds since 1970, found 'soon'")]
    first, second = kept(shop)
    assert (first.call, first.truth, first.by, first.at, first.evenly) == (good, {"value": 201.5}, "ada", shop.clock.now, True)
    assert second.truth == {"value": 300.0} and second.at != late
    assert shop.ledger.events()[-1].body == {"file": "truth.csv", "kept": 2, "unknown": 1, "wrong": 4}
    assert found.delay is not None and found.delay.beyond(0) > 0.5


def test_json_lines_say_the_truth_by_output_or_under_truth(shop, tmp_path):
    lines = [{"call": shop.ids[0], "truth": {"value": 3}}, {"call": shop.ids[1], "value": 4.5, "at": lives.BEGIN + 7}, {"call": shop.ids[2], "truth": 5},
             {"call": shop.ids[3], "truth": {"price": 5}}, [1], "no"]
    (tmp_path / "truth.jsonl").write_text("\n".join([*map(json.dumps, lines), "{broken", ""]))
    found = label(shop, tmp_path / "truth.jsonl")
    assert [one.truth["value"] for one in kept(shop)] == [3, 4.5, 5] and kept(shop)[1].at == lives.BEGIN + 7
    assert [wrong.line for wrong in found.wrong] == [4, 5, 6, 7] and found.wrong[-1].reason == "line: expected a JSON object, found '{broken'"


def test_answers_are_found_by_an_input(shop, tmp_path):
    (tmp_path / "truth.csv").write_text("size,value\n100,1\n103.0,2\n999,3\n")
    found = label(shop, tmp_path / "truth.csv", by_input="size")
    assert (found.kept, found.unknown, found.wrong) == (2, 1, []) and {one.call for one in kept(shop)} == {shop.ids[0], shop.ids[3]}
    with pytest.raises(DeploymentError, match=r"--by-input: expected an input of the model, found 'siez'. Did you mean 'size'"):
        label(shop, tmp_path / "truth.csv", by_input="siez")


def test_answers_are_not_found_by_an_input_that_is_not_kept(tmp_path):
    deployment = served(tmp_path, Plan())
    (tmp_path / "truth.csv").write_text("size,value\n100,1\n")
    with pytest.raises(DeploymentError, match=r"kept whole \(record.inputs: full\), found summary"):
        label(deployment, tmp_path / "truth.csv", by_input="size")


def test_labels_of_a_choice_never_raise_alarms(tmp_path):
    deployment = served(tmp_path, Plan(audit=Audit(feedback="some")))
    (tmp_path / "truth.csv").write_text(f"call,value\n{deployment.ids[0]},1\n")
    label(deployment, tmp_path / "truth.csv")
    assert [one.evenly for one in kept(deployment)] == [False]


@pytest.mark.parametrize(("name", "content", "message"), [
    ("truth.csv", b"calls,value\nx,1\n", r"expected lines with call and value, found line 2: call: expected which answer"),
    ("truth.csv", b"", "found no line"), ("truth.csv", b"call,value\n\xff\xff,1\n", "expected UTF-8 text"),
    ("truth.xlsx", b"", r"expected a .csv or .jsonl file, found .xlsx"), ("gone.csv", None, "expected a file with labels, found nothing there")])
def test_files_that_hold_nothing_are_refused(shop, tmp_path, name, content, message):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=message):
        label(shop, tmp_path / name)
    assert not kept(shop)
