"""Answers to several targets at once: the worst first, missing ones left out."""

import numpy as np

from thuja.metrics import Outputs
from thuja.report.answers import kind_of
from thuja.report.material import worst

NONE = np.nan


def test_errors_are_compared_in_spreads_of_each_target_and_missing_ones_do_not_count() -> None:
    target = np.array([[0.0, 100.0], [1.0, NONE], [2.0, 300.0]])
    outputs = Outputs(target, {"values": np.array([[0.0, 110.0], [2.0, 7.0], [2.0, 300.0]])})
    assert worst(outputs).tolist() == [1, 0]
    assert kind_of(outputs).words(outputs, 1) == ("1", "2")
    assert kind_of(outputs).words(outputs, 0) == ("0, 100", "0, 110")


def test_many_targets_are_shortened() -> None:
    outputs = Outputs(np.array([[1.0, 0, 1, NONE, 0, 1]]), {"chances": np.full((1, 6), 0.25)})
    assert kind_of(outputs).words(outputs, 0) == ("1, 0, 1, 0 and 1 more", "0.25, 0.25, 0.25, 0.25")
    assert worst(outputs).tolist() == [0]
