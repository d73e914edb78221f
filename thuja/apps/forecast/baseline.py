"""Three forecasts without a network, the best of which stands beside it: the last value repeated, the last season repeated, ridge regression.

Source: Hyndman and Athanasopoulos, "Forecasting: principles and practice", 3rd edition, section 5.2 (naive, seasonal naive); Hoerl and Kennard 1970, "Ridge
regression". All three have ranges from the 10 % and 90 % quantiles of their errors, step by step, in spreads of the window.
"""

import time
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from thuja.codec import Columns
from thuja.metrics import METRICS, Outputs
from thuja.task import Baseline

ROWS = 20_000
"""Training windows that are looked at, evenly spread."""
HELD = 0.1
"""Share of them, the latest, that chooses."""
PENALTIES = (0.01, 0.1, 1.0)
"""Of the ridge, in mean squares of its inputs."""

Point = Callable[[np.ndarray], np.ndarray]
"""From windows without gaps, level or unit, float64 [rows, context], to [rows, horizon]."""


class Windowed(NamedTuple):
    """Windows made plain."""

    past: np.ndarray
    """[rows, context], without gaps, less `level`, in `spread`s."""
    level: np.ndarray
    spread: np.ndarray
    """[rows, 1] each."""
    truth: np.ndarray
    """[rows, horizon], as `past`; NaN is missing."""


def candidates(train: Windowed, season: int) -> dict[str, Point]:
    """The forecasts, by name, fitted to these windows."""
    horizon, context = train.truth.shape[1], train.past.shape[1]
    found: dict[str, Point] = {"the last value repeated": lambda past: np.repeat(past[:, -1:], horizon, axis=1)}
    if 1 < season <= context:
        places = context - season + np.arange(horizon) % season
        found["the last season repeated"] = lambda past: past[:, places]
    for penalty in PENALTIES:
        weights = ridge(train, penalty)
        found[f"ridge regression (penalty {penalty:g})"] = lambda past, weights=weights: past @ weights  # type: ignore[misc]
    return found


def ridge(train: Windowed, penalty: float) -> np.ndarray:
    """[context, horizon]: least squares with a penalty; missing truths count as the level."""
    past, truth = train.past.astype(np.float32), np.nan_to_num(train.truth).astype(np.float32)
    moments = (past.T @ past).astype(np.float64)
    scale = float(np.trace(moments)) / len(moments)
    weights: np.ndarray = np.linalg.solve(moments + max(penalty * scale, 1e-9) * np.eye(len(moments)), (past.T @ truth).astype(np.float64))
    return weights


def windowed(columns: Columns, index: np.ndarray | None = None) -> Windowed:
    """Encoded rows without gaps, level and unit."""
    index = np.arange(len(np.asarray(columns["history"]))) if index is None else index
    past = carried(np.asarray(columns["history"])[index].astype(np.float64))
    level = past.mean(1, keepdims=True)
    spread = np.maximum(past.std(1, keepdims=True), 1e-5 * (1 + np.abs(level)))
    return Windowed((past - level) / spread, level, spread, (np.asarray(columns["future"])[index].astype(np.float64) - level) / spread)


def carried(past: np.ndarray) -> np.ndarray:
    """[rows, steps] with each gap filled with the last value before it, or the first after it."""
    for direction in (1, -1):
        turned = past[:, ::direction]
        latest = np.maximum.accumulate(np.where(np.isnan(turned), 0, np.arange(turned.shape[1])), axis=1)
        past = np.take_along_axis(turned, latest, axis=1)[:, ::direction]
    return past


def fit(train: Columns, test: Columns, season: int) -> Baseline:
    """The candidate with the least scaled squared error on the latest training windows, fitted to all of them, on the test rows: `value`, `low`, `high`."""
    start = time.perf_counter()
    rows = len(np.asarray(train["history"]))
    index = np.argsort(np.asarray(train["start"]), kind="stable")[np.unique(np.linspace(0, rows - 1, min(rows, ROWS)).astype(np.int64))]
    cut = max(1, int(len(index) * (1 - HELD)))
    early, late = windowed(train, index[:cut]), windowed(train, index[cut:] if cut < len(index) else index)
    errors = {name: float(np.nanmean(((point(late.past) - late.truth) * late.spread) ** 2)) for name, point in candidates(early, season).items()}
    best = min(errors, key=lambda name: errors[name])
    outputs = answered(train, test, season, best)
    return Baseline(best, outputs, time.perf_counter() - start)


def answered(train: Columns, test: Columns, season: int, name: str) -> dict[str, np.ndarray]:
    """What one candidate answers on the test rows, with the arrays that the metrics need."""
    rows = len(np.asarray(train["history"]))
    known = windowed(train, np.unique(np.linspace(0, rows - 1, min(rows, ROWS)).astype(np.int64)))
    point = candidates(known, season)[name]
    low, high = np.nanquantile(known.truth - point(known.past), [0.1, 0.9], axis=0)
    asked = windowed(test)
    value = point(asked.past)
    raw = {"value": value, "low": value + np.minimum(low, 0), "high": value + np.maximum(high, 0)}
    return {n: (a * asked.spread + asked.level).astype(np.float32) for n, a in raw.items()} | {n: np.asarray(test[n]) for n in ("unit", "naive")}


def all_scores(train: Columns, test: Columns, season: int) -> dict[str, float]:
    """The scaled squared error of every candidate on the test rows."""
    known = windowed(train, np.unique(np.linspace(0, len(np.asarray(train["history"])) - 1, ROWS).astype(np.int64)))
    target = np.asarray(test["future"])
    return {name: METRICS["scaled_mse"].value(Outputs(target, answered(train, test, season, name))) for name in candidates(known, season)}
