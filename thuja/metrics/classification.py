"""Metrics of decisions: everything that follows from the table of true against predicted classes. The decision is the most probable class.

Source: definitions of scikit-learn 1.5+ (`accuracy_score`, `balanced_accuracy_score`, `precision_recall_fscore_support` with `zero_division=0`).
A macro mean runs over the classes that occur among the targets or the decisions (balanced accuracy: among the targets). For two classes the last is the
positive one.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from thuja.metrics.metric import Metric, Outputs, Weighted, mean_of, ratio, sums_by_cell


def decision(outputs: Outputs) -> np.ndarray:
    """[rows]: the most probable class, the first of equals."""
    chosen: np.ndarray = outputs.arrays["probability"].argmax(axis=1)
    return chosen


def confusion(outputs: Outputs, weights: np.ndarray) -> np.ndarray:
    """[draws, classes, classes]: weight of rows by true class (down) and decision (across)."""
    classes = outputs.arrays["probability"].shape[1]
    cell = outputs.target.astype(np.int64) * classes + decision(outputs)
    return sums_by_cell(weights, cell, classes * classes).reshape(-1, classes, classes)


class Counts(NamedTuple):
    """Per draw and class, each [draws, classes]."""

    hits: np.ndarray
    decided: np.ndarray
    support: np.ndarray


def accuracy(outputs: Outputs) -> Weighted:
    """Share of rows decided rightly."""
    return mean_of(decision(outputs) == outputs.target)


def _of_counts(finish: Callable[[Counts], np.ndarray]) -> Callable[[Outputs], Weighted]:
    """A metric of the per-class counts: hits, decisions and support are all it sees, so no table of classes x classes is built per draw."""

    def prepare(outputs: Outputs) -> Weighted:
        classes = outputs.arrays["probability"].shape[1]
        target, decided = outputs.target.astype(np.int64), decision(outputs)
        right = np.where(decided == target, target, classes)

        def weighted(weights: np.ndarray) -> np.ndarray:
            hits = sums_by_cell(weights, right, classes + 1)[:, :classes]
            return finish(Counts(hits, sums_by_cell(weights, decided, classes), sums_by_cell(weights, target, classes)))

        return weighted

    return prepare


def _mean_where(values: np.ndarray, present: np.ndarray) -> np.ndarray:
    return ratio(np.where(present, values, 0.0).sum(axis=1), present.sum(axis=1).astype(np.float64))


def _balanced(counts: Counts) -> np.ndarray:
    return _mean_where(ratio(counts.hits, counts.support), counts.support > 0)


def _precision(counts: Counts) -> np.ndarray:
    return ratio(counts.hits, counts.decided, 0.0)


def _recall(counts: Counts) -> np.ndarray:
    return ratio(counts.hits, counts.support, 0.0)


def _f1(counts: Counts) -> np.ndarray:
    return ratio(2 * counts.hits, counts.decided + counts.support, 0.0)


def _macro(per_class: Callable[[Counts], np.ndarray]) -> Callable[[Outputs], Weighted]:
    return _of_counts(lambda counts: _mean_where(per_class(counts), counts.support + counts.decided > 0))


def _positive(per_class: Callable[[Counts], np.ndarray]) -> Callable[[Outputs], Weighted]:
    """For the last of two classes; NaN for another number of classes, or where the draw holds no row at all."""

    def finish(counts: Counts) -> np.ndarray:
        usable = (counts.support.sum(axis=1) > 0) & (counts.hits.shape[1] == 2)
        return np.where(usable, per_class(counts)[:, -1], np.nan)

    return _of_counts(finish)


def _right(outputs: Outputs) -> tuple[float, float]:
    return float((decision(outputs) == outputs.target).sum()), float(len(outputs.target))


def _right_among_decided(outputs: Outputs) -> tuple[float, float]:
    decided = decision(outputs) == 1
    return float((decided & (outputs.target == 1)).sum()), float(decided.sum())


def _right_among_positive(outputs: Outputs) -> tuple[float, float]:
    positive = outputs.target == 1
    return float((positive & (decision(outputs) == 1)).sum()), float(positive.sum())


class PerClass(NamedTuple):
    """One line of the per-class table."""

    name: str
    precision: float
    recall: float
    f1: float
    support: int


def per_class(outputs: Outputs) -> list[PerClass]:
    """Precision, recall, F1 and number of rows of every class, in the classes' order."""
    table = confusion(outputs, np.ones((1, len(outputs.target))))
    counts = Counts(np.diagonal(table, axis1=1, axis2=2), table.sum(axis=1), table.sum(axis=2))
    columns = [_precision(counts)[0], _recall(counts)[0], _f1(counts)[0], counts.support[0]]
    names = outputs.names or tuple(str(i) for i in range(table.shape[1]))
    return [PerClass(name, float(p), float(r), float(f), int(s)) for name, p, r, f, s in zip(names, *columns, strict=True)]


TWO = "needs exactly two classes"

METRICS = (
    Metric("accuracy", "Accuracy", "max", "probability", accuracy, proportion=_right, percent=True),
    Metric("balanced_accuracy", "Balanced accuracy", "max", "probability", _of_counts(_balanced), percent=True),
    Metric("precision", "Precision", "max", "probability", _positive(_precision), TWO, _right_among_decided, percent=True),
    Metric("recall", "Recall", "max", "probability", _positive(_recall), TWO, _right_among_positive, percent=True),
    Metric("f1", "F1", "max", "probability", _positive(_f1), TWO, percent=True),
    Metric("precision_macro", "Macro precision", "max", "probability", _macro(_precision), percent=True),
    Metric("recall_macro", "Macro recall", "max", "probability", _macro(_recall), percent=True),
    Metric("f1_macro", "Macro F1", "max", "probability", _macro(_f1), percent=True),
)
