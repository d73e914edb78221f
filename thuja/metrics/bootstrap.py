"""How sure a metric is: intervals for one model and for the difference of two on the same rows.

Source: Wilson 1927 for proportions of independent rows; otherwise the bias-corrected percentile bootstrap (Efron 1981, "Nonparametric standard errors and
confidence intervals", section 7; BCa without the acceleration), resampling rows, or whole groups where rows belong together (Davison and Hinkley 1997,
section 3.8). All metrics share the same draws, which makes a comparison of two models paired. Why bias-corrected: ECE and other distances grow when rows
are repeated, so that plain percentiles can miss the estimate itself.
"""

from collections.abc import Iterator, Sequence
from statistics import NormalDist
from typing import NamedTuple

import numpy as np

from thuja.core.seeds import stream
from thuja.metrics.metric import Metric, Outputs

LEVEL, RESAMPLES, SEED = 0.95, 1000, 0
CHUNK = 1 << 17
"""Weights held at once (1 MB): the arrays made from them stay in the processor's cache, which was a third faster than 8 MB."""
MOST_WEIGHTS = 1 << 28
FEWEST_DRAWS = 200
"""Very large data get fewer draws (never under 200), so that intervals take seconds: the quantiles of 200 draws are good to a tenth of the width."""
NORMAL = NormalDist()


class Estimate(NamedTuple):
    """A figure and where it may lie; NaN is unknown."""

    value: float
    low: float
    high: float
    method: str
    note: str = ""


class Sampling(NamedTuple):
    """How intervals are made: settings.Evaluate in the metrics' words."""

    level: float = LEVEL
    resamples: int = RESAMPLES
    seed: int = SEED


SAMPLING = Sampling()


def draws(rows: int, group: np.ndarray | None, sampling: Sampling) -> Iterator[np.ndarray]:
    """Bootstrap weights [some draws, rows] until there are enough: how often each row was drawn, with its whole group where there are groups."""
    rng = stream(sampling.seed, "bootstrap")
    unit, units = (None, rows) if group is None else (lambda found: (found[1], len(found[0])))(np.unique(group, return_inverse=True))
    left = number_of_draws(rows, sampling)
    while left:
        take = min(left, max(1, CHUNK // max(rows, 1)))
        counts = np.stack([np.bincount(rng.integers(0, units, units), minlength=units) for _ in range(take)]).astype(np.float64)
        yield counts if unit is None else counts[:, unit]
        left -= take


def number_of_draws(rows: int, sampling: Sampling) -> int:
    """The resamples asked for, fewer for very large data."""
    return min(sampling.resamples, max(FEWEST_DRAWS, MOST_WEIGHTS // max(rows, 1)))


def wilson(successes: float, trials: float, level: float) -> tuple[float, float]:
    """Wilson's interval for a proportion; NaN without trials.

    >>> [round(v, 4) for v in wilson(8, 10, 0.95)]
    [0.4902, 0.9433]
    """
    if trials == 0:
        return float("nan"), float("nan")
    z = NORMAL.inv_cdf((1 + level) / 2)
    share = successes / trials
    centre, width = share + z * z / (2 * trials), z * np.sqrt(share * (1 - share) / trials + z * z / (4 * trials * trials))
    scale = 1 + z * z / trials
    return max(0.0, float((centre - width) / scale)), min(1.0, float((centre + width) / scale))


def bounds(value: float, drawn: np.ndarray, level: float) -> tuple[float, float, str]:
    """Low, high and a note, from a value and its bootstrap draws: bias-corrected percentiles that always hold the value itself."""
    known = drawn[~np.isnan(drawn)]
    nan = float("nan")
    if np.isnan(value) or len(known) < 0.9 * len(drawn):
        return nan, nan, "" if np.isnan(value) else "too few rows of some class for an interval"
    if np.ptp(known) == 0:
        return nan, nan, "every draw gives the same value, so its spread is unknown"
    below = ((known < value).mean() + (known <= value).mean()) / 2
    shift = NORMAL.inv_cdf(float(np.clip(below, 1 / (len(known) + 1), len(known) / (len(known) + 1))))
    z = NORMAL.inv_cdf((1 + level) / 2)
    low, high = np.quantile(known, [NORMAL.cdf(2 * shift - z), NORMAL.cdf(2 * shift + z)])
    return min(float(low), value), max(float(high), value), ""


def intervals(metrics: Sequence[Metric], outputs: Outputs, sampling: Sampling = SAMPLING) -> dict[str, Estimate]:
    """Every metric with its interval, by name; the draws are shared."""
    values = {metric.name: metric.value(outputs) for metric in metrics}
    closed = {m.name: m.proportion(outputs) for m in metrics if m.proportion is not None and outputs.group is None and not np.isnan(values[m.name])}
    drawn = _drawn([m for m in metrics if m.name not in closed], outputs, sampling)
    how = f"bootstrap of {'rows' if outputs.group is None else 'groups'}, {number_of_draws(len(outputs.target), sampling)} draws"
    found = {}
    for metric in metrics:
        value = values[metric.name]
        if metric.name in closed:
            found[metric.name] = Estimate(value, *wilson(*closed[metric.name], sampling.level), "Wilson")
        else:
            low, high, note = bounds(value, drawn[metric.name], sampling.level)
            found[metric.name] = Estimate(value, low, high, how, metric.undefined if np.isnan(value) else note)
    return found


def interval(metric: Metric, outputs: Outputs, sampling: Sampling = SAMPLING) -> Estimate:
    """One metric with its interval."""
    return intervals([metric], outputs, sampling)[metric.name]


def paired(metrics: Sequence[Metric], first: Outputs, second: Outputs, sampling: Sampling = SAMPLING) -> dict[str, Estimate]:
    """The difference first - second of every metric, by name. Both answer the same rows; each draw is shared, so what is hard for both cancels."""
    assert np.array_equal(first.target, second.target, equal_nan=first.target.dtype.kind == "f"), "paired outputs must be of the same rows"
    ours, theirs = (_drawn(metrics, outputs, sampling) for outputs in (first, second))
    how = f"paired bootstrap of {'rows' if first.group is None else 'groups'}, {number_of_draws(len(first.target), sampling)} draws"
    found = {}
    for metric in metrics:
        value = metric.value(first) - metric.value(second)
        low, high, note = bounds(value, ours[metric.name] - theirs[metric.name], sampling.level)
        found[metric.name] = Estimate(value, low, high, how, metric.undefined if np.isnan(value) else note)
    return found


def _drawn(metrics: Sequence[Metric], outputs: Outputs, sampling: Sampling) -> dict[str, np.ndarray]:
    """Values [draws] of every metric over the same draws; the seed alone decides them, so two calls on the same rows are paired."""
    prepared = {metric.name: metric.prepare(outputs) for metric in metrics}
    pieces: dict[str, list[np.ndarray]] = {name: [] for name in prepared}
    if not prepared or not len(outputs.target):
        return {name: np.full(1, np.nan) for name in prepared}
    for weights in draws(len(outputs.target), outputs.group, sampling):
        for name, weighted in prepared.items():
            pieces[name].append(weighted(weights))
    return {name: np.concatenate(values) for name, values in pieces.items()}
