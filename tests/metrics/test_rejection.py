import math

import numpy as np

from thuja.metrics import METRICS, Sampling, interval
from thuja.metrics.metric import Outputs

# three classes, the last for what belongs to none; decisions: 0 1 2 0 | 2 2 1
TARGET = np.array([0, 1, 1, 1, 2, 2, 2])
DECIDED = np.array([0, 1, 2, 0, 2, 2, 1])
ROWS = Outputs(TARGET, {"probability": np.eye(3, dtype=np.float32)[DECIDED]})


def test_the_two_goals_are_shares_of_their_own_rows():
    assert METRICS["in_scope_accuracy"].value(ROWS) == 2 / 4
    assert METRICS["out_of_scope_recall"].value(ROWS) == 2 / 3


def test_weights_count_rows_that_many_times():
    weight = np.array([3, 1, 0, 0, 0, 1, 1])
    assert METRICS["in_scope_accuracy"].value(ROWS, weight) == 1
    assert METRICS["out_of_scope_recall"].value(ROWS, weight) == 1 / 2


def test_without_rows_of_one_kind_its_metric_is_undefined():
    inside = ROWS.take(TARGET != 2)
    assert math.isnan(METRICS["out_of_scope_recall"].value(inside)) and METRICS["in_scope_accuracy"].value(inside) == 0.5


def test_each_has_the_interval_of_a_proportion_over_its_rows():
    rng = np.random.default_rng(0)
    target = rng.integers(0, 3, 600)
    decided = np.where(rng.random(600) < 0.8, target, (target + 1) % 3)
    outputs = Outputs(target, {"probability": np.eye(3)[decided]})
    for name, rows in (("in_scope_accuracy", target != 2), ("out_of_scope_recall", target == 2)):
        found = interval(METRICS[name], outputs, Sampling())
        share = (decided == target)[rows].mean()
        assert found.value == share
        half = 1.96 * math.sqrt(share * (1 - share) / rows.sum())
        assert abs(found.high - found.low - 2 * half) < 0.2 * half
