"""Word and character error rate against jiwer, and their weights."""

import numpy as np
import pytest

from thuja.metrics import METRICS, Outputs, Sampling, intervals
from thuja.metrics.speech import edits

SAID = ["the cat sat", "a", "one two three four", "same words", "x y z"]
WRITTEN = ["the cat sat down", "", "two three for", "same words", "z y x"]


def outputs(said: list[str], written: list[str]) -> Outputs:
    return Outputs(np.array(said, object), {"text": np.array(written, object)})


def made_up(rows: int, seed: int) -> tuple[list[str], list[str]]:
    rng = np.random.default_rng(seed)
    said = [" ".join(rng.choice(["ab", "cd", "e", "fgh"], size=int(rng.integers(1, 9)))) for _ in range(rows)]
    return said, [" ".join(rng.choice(["ab", "cd", "e", "xy"], size=int(rng.integers(0, 9)))) for _ in range(rows)]


@pytest.mark.parametrize("texts", [(SAID, WRITTEN), made_up(600, 0)])
def test_rates_are_jiwers(texts: tuple[list[str], list[str]]) -> None:
    import jiwer

    found = outputs(*texts)
    assert METRICS["word_error_rate"].value(found) == pytest.approx(jiwer.wer(*texts), abs=1e-12)
    assert METRICS["character_error_rate"].value(found) == pytest.approx(jiwer.cer(*texts), abs=1e-12)


def test_edits_of_every_row_are_rapidfuzzs() -> None:
    from rapidfuzz.distance import Levenshtein

    said, written = made_up(300, 1)
    assert edits(said, written).tolist() == [Levenshtein.distance(a, b) for a, b in zip(said, written, strict=True)]
    assert edits([], []).tolist() == []
    assert edits([""], [""]).tolist() == [0]


def test_weights_count_rows_and_rates_may_exceed_one() -> None:
    found = outputs(["a", "b c d"], ["x y z", "b c d"])
    rate = METRICS["word_error_rate"]
    assert rate.value(found) == 0.75
    assert rate.value(found, np.array([1.0, 0])) == 3.0
    assert rate.value(found, np.array([2.0, 1])) == pytest.approx(6 / 5)
    assert np.isnan(rate.value(found, np.zeros(2)))
    assert METRICS["exact_match"].value(found) == 0.5


def test_intervals_hold_the_value() -> None:
    estimate = intervals([METRICS["word_error_rate"]], outputs(*made_up(200, 2)), Sampling(0.95, 200, 0))["word_error_rate"]
    assert estimate.low < estimate.value < estimate.high
