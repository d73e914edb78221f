"""Metrics of several labels agree with scikit-learn, and their weighted values with repeated rows."""

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, average_precision_score, f1_score, precision_score, recall_score

from thuja.metrics import METRICS, Outputs, Sampling, interval
from thuja.metrics.multilabel import METRICS as OURS
from thuja.metrics.multilabel import per_label


def made(rows: int = 200, labels: int = 5, seed: int = 0) -> Outputs:
    rng = np.random.default_rng(seed)
    target = (rng.random((rows, labels)) < [0.5, 0.2, 0.1, 0.4, 0.05]).astype(np.float32)
    score = np.round(np.clip(0.45 * target + rng.random((rows, labels)) * 0.6, 0, 1), 2).astype(np.float32)  # rounded: with ties
    return Outputs(target, {"label_probability": score, "decided": (score >= 0.5).astype(np.uint8)}, names=("a", "b", "c", "d", "e"))


REFERENCE = {
    "mean_average_precision": lambda t, s, d: average_precision_score(t, s, average="macro"),
    "label_f1_micro": lambda t, s, d: f1_score(t, d, average="micro", zero_division=0),
    "label_f1_macro": lambda t, s, d: f1_score(t, d, average="macro", zero_division=0),
    "label_precision": lambda t, s, d: precision_score(t, d, average="micro", zero_division=0),
    "label_recall": lambda t, s, d: recall_score(t, d, average="micro", zero_division=0),
    "exact_labels": lambda t, s, d: accuracy_score(t, d),
}


@pytest.mark.parametrize("name", REFERENCE)
def test_values_are_scikit_learns(name: str) -> None:
    outputs = made()
    expected = REFERENCE[name](outputs.target, outputs.arrays["label_probability"], outputs.arrays["decided"])
    assert METRICS[name].value(outputs) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("metric", OURS, ids=lambda m: m.name)
def test_a_weight_counts_a_row_so_many_times(metric) -> None:
    outputs = made(60)
    weight = np.random.default_rng(1).integers(0, 4, 60).astype(float)
    repeated = outputs.take(np.repeat(np.arange(60), weight.astype(int)))
    assert metric.value(outputs, weight) == pytest.approx(metric.value(repeated), abs=1e-9)


def test_labels_that_no_row_has_do_not_count() -> None:
    outputs = made()
    outputs.target[:, 2] = 0
    kept = [0, 1, 3, 4]
    expected = average_precision_score(outputs.target[:, kept], outputs.arrays["label_probability"][:, kept], average="macro")
    assert METRICS["mean_average_precision"].value(outputs) == pytest.approx(expected)


def test_no_labels_and_no_rows_are_unknown_not_errors() -> None:
    outputs = made(20)
    outputs.target[:] = 0
    assert np.isnan(METRICS["mean_average_precision"].value(outputs)) and np.isnan(METRICS["label_recall"].value(outputs))
    assert METRICS["exact_labels"].value(outputs) < 1
    assert all(np.isnan(metric.value(outputs.take(np.zeros(0, int)))) for metric in OURS if metric.name != "label_precision")


def test_each_label_has_its_line() -> None:
    outputs = made()
    lines = per_label(outputs)
    assert [line.name for line in lines] == list("abcde")
    decided = outputs.arrays["decided"]
    assert [line.f1 for line in lines] == pytest.approx(list(f1_score(outputs.target, decided, average=None)))
    assert [line.average_precision for line in lines] == pytest.approx(list(average_precision_score(outputs.target, outputs.arrays["label_probability"],
                                                                                                   average=None)))
    assert [line.support for line in lines] == outputs.target.sum(0).astype(int).tolist()


def test_intervals() -> None:
    found = interval(METRICS["mean_average_precision"], made(), Sampling(0.95, 200, 0))
    assert found.low < found.value < found.high
    closed = interval(METRICS["exact_labels"], made(), Sampling(0.95, 200, 0))
    assert closed.low < closed.value < closed.high
