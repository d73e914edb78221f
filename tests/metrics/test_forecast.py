"""Metrics of forecasts, against sums by hand."""

import numpy as np
import pytest

from thuja.metrics import METRICS, Outputs, intervals
from thuja.metrics.forecast import METRICS as OURS

TARGET = np.array([[1.0, 2.0], [3.0, np.nan], [10.0, 10.0]])
ARRAYS = {"value": np.array([[1.0, 4.0], [2.0, 9.0], [10.0, 10.0]]), "low": np.array([[0.0, 3.0], [1.0, 0.0], [10.0, 9.0]]),
          "high": np.array([[2.0, 5.0], [2.5, 9.9], [10.0, 11.0]]), "unit": np.array([2.0, 1.0, 0.0]), "naive": np.array([1.0, 0.5, 0.0])}
OUTPUTS = Outputs(TARGET, ARRAYS)


@pytest.mark.parametrize(("name", "value"), [
    ("scaled_mse", ((0 + 4) / 2 / 4 + 1 / 1) / 2),  # the third row has no unit
    ("scaled_mae", ((0 + 2) / 2 / 2 + 1) / 2),
    ("step_mae", (1 + 1 + 0) / 3),
    ("step_rmse", np.sqrt((2 + 1 + 0) / 3)),
    ("mase", ((0 + 2) / 2 / 1 + 1 / 0.5) / 2),
    ("coverage", (0.5 + 0 + 1) / 3),
    ("pinball", ((0.1 + 0.1 + 0.9 + 0.3) / 2 / 2 / 2 + (0.2 + 0.45) / 2) / 2),
])
def test_by_hand(name, value):
    assert METRICS[name].value(OUTPUTS) == pytest.approx(value)


def test_pinball_is_sklearns():
    from sklearn.metrics import mean_pinball_loss

    rng = np.random.default_rng(0)
    target, low, high = rng.normal(size=(50, 6)), rng.normal(size=(50, 6)) - 1, rng.normal(size=(50, 6)) + 1
    ours = METRICS["pinball"].value(Outputs(target, {"value": target, "low": low, "high": high, "unit": np.ones(50)}))
    theirs = (mean_pinball_loss(target.ravel(), low.ravel(), alpha=0.1) + mean_pinball_loss(target.ravel(), high.ravel(), alpha=0.9)) / 2
    assert ours == pytest.approx(theirs)


def test_a_weight_counts_a_row_as_often():
    weight = np.array([2.0, 1.0, 0.0])
    twice = OUTPUTS.take(np.array([0, 0, 1]))
    for metric in OURS:
        assert metric.value(OUTPUTS, weight) == pytest.approx(metric.value(twice), nan_ok=True)


def test_nothing_known_is_undefined_and_no_error():
    empty = Outputs(np.full((2, 2), np.nan), {name: array[:2] for name, array in ARRAYS.items()})
    for metric in OURS:
        assert np.isnan(metric.value(empty))


def test_windows_of_one_stretch_of_time_make_wider_intervals():
    rng = np.random.default_rng(0)
    group = np.arange(400) // 20
    off = rng.normal(size=20)[group][:, None] + 0.1 * rng.normal(size=(400, 3))
    arrays = {"value": off, "low": off - 1, "high": off + 1, "unit": np.ones(400)}
    alone, together = (intervals([METRICS["scaled_mae"]], Outputs(np.zeros((400, 3)), arrays, g))["scaled_mae"] for g in (None, group))
    assert together.high - together.low > 2 * (alone.high - alone.low)
