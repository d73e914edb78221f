"""What a metric is: a pure function of the outputs of some rows, which may be weighted.

A metric is *prepared* once for a set of outputs (sorting, one-hot rows) and then answers any number of weightings at once, so that an interval over a
thousand bootstrap draws costs little more than a matrix product.

Source: weights as bootstrap counts, Efron and Tibshirani 1993, "An Introduction to the Bootstrap", section 6.2 (the resampling vector).
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np


class Outputs(NamedTuple):
    """What was asked and what was answered, row for row."""

    target: np.ndarray
    """[rows]: int64 class numbers, floats in raw units, or texts (objects); [rows, steps] for a forecast."""
    arrays: dict[str, np.ndarray]
    """What was answered: "probability" [rows, classes], "value" [rows] or [rows, steps], "text" [rows] (objects), "rank" [rows] (1 is best), "nll" and
    "tokens" [rows]."""
    group: np.ndarray | None = None
    """[rows]: rows with an equal value are not independent (one patient); intervals resample whole groups."""
    names: tuple[str, ...] = ()
    """The classes, in the order of `probability`."""

    def take(self, index: np.ndarray) -> "Outputs":
        """The rows at `index` (places or a mask)."""
        arrays = {name: array[index] for name, array in self.arrays.items()}
        return Outputs(self.target[index], arrays, None if self.group is None else self.group[index], self.names)


Weighted = Callable[[np.ndarray], np.ndarray]
"""From weights [draws, rows], float64 and not negative, to values [draws]; NaN where a draw leaves the metric undefined."""


@dataclass(frozen=True)
class Metric:
    """A named figure. `value` is for one answer; `prepare` for many weightings of the same rows."""

    name: str
    label: str
    """For people."""
    direction: Literal["max", "min"]
    needs: str
    """The output it is computed from."""
    prepare: Callable[[Outputs], Weighted]
    undefined: str = "no rows"
    """When the value is NaN: why, in a few words."""
    proportion: Callable[[Outputs], tuple[float, float]] | None = None
    """Successes and trials, where the metric is one divided by the other: independent rows then have a closed-form interval."""
    percent: bool = False
    """Whether people read it as a percentage."""

    def value(self, outputs: Outputs, weight: np.ndarray | None = None) -> float:
        """The metric; `weight` [rows] counts each row that many times. NaN where undefined, never an error."""
        weights = np.ones((1, len(outputs.target))) if weight is None else np.asarray(weight, np.float64)[None]
        return float(self.prepare(outputs)(weights)[0])

    def better(self, value: float, than: float) -> bool:
        """Whether `value` is strictly better; anything beats NaN."""
        return value == value and (than != than or (value > than if self.direction == "max" else value < than))


def ratio(numerator: np.ndarray, denominator: np.ndarray, empty: float = np.nan) -> np.ndarray:
    """Elementwise quotient, `empty` where the denominator is 0."""
    out = np.full(np.broadcast_shapes(numerator.shape, denominator.shape), empty)
    np.divide(numerator, denominator, out=out, where=denominator != 0)
    return out


def mean_of(contributions: np.ndarray) -> Weighted:
    """The weighted mean of one number per row [rows]."""
    column = np.asarray(contributions, np.float64)

    def weighted(weights: np.ndarray) -> np.ndarray:
        return ratio(weights @ column, weights.sum(axis=1))

    return weighted


def sums_by_cell(weights: np.ndarray, cell: np.ndarray, cells: int) -> np.ndarray:
    """[draws, cells]: the weight that falls into each cell, where `cell` [rows] numbers the cell of each row."""
    return np.stack([np.bincount(cell, weights=draw, minlength=cells) for draw in weights])
