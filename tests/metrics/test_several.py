"""Metrics of several targets: each as scikit-learn has it on the rows that are there, then the mean; weights as repeated rows."""

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, balanced_accuracy_score, mean_absolute_error, r2_score, roc_auc_score, root_mean_squared_error

from thuja.metrics import METRICS, Outputs, Sampling, interval
from thuja.metrics.several import METRICS as OURS


def made(rows: int = 150) -> Outputs:
    """Three targets, a third of them missing; the arrays of both kinds."""
    rng = np.random.default_rng(0)
    score = rng.random((rows, 3))
    target = (score + rng.normal(size=(rows, 3)) * 0.5 > [0.5, 0.7, 0.3]).astype(float)
    target[rng.random((rows, 3)) < 0.33] = np.nan
    return Outputs(target, {"values": np.round(score, 2), "chances": np.round(score, 2)})


REFERENCE = {
    "rmse_mean": root_mean_squared_error, "mae_mean": mean_absolute_error, "r2_mean": r2_score, "roc_auc_mean": roc_auc_score,
    "average_precision_mean": average_precision_score, "balanced_accuracy_mean": lambda t, s: balanced_accuracy_score(t, s > 0.5),
}


@pytest.mark.parametrize("name", REFERENCE)
def test_the_mean_over_targets_is_that_of_scikit_learn_on_the_rows_that_are_there(name: str) -> None:
    outputs = made()
    there = ~np.isnan(outputs.target)
    each = [REFERENCE[name](outputs.target[there[:, i], i], outputs.arrays["values"][there[:, i], i]) for i in range(3)]
    assert METRICS[name].value(outputs) == pytest.approx(np.mean(each), abs=1e-9)


@pytest.mark.parametrize("metric", OURS, ids=lambda metric: metric.name)
def test_a_weight_counts_a_row_so_many_times(metric) -> None:
    outputs = made(60)
    weight = np.random.default_rng(1).integers(0, 4, 60).astype(float)
    assert metric.value(outputs, weight) == pytest.approx(metric.value(outputs.take(np.repeat(np.arange(60), weight.astype(int)))), abs=1e-9)


def test_a_target_that_is_not_defined_is_left_out() -> None:
    target = np.array([[0.0, 1.0, np.nan], [1.0, 1.0, np.nan], [1.0, np.nan, np.nan]])
    outputs = Outputs(target, {"chances": np.array([[0.2, 0.9, 0.1], [0.8, 0.9, 0.1], [0.7, 0.9, 0.1]])})
    assert METRICS["roc_auc_mean"].value(outputs) == 1.0
    nothing = Outputs(np.full((3, 3), np.nan), outputs.arrays)
    assert np.isnan(METRICS["roc_auc_mean"].value(nothing))


def test_intervals_hold_the_value() -> None:
    found = interval(METRICS["roc_auc_mean"], made(), Sampling())
    assert found.low < found.value < found.high
