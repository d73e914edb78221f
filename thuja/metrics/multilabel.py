"""Metrics of answers with several names at once: a picture may show a cat and a sofa, or nothing that has a name.

They are computed from "label_probability" [rows, labels] and "decided" [rows, labels] (1 where the answer holds the name), beside targets [rows, labels] of
0 and 1.

Source: definitions of scikit-learn 1.5+ (`average_precision_score` and `f1_score` with `average="micro"` or `"macro"` and `zero_division=0`,
`accuracy_score` of label sets), which the tests compare. Deviation: macro means run over the names that occur (average precision: among the targets; F1:
among the targets or the answers), as those of `thuja.metrics.classification` do.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from thuja.metrics.metric import Metric, Outputs, Weighted, mean_of, ratio
from thuja.metrics.ranking import at_each_score, precision_mean, ranked


class Table(NamedTuple):
    """Per draw and label, each [draws, labels]: names rightly given, given, and true."""

    hits: np.ndarray
    decided: np.ndarray
    support: np.ndarray


def mean_average_precision(outputs: Outputs) -> Weighted:
    """The mean over labels of the average precision of their ranking of all rows."""
    scores = outputs.arrays["label_probability"]
    labels = [ranked(scores[:, place], outputs.target[:, place]) for place in range(scores.shape[1])]

    def weighted(weights: np.ndarray) -> np.ndarray:
        if not weights.shape[1]:
            return np.full(len(weights), np.nan)
        total, known = np.zeros(len(weights)), np.zeros(len(weights))
        for rows in labels:  # one label at a time: [draws, rows] is the largest array alive
            found = precision_mean(*at_each_score(rows, weights))
            total += np.nan_to_num(found)
            known += ~np.isnan(found)
        return ratio(total, known)

    return weighted


def _of_table(finish: Callable[[Table], np.ndarray]) -> Callable[[Outputs], Weighted]:
    def prepare(outputs: Outputs) -> Weighted:
        target, decided = (np.asarray(a, np.float64) for a in (outputs.target, outputs.arrays["decided"]))
        hits = target * decided

        def weighted(weights: np.ndarray) -> np.ndarray:
            return finish(Table(weights @ hits, weights @ decided, weights @ target))

        return weighted

    return prepare


def _micro_precision(table: Table) -> np.ndarray:
    return ratio(table.hits.sum(1), table.decided.sum(1), 0.0)


def _micro_recall(table: Table) -> np.ndarray:
    return ratio(table.hits.sum(1), table.support.sum(1))


def _micro_f1(table: Table) -> np.ndarray:
    return ratio(2 * table.hits.sum(1), table.decided.sum(1) + table.support.sum(1))


def _macro_f1(table: Table) -> np.ndarray:
    present = table.support + table.decided > 0
    found = ratio(2 * table.hits, table.decided + table.support, 0.0)
    return ratio((found * present).sum(1), present.sum(1).astype(np.float64))


def _same(outputs: Outputs) -> np.ndarray:
    """[rows]: whether exactly the true names were given."""
    return np.asarray((outputs.arrays["decided"] == outputs.target).all(axis=1))


def exact(outputs: Outputs) -> Weighted:
    """Share of rows that were given exactly their names."""
    return mean_of(_same(outputs))


def _exact(outputs: Outputs) -> tuple[float, float]:
    return float(_same(outputs).sum()), float(len(outputs.target))


class PerLabel(NamedTuple):
    """One line of the table of labels."""

    name: str
    average_precision: float
    """NaN where no row has this label."""
    precision: float
    recall: float
    f1: float
    support: int


def per_label(outputs: Outputs) -> list[PerLabel]:
    """How well each label is found, in their order."""
    ones = np.ones((1, len(outputs.target)))
    target, decided = (np.asarray(a, np.float64) for a in (outputs.target, outputs.arrays["decided"]))
    hits, given, support = (ones @ (target * decided), ones @ decided, ones @ target)
    scores = outputs.arrays["label_probability"]
    precise = [float(precision_mean(*at_each_score(ranked(scores[:, i], target[:, i]), ones))[0]) for i in range(target.shape[1])]
    columns = [ratio(hits, given, 0.0)[0], ratio(hits, support, 0.0)[0], ratio(2 * hits, given + support, 0.0)[0], support[0]]
    names = outputs.names or tuple(map(str, range(target.shape[1])))
    return [PerLabel(name, a, float(p), float(r), float(f), int(s)) for name, a, p, r, f, s in zip(names, precise, *columns, strict=True)]


NONE = "no row has a label"
METRICS = (
    Metric("mean_average_precision", "Mean average precision", "max", "label_probability", mean_average_precision, NONE),
    Metric("label_f1_micro", "F1 over all labels", "max", "label_probability", _of_table(_micro_f1), NONE, percent=True),
    Metric("label_f1_macro", "Mean F1 of the labels", "max", "label_probability", _of_table(_macro_f1), NONE, percent=True),
    Metric("label_precision", "Precision over all labels", "max", "label_probability", _of_table(_micro_precision), NONE, percent=True),
    Metric("label_recall", "Recall over all labels", "max", "label_probability", _of_table(_micro_recall), NONE, percent=True),
    Metric("exact_labels", "All labels right", "max", "label_probability", exact, proportion=_exact, percent=True),
)
