"""The judge, the company probes are asked in, and what is kept of them."""

import math

import numpy as np
import pytest
import toys
from toys import KINDS

from thuja.artifact import folder
from thuja.artifact.folder import Artifact
from thuja.core.digest import canonical
from thuja.core.errors import ArtifactError, ParityError
from thuja.fields import Boxes, Image, Number, Ranking, Schema, Text
from thuja.proof import certificate as proof

CLASSES = toys.PictureCodec().schema()


def answer(label: str, *scores: float) -> dict[str, object]:
    return {"label": label, "probability": max(scores), "probabilities": dict(zip(("cat", "dog", "owl"), scores, strict=True))}


def columns(*rows: dict[str, object]) -> dict[str, list[object]]:
    return {name: [row[name] for row in rows] for name in rows[0]}


def judge(tolerance: float = 1e-4) -> proof.Judge:
    return proof.Judge(CLASSES.outputs, {"probability": 1.0}, tolerance)


def test_every_probe_is_asked_alone_in_threes_in_seventeens_and_among_strangers() -> None:
    asked = list(proof.company(40))
    assert sorted({len(index) for index in asked}) == [1, 3, 6, 17]
    assert np.bincount(np.concatenate(asked)).tolist() == [4] * 40
    neighbours = [tuple(index) for index in asked if len(index) == 17]
    assert len(neighbours) == 4 and sorted(neighbours[2]) != sorted(neighbours[0])


def test_the_short_round_asks_each_once_in_mixed_company() -> None:
    asked = list(proof.company(40, short=True))
    assert [len(index) for index in asked] == [1, 3, 17, 1, 3, 15]
    assert sorted(np.concatenate(asked)) == list(range(40))


def test_scores_within_the_tolerance_agree_and_beyond_it_do_not() -> None:
    right = answer("cat", 0.7, 0.2, 0.1)
    probes = proof.Probes(["a.jpg"], {"photo": [b""]})
    near, far = columns(answer("cat", 0.70009, 0.2, 0.1)), columns(answer("cat", 0.7002, 0.2, 0.1))
    assert proof.replay("server", lambda rows: near, probes, columns(right), judge()).largest == pytest.approx(9e-5)
    with pytest.raises(ParityError) as caught:
        proof.replay("server", lambda rows: far, probes, columns(right), judge())
    assert str(caught.value) == ("server: a.jpg, probability (asked with 0 others): expected 0.7 within 0.0001, as training answered, found 0.7002. "
                                 "Do not serve this artefact: it decides otherwise than what was trained and evaluated. Export it again.")


def test_another_decision_is_excused_only_where_the_two_best_are_nearly_equal() -> None:
    probes = proof.Probes(["a.jpg"], {"photo": [b""]})
    close, clear = answer("cat", 0.45, 0.44995, 0.10005), answer("cat", 0.5, 0.4, 0.1)
    flipped = columns(answer("dog", 0.44998, 0.44999, 0.10003))
    agreement = proof.replay("artifact", lambda rows: flipped, probes, columns(close), judge())
    assert agreement.near_ties == 4 and agreement.largest < 1e-4
    with pytest.raises(ParityError) as caught:
        proof.replay("artifact", lambda rows: columns({**clear, "label": "dog"}), probes, columns(clear), judge())
    assert caught.value.where == "artifact: a.jpg, label (asked with 0 others)" and caught.value.found == "'dog'"
    with pytest.raises(ParityError):
        proof.replay("artifact", lambda rows: columns({**close, "label": "owl"}), probes, columns(close), judge())


@pytest.mark.parametrize("wrong", [{}, {"label": ["cat"]}, {"label": [None], "probability": [None], "probabilities": [None]},
                                   {"label": ["cat"], "probability": [0.7], "probabilities": [{"cat": 0.7, "dog": 0.3}]},
                                   {"label": ["cat"], "probability": [float("nan")], "probabilities": [{"cat": 0.7, "dog": 0.2, "owl": 0.1}]},
                                   {"label": ["cat"], "probability": [0.7], "probabilities": [{"cat": 0.7, "dog": float("nan"), "owl": 0.1}]}])
def test_answers_that_are_missing_or_no_numbers_never_pass(wrong: dict[str, list[object]]) -> None:
    probes = proof.Probes(["a.jpg"], {"photo": [b""]})
    with pytest.raises(ParityError):
        proof.replay("server", lambda rows: wrong, probes, columns(answer("cat", 0.7, 0.2, 0.1)), judge())


def test_text_answers_are_equal_or_wrong() -> None:
    schema = Schema(inputs={"question": Text()}, outputs={"reply": Text()})
    strict = proof.Judge(schema.outputs, {}, 1e-4)
    assert strict.differences({"reply": "yes"}, {"reply": "yes"}) == {"reply": 0.0}
    assert strict.differences({"reply": "yes"}, {"reply": "Yes"}) == {"reply": np.inf}


def test_the_unit_of_a_number_is_its_spread_unless_it_is_a_share() -> None:
    schema = Schema(inputs={}, outputs={"share": Number(lower=0, upper=1), "price": Number(), "same": Number()})
    assert proof.units(schema, {"share": [0.1, 0.9], "price": [1e5, 3e5], "same": [2.0, 2.0]}) == {"share": 1.0, "price": 1e5, "same": 1.0}


def test_what_is_kept_is_bounded_but_never_nothing() -> None:
    schema = Schema(inputs={"text": Text()}, outputs={"reply": Text()})
    long = ["x" * 40_000] * 100
    rows, count = proof.stored(schema, proof.Probes([str(i) for i in range(100)], {"text": long}), {"reply": long})
    assert count == proof.STORED_LEAST == len(rows["text"])
    rows, count = proof.stored(schema, proof.Probes([str(i) for i in range(100)], {"text": ["x" * 4000] * 100}), {"reply": [""] * 100})
    assert 60 < count < 70 == len(rows["text"]) + 70 - count


def test_a_certificate_that_is_none_is_refused(tmp_path) -> None:
    good = toys.plain_files()
    for certificate, expected, found in [
        (b"{}", "a certificate", "tolerance: Field required"),
        (good["certificate.json"].replace(b'["made-up 0","made-up 1"]', b'["made-up 0"]'), "a row and an answer for every probe", "some without"),
        (canonical({"tolerance": 1e-4, "units": {}, "ids": [], "rows": {"size": [], "shop": []}, "answers": {"value": []}, "measured": [], "real_rows": 0,
                    "versions": {}}), "a row and an answer for every probe", "some without"),
    ]:
        folder.write(tmp_path / "a", good | {"certificate.json": certificate}, kind="toy-table")
        with pytest.raises(ArtifactError) as caught:
            proof.read(Artifact.open(tmp_path / "a", KINDS))
        assert str(caught.value) == f"{tmp_path}/a/certificate.json: expected {expected}, found {found}. Export the artefact again."


def test_a_ranking_may_differ_where_scores_tie() -> None:
    judge = proof.Judge({"best": Ranking(most=3)}, {"best": 1.0}, 1e-4)

    def told(first: str, second: str, scores: tuple[float, ...] = (0.5, 0.3, 0.2), others: tuple[float, ...] = (0.5, 0.3, 0.2)) -> float:
        made = [[{"item": item, "score": score} for item, score in zip(items, values, strict=True)] for items, values in ((first, scores), (second, others))]
        return judge.differences({"best": made[0]}, {"best": made[1]})["best"]

    assert told("abc", "abc") == 0.0
    assert told("abc", "bac") == math.inf
    assert told("abc", "bac", (0.5, 0.49999, 0.2), (0.5, 0.49999, 0.2)) == -1.0
    assert told("abc", "abd") == -1.0, "one just beyond the end may have the last score"
    assert told("abc", "abd", others=(0.5, 0.3, 0.21)) == math.inf
    assert told("abc", "adc", others=(0.5, 0.3, 0.2)) == math.inf, "an item in the middle cannot have come from beyond the end"
    assert told("abc", "abc", others=(0.5, 0.31, 0.2)) == pytest.approx(0.01)
    assert told("abc", "ab", others=(0.5, 0.3)) == math.inf


def test_boxes_may_differ_at_the_threshold_and_in_their_order_only() -> None:
    judge = proof.Judge({"boxes": Boxes(threshold=0.3)}, {"boxes": 1.0}, 1e-4)
    sure, faint = {"label": "a", "box": [0.0, 0.0, 50.0, 50.0], "score": 0.9}, {"label": "a", "box": [70.0, 0.0, 90.0, 9.0], "score": 0.30005}
    assert judge.differences({"boxes": [sure, faint]}, {"boxes": [faint, sure]}) == {"boxes": 0.0}
    assert judge.differences({"boxes": [sure, faint]}, {"boxes": [sure]}) == {"boxes": -1.0}
    assert judge.differences({"boxes": [sure, faint]}, {"boxes": [faint]}) == {"boxes": math.inf}
    assert judge.differences({"boxes": [sure]}, {"boxes": [sure | {"score": 0.9002}]})["boxes"] > 1e-4
    assert judge.differences({"boxes": [sure]}, {}) == {"boxes": math.inf}


def test_a_picture_may_differ_by_a_rounding_and_no_more() -> None:
    field = Image(channels=1)
    schema = Schema(inputs={"seed": Number()}, outputs={"image": field})
    picture = np.random.default_rng(0).integers(1, 255, (5, 4, 1), dtype=np.uint8)
    rounded, wrong = picture.copy(), picture.copy()
    rounded[2, 1] += 1
    wrong[2, 1] += 2
    probes, right = proof.Probes(["a"], {"seed": [1]}), {"image": [field.to_json(picture)]}
    strict = proof.Judge(schema.outputs, {}, 1e-4)
    assert proof.replay("artifact", lambda rows: right, probes, right, strict).near_ties == 0
    found = proof.replay("artifact", lambda rows: {"image": [field.to_json(rounded)]}, probes, right, strict)
    assert (found.near_ties, found.largest) == (4, 0.0)
    for other in (wrong, picture[:4], np.repeat(picture, 3, axis=2)[:, :2]):
        with pytest.raises(ParityError):
            proof.replay("artifact", lambda rows, other=other: {"image": [field.to_json(other)]}, probes, right, strict)
    with pytest.raises(ParityError):
        proof.replay("artifact", lambda rows: {"image": ["no picture"]}, probes, right, strict)
