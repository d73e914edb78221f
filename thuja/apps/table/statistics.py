"""What a table's columns hold, learned in one pass and constant memory. No torch."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from thuja.apps.table.codec import floats, name_of
from thuja.codec import Rows
from thuja.core.seeds import stream

SAMPLE = 100_000
"""Rows kept for quantiles: a rank is then known to about 0.3 % of the rows."""
MOST_NAMES = 50_000
"""Different names counted in one column; beyond that the rarest are forgotten."""
LEVELS = np.linspace(0, 1, 129)


@dataclass
class ColumnStatistics:
    """One column so far."""

    name: str
    rows: int = 0
    missing: int = 0
    numeric: bool = True
    """Whether every value was a number."""
    whole: bool = True
    """Whether every number was whole."""
    plain: bool = True
    """Whether every value was text, a number or a truth value (and no picture, list or path)."""
    names: Counter[str] = field(default_factory=Counter)
    crowded: bool = False
    """Whether there were more different names than can be counted."""
    sample: np.ndarray = field(default_factory=lambda: np.zeros(0))
    """Numbers of the sampled rows, NaN where missing."""
    counted: bool = True
    """Whether names are counted even while all values are numbers."""

    def add(self, values: Sequence[Any]) -> np.ndarray:
        """Take a batch in; gives its numbers (NaN where missing or no number)."""
        numbers = floats(values)
        self.rows += len(values)
        if numbers is None:
            self.numeric = False
            self.plain &= {str, bool, float, int, np.bool_, type(None)}.issuperset(map(type, values))
            numbers = np.full(len(values), np.nan)
            self.missing += sum(v is None for v in values)
        else:
            numbers = np.where(np.isfinite(numbers), numbers, np.nan)
            known = numbers[~np.isnan(numbers)]
            self.missing += len(numbers) - len(known)
            self.whole &= bool((known == np.round(known)).all())
        if self.plain and (self.counted or not self.numeric):
            for value, count in Counter(_plain_values(values)).items():
                self.names[name_of(value)] += count
            if len(self.names) > MOST_NAMES:
                self.names, self.crowded = Counter(dict(self.names.most_common(MOST_NAMES // 2))), True
        return numbers

    @property
    def quantiles(self) -> tuple[float, ...]:
        """129 evenly spaced ones of the sampled numbers; a single zero where all are missing."""
        return tuple(np.quantile(self.known, LEVELS).tolist()) if len(self.known) else (0.0,)

    @property
    def known(self) -> np.ndarray:
        """The sampled numbers, those that are missing left out."""
        kept: np.ndarray = self.sample[~np.isnan(self.sample)]
        return kept


def _plain_values(values: Sequence[Any]) -> Iterable[Any]:
    listed = values.tolist() if isinstance(values, np.ndarray) else values
    return (v for v in listed if v is not None and v == v)


def learn(batches: Iterable[Rows], names: Sequence[str], counted: Sequence[str]) -> dict[str, ColumnStatistics]:
    """Statistics of the columns `names`; the names in `counted` are counted even if they are numbers.

    Quantiles come from a uniform sample of rows: those with the smallest random keys.
    """
    columns = {name: ColumnStatistics(name, counted=name in counted) for name in names}
    rng = stream(0, "table", "sample")
    keys = np.zeros(0)
    for rows in batches:
        fresh = {name: column.add(rows[name]) for name, column in columns.items()}
        keys = np.concatenate([keys, rng.random(len(next(iter(fresh.values()))))])
        keep = np.argpartition(keys, SAMPLE)[:SAMPLE] if len(keys) > SAMPLE else np.arange(len(keys))
        keys = keys[keep]
        for name, numbers in fresh.items():
            columns[name].sample = np.concatenate([columns[name].sample, numbers])[keep]
    return columns
