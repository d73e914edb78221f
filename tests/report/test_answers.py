"""Single answers by the kind of output: which are the worst, and what is said of them."""

import numpy as np
import pytest

from thuja.metrics import Outputs
from thuja.report.answers import kind_of
from thuja.report.material import worst


def objects(*texts: str) -> np.ndarray:
    out = np.empty(len(texts), object)
    out[:] = texts
    return out


TEXTS = Outputs(objects("a house", "a mouse", "the cat"), {"text": objects("a house", "a moose", "xyz")})
RANKS = Outputs(objects("x", "y", "z"), {"rank": np.array([1, 50, 3])})
STEPS = Outputs(np.array([[1.0, 2], [1, 2], [0, 0]]), {"value": np.array([[1.0, 2], [1, 3], [9, 9]])})
SURPRISE = Outputs(np.zeros(2), {"nll": np.array([10.0, 30]), "tokens": np.array([10, 10])})


@pytest.mark.parametrize(("outputs", "order", "words"), [
    (TEXTS, [2, 1], ("the cat", "xyz")), (RANKS, [1, 2], ("y", "at place 50")), (STEPS, [2, 1], ("0 on average over 2 steps", "9")),
    (SURPRISE, [1, 0], ("10 tokens", "3.00 nats a token")),
])
def test_the_worst_come_first_and_right_ones_not_at_all(outputs: Outputs, order: list[int], words: tuple[str, str]) -> None:
    assert worst(outputs).tolist() == order
    assert kind_of(outputs).words(outputs, order[0]) == words


def test_only_so_many_texts_are_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("thuja.report.answers.COMPARED", 2)
    assert worst(TEXTS).tolist() == [1]


def test_missing_and_surplus_labels_are_counted() -> None:
    target = np.array([[1, 0, 1], [0, 0, 0], [1, 1, 0]], np.float32)
    score = np.array([[0.9, 0.1, 0.8], [0.1, 0.6, 0.2], [0.2, 0.3, 0.7]], np.float32)
    outputs = Outputs(target, {"label_probability": score, "decided": (score >= 0.5).astype(np.uint8)}, names=("cat", "dog", "owl"))
    kind = kind_of(outputs)
    wrong = kind.wrong(outputs)
    assert wrong[0] == 0 and wrong.argsort().tolist() == [0, 1, 2]
    assert kind.words(outputs, 2) == ("cat, dog", "owl") and kind.words(outputs, 1) == ("none", "dog")
