"""Metrics of a classifier that may answer that a row belongs to no class. The last class is the one for such rows.

Source: Larson et al. 2019, "An Evaluation Dataset for Intent Classification and Out-of-Scope Prediction", EMNLP-IJCNLP, arXiv 1909.02027: accuracy over the
rows that belong to a class (where rejecting one is a mistake), and recall over those that belong to none.
"""

import numpy as np

from thuja.metrics.classification import decision
from thuja.metrics.metric import Metric, Outputs, Weighted, ratio


def _outside(outputs: Outputs) -> np.ndarray:
    """[rows]: which rows belong to no class."""
    return np.asarray(outputs.target == outputs.arrays["probability"].shape[1] - 1)


def _right_where(outputs: Outputs, among: np.ndarray) -> Weighted:
    """Share of the rows in `among` [rows] that are decided rightly."""
    right = (decision(outputs) == outputs.target) & among

    def weighted(weights: np.ndarray) -> np.ndarray:
        return ratio(weights @ right.astype(np.float64), weights @ among.astype(np.float64))

    return weighted


def in_scope_accuracy(outputs: Outputs) -> Weighted:
    """Share of the rows that belong to a class which are given to it."""
    return _right_where(outputs, ~_outside(outputs))


def out_of_scope_recall(outputs: Outputs) -> Weighted:
    """Share of the rows that belong to no class which are rejected."""
    return _right_where(outputs, _outside(outputs))


def _right_inside(outputs: Outputs) -> tuple[float, float]:
    return _counts(outputs, ~_outside(outputs))


def _right_outside(outputs: Outputs) -> tuple[float, float]:
    return _counts(outputs, _outside(outputs))


def _counts(outputs: Outputs, among: np.ndarray) -> tuple[float, float]:
    return float(((decision(outputs) == outputs.target) & among).sum()), float(among.sum())


METRICS = (
    Metric("in_scope_accuracy", "In-scope accuracy", "max", "probability", in_scope_accuracy, "no row belongs to a class", _right_inside, percent=True),
    Metric("out_of_scope_recall", "Out-of-scope recall", "max", "probability", out_of_scope_recall, "no row is out of scope", _right_outside, percent=True),
)
