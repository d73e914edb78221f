"""Metrics of several targets at once, of which any may be missing: the mean over targets of what is reached on the rows that have the target.

They are computed from `values` float [rows, targets] (numbers, each in its own unit) or `chances` float [rows, targets] (the probability of yes), and a target
[rows, targets] that is NaN where nothing is known. A target without rows, or where a draw leaves its metric undefined, is left out of the mean.

Source: the mean over tasks as in MoleculeNet, Wu et al. 2018, arXiv 1703.00564, section 3.5; each target's own metric is that of `regression`, `ranking` and
`classification` here.
"""

from collections.abc import Callable
from typing import Literal

import numpy as np

from thuja.metrics import classification, ranking, regression
from thuja.metrics.metric import Metric, Outputs, Weighted, ratio

ONE = {metric.name: metric for family in (regression, ranking, classification) for metric in family.METRICS}
NONE = "no target has rows that define it"


def number(outputs: Outputs, target: int) -> Outputs:
    """One target of `values`, on the rows that have it."""
    there = ~np.isnan(outputs.target[:, target])
    return Outputs(outputs.target[there, target], {"value": outputs.arrays["values"][there, target]})


def chance(outputs: Outputs, target: int) -> Outputs:
    """One target of `chances`, on the rows that have it, as two classes."""
    there = ~np.isnan(outputs.target[:, target])
    yes = outputs.arrays["chances"][there, target]
    return Outputs(outputs.target[there, target].astype(np.int64), {"probability": np.stack([1 - yes, yes], axis=1)})


def _mean(name: str, of: Callable[[Outputs, int], Outputs]) -> Callable[[Outputs], Weighted]:
    """The metric `name` of each target, and their mean where they are defined."""

    def prepare(outputs: Outputs) -> Weighted:
        there = ~np.isnan(outputs.target)
        each = [(np.flatnonzero(there[:, i]), ONE[name].prepare(of(outputs, i))) for i in map(int, np.flatnonzero(there.any(axis=0)))]

        def weighted(weights: np.ndarray) -> np.ndarray:
            total, defined = np.zeros(len(weights)), np.zeros(len(weights))
            for index, one in each:
                value = one(weights[:, index])
                total += np.nan_to_num(value)
                defined += ~np.isnan(value)
            return ratio(total, defined)

        return weighted

    return prepare


def _metric(name: str, label: str, direction: Literal["max", "min"]) -> Metric:
    values = name in ("rmse", "mae", "r2")
    return Metric(f"{name}_mean", label, direction, "values" if values else "chances", _mean(name, number if values else chance), NONE,
                  percent=ONE[name].percent)


METRICS = (
    _metric("rmse", "RMSE, mean over targets", "min"),
    _metric("mae", "Mean absolute error, mean over targets", "min"),
    _metric("r2", "R², mean over targets", "max"),
    _metric("roc_auc", "ROC AUC, mean over targets", "max"),
    _metric("average_precision", "Average precision, mean over targets", "max"),
    _metric("balanced_accuracy", "Balanced accuracy, mean over targets", "max"),
)
