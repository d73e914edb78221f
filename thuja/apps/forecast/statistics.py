"""What is typical of the training series and of the covariates. No torch."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from thuja.apps.forecast.codec import FUTURE, HISTORY, SERIES, Cycle, Known, OneSeries
from thuja.data.windows import Windows
from thuja.task import Source

CYCLES: dict[Cycle, float] = {"day": 86_400.0, "week": 604_800.0, "year": 31_556_952.0}
"""Seconds; a year as the calendar's mean."""
SEEN = 3
"""A cycle must have been met so often before anything is learned of its phase."""
BINS = 16
CONSTANT = 1e-9
"""A spread below this share of the size of the values is rounding."""


class Learned(NamedTuple):
    """Everything of the codec that the data say."""

    every: float
    season: int
    series: tuple[OneSeries, ...]
    known: tuple[Known, ...]
    past: tuple[Known, ...]
    edges: tuple[float, ...]
    span: float
    """Seconds of the longest training series; 0 where times are plain numbers."""


def of_windows(source: Windows, season: int | None) -> Learned:
    """From the training steps of the timeline that the windows were cut from: each step counts once, however many windows hold it. `season`: typed, or
    None for what the times tell."""
    line, plan = source.line, source.plan
    season = season or source.season
    train = line.part == 0
    found = []
    for place, series in enumerate(line.names):
        steps = slice(line.offsets[place], line.offsets[place + 1])
        for column in plan.values:
            name = f"{series} {column}".strip() if len(plan.values) > 1 else series
            found.append(one_series(name, line.values[column][steps][train[steps]], season))
    longest = int(np.add.reduceat(train.astype(np.int64), line.offsets[:-1]).max())
    together = np.concatenate([line.values[column][train] for column in plan.values])
    every = line.every if line.clock else 0.0
    known, past = (tuple(covariate(name, line.values[name][train]) for name in names) for names in (plan.known, plan.past))
    return Learned(every, season, tuple(found), known, past, edges_of(together), every * longest)


def of_rows(source: Source, known: Sequence[str], past: Sequence[str]) -> Learned:
    """From windows that somebody else has cut: nothing is known of their times."""
    rows = source.take(np.arange(len(source)))
    names = [str(name) for name in rows.get(SERIES, [""] * len(source))]
    whole = [np.concatenate([np.asarray(a, float), np.asarray(b, float)]) for a, b in zip(rows[HISTORY], rows[FUTURE], strict=True)]
    found = [one_series(name, np.concatenate([values for values, own in zip(whole, names, strict=True) if own == name]), 1) for name in dict.fromkeys(names)]
    covariates = [tuple(covariate(name, np.concatenate([np.asarray(v, float) for v in rows[name]])) for name in group) for group in (known, past)]
    return Learned(0.0, 1, tuple(found), covariates[0], covariates[1], edges_of(np.concatenate(whole)), 0.0)


def one_series(name: str, values: np.ndarray, season: int) -> OneSeries:
    """The spread of a series, and how much it changes from season to season; NaN is missing."""
    there = values[~np.isnan(values)]
    unit = float(there.std()) if len(there) else 0.0
    change = np.abs(values[season:] - values[:-season]) if len(values) > season else np.zeros(0)
    naive = float(np.nanmean(change)) if np.isfinite(change).any() else 0.0
    least = CONSTANT * float(np.abs(there).max(initial=0.0))
    return OneSeries(name=name, unit=unit if unit > least else 0.0, naive=naive if naive > least else 0.0)


def covariate(name: str, values: np.ndarray) -> Known:
    """The mean and spread of a covariate; a constant or empty one has spread 1, so that it stays zero."""
    there = values[~np.isnan(values)]
    mean, std = (float(there.mean()), float(there.std())) if len(there) else (0.0, 0.0)
    return Known(name=name, mean=mean, std=std if std > CONSTANT * (1 + abs(mean)) else 1.0, edges=edges_of(there))


def edges_of(values: np.ndarray) -> tuple[float, ...]:
    """Inner bin edges at equal quantiles."""
    there = values[~np.isnan(values)]
    return tuple(np.unique(np.quantile(there, np.linspace(0, 1, BINS + 1)[1:-1])).tolist()) if len(there) else ()


def calendar_of(every: float, context: int, span: float) -> tuple[Cycle, ...]:
    """Cycles longer than a step that the past which is read does not show whole, though the training rows show them `SEEN` times."""
    return tuple(name for name, seconds in CYCLES.items() if every and 2 * every <= seconds and context * every < seconds and SEEN * seconds <= span)
