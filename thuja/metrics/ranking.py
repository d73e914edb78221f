"""Metrics of order: does a row of a class score above the others, at whatever threshold?

Source: ROC AUC as the Mann-Whitney statistic with ties counted half, Hanley and McNeil 1982; average precision as the step-wise sum of scikit-learn's
`average_precision_score` (no interpolation, Flach and Kull 2015). More than two classes: each against the rest, plain mean (`multi_class="ovr"`,
`average="macro"`); NaN where a class, or everything but it, is absent.
Deviation: the scores are sorted once, and every bootstrap draw is a weighted running sum over that order, O(rows) instead of O(rows log rows).
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from thuja.metrics.metric import Metric, Outputs, Weighted, ratio


class Ranked(NamedTuple):
    """The rows from the highest score to the lowest."""

    order: np.ndarray
    positive: np.ndarray
    """[rows], float: 1 for a row of the class, in that order."""
    first: np.ndarray | None
    """Where each run of equal scores begins; None when no two scores are equal."""


def ranked(score: np.ndarray, positive: np.ndarray) -> Ranked:
    """Sort once; `score` and `positive` are [rows]."""
    order = np.argsort(-score, kind="stable")
    differs = np.diff(score[order]) != 0
    first = None if differs.all() else np.append(0, np.flatnonzero(differs) + 1)
    return Ranked(order, positive[order].astype(np.float64), first)


def at_each_score(rows: Ranked, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Weight of all rows and of the positive ones at each distinct score, highest first: two arrays [draws, distinct]."""
    everything = np.take(weights, rows.order, axis=1)
    positives = everything * rows.positive
    if rows.first is None:
        return everything, positives
    return np.add.reduceat(everything, rows.first, axis=1), np.add.reduceat(positives, rows.first, axis=1)


def _area(everything: np.ndarray, positives: np.ndarray) -> np.ndarray:
    """The share of (positive, negative) pairs in the right order; a tied pair counts half."""
    negatives = everything - positives
    above = np.cumsum(positives, axis=1)
    total = above[:, -1] * negatives.sum(axis=1)
    above -= positives / 2
    return ratio(np.einsum("dn,dn->d", negatives, above), total)


def precision_mean(everything: np.ndarray, positives: np.ndarray) -> np.ndarray:
    """Average precision [draws] from the weights at each distinct score (`at_each_score`); NaN without a positive row. `everything` is overwritten."""
    found = np.cumsum(positives, axis=1)
    total = found[:, -1].copy()
    seen = np.cumsum(everything, axis=1, out=everything)
    precision = np.divide(found, seen, out=found, where=seen > 0)  # nothing seen: found is 0 there
    return ratio(np.einsum("dn,dn->d", positives, precision), total)


def _against_the_rest(finish: Callable[[np.ndarray, np.ndarray], np.ndarray]) -> Callable[[Outputs], Weighted]:
    def prepare(outputs: Outputs) -> Weighted:
        probability = outputs.arrays["probability"]
        classes = [1] if probability.shape[1] == 2 else list(range(probability.shape[1]))
        sorted_classes = [ranked(probability[:, c], outputs.target == c) for c in classes]

        def weighted(weights: np.ndarray) -> np.ndarray:
            if not weights.shape[1]:
                return np.full(len(weights), np.nan)
            total = np.zeros(len(weights))
            for rows in sorted_classes:  # one class at a time: [draws, rows] is the largest array alive
                total += finish(*at_each_score(rows, weights))
            return total / len(sorted_classes)

        return weighted

    return prepare


class Curve(NamedTuple):
    """Points of a curve, from the highest threshold down."""

    x: np.ndarray
    y: np.ndarray


def _running(score: np.ndarray, positive: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rows, and positive ones, with at least each distinct score."""
    everything, positives = at_each_score(ranked(score, positive), np.ones((1, len(score))))
    return everything[0].cumsum(), positives[0].cumsum()


def roc_curve(score: np.ndarray, positive: np.ndarray) -> Curve:
    """False against true positive rate, from (0, 0) to (1, 1); NaN where a side is absent."""
    everything, positives = _running(score, positive)
    rates = [np.append(0.0, ratio(side, side[-1:])) for side in (everything - positives, positives)]
    return Curve(*rates)


def precision_recall_curve(score: np.ndarray, positive: np.ndarray) -> Curve:
    """Recall against precision, from the highest threshold down."""
    everything, positives = _running(score, positive)
    return Curve(ratio(positives, positives[-1:]), positives / everything)


METRICS = (
    Metric("roc_auc", "ROC AUC", "max", "probability", _against_the_rest(_area), "needs rows of every class and of another"),
    Metric("average_precision", "Average precision", "max", "probability", _against_the_rest(precision_mean), "needs rows of every class"),
)
