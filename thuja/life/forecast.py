"""How much longer a model will last: a distribution, or the honest reason for there being none.

The prior is what happened to models of the same kind in the ageing test (and to earlier versions). What is known of this one, its audited loss so far, moves
the forecast only as far as evidence allows: a level and a trend with their uncertainty, carried forward to the floor, blended with the prior by how much of
the path has been seen. Abrupt ends cannot be dated by any of this; then a rate is given, and no date.

Source: local linear trend as in Durbin and Koopman 2012, "Time Series Analysis by State Space Methods", section 3.2, with binomial noise and first passage by
simulation; the prior by Kaplan-Meier and Weibull (`life.lifetime`).
"""

import math
from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

import numpy as np

from thuja.core.seeds import stream
from thuja.life.lifetime import IN_A_ROW, Life, Weibull, survival, weibull

PATHS = 500
HORIZON = 400
"""Windows that are looked ahead."""
READ = 100
"""Windows of its own past that a model's path is read from, the newest ones."""
ENOUGH = 6
"""Audited windows without which this model's own path says nothing."""
State = Literal["forecast", "hazard only", "no end in sight", "abstain"]
TIERS = ("history of similar models", "unlabelled traffic", "audited labels", "all labels")


class Forecast(NamedTuple):
    """What is said of the rest of a life."""

    state: State
    reason: str
    quantiles: tuple[float, float, float] | None
    """When 10, 50 and 90 % of such models have ended, in windows from now; None where no date can be given. inf: not within the horizon."""
    next_window: float
    """The chance of ending within the next window; NaN where unknown."""
    tier: int
    """Which evidence it rests on: the place in TIERS."""

    def plain(self) -> dict[str, Any]:
        """As JSON data: beyond the horizon is null."""
        quantiles = None if self.quantiles is None else [None if math.isinf(q) else round(q, 2) for q in self.quantiles]
        return self._asdict() | {"quantiles": quantiles, "next_window": None if math.isnan(self.next_window) else round(self.next_window, 4)}


class Seen(NamedTuple):
    """The audited windows of this model so far."""

    loss: np.ndarray
    """[windows]: mean loss; NaN where none was audited."""
    rows: np.ndarray
    """[windows]: how many rows that rests on."""
    floor: float
    """The loss above which a window is bad."""


def prior(lives: Sequence[Life], age: float) -> Forecast:
    """From the lives of similar models alone, for one that has reached `age` windows: the planning estimate."""
    ends = sum(life.ended for life in lives)
    if len(lives) < ENOUGH:
        return Forecast("abstain", f"only {len(lives)} lives of similar models are known; {ENOUGH} are needed", None, math.nan, 0)
    watched = sum(life.length for life in lives)
    if not ends:
        return Forecast("no end in sight", f"none of {len(lives)} similar models ended in {watched:g} windows", None, 1 / (watched + 1), 0)
    fitted = weibull(lives)
    if fitted is None:
        return Forecast("hazard only", f"{ends} of {len(lives)} similar models ended: a rate, but no date", None, ends / watched, 0)
    found = survival(lives)
    quantiles = tuple(_left(found.quantile(part, age), fitted, part, age) for part in (0.1, 0.5, 0.9))
    next_window = 1 - fitted.beyond(age + 1) / max(fitted.beyond(age), 1e-12)
    if quantiles[1] > HORIZON:
        return Forecast("no end in sight", f"half of such models last more than {HORIZON} windows from here", None, next_window, 0)
    assert len(quantiles) == 3
    return Forecast("forecast", f"{ends} of {len(lives)} similar models have ended", quantiles, next_window, 0)


def _left(staircase: float, fitted: Weibull, part: float, age: float) -> float:
    """Windows from now: the staircase where enough lives got so far, the fitted curve beyond."""
    return (staircase if math.isfinite(staircase) else fitted.quantile(part, age)) - age


def updated(lives: Sequence[Life], age: float, seen: Seen, *, tier: int = 2, seed: int = 0) -> Forecast:
    """The prior, moved by what has been seen of this model. With fewer than ENOUGH audited windows, or none bad enough to tell a trend, it is the prior."""
    before = prior(lives, age)
    known = ~np.isnan(seen.loss) & (seen.rows > 0)
    if known.sum() < ENOUGH or before.state in ("abstain", "no end in sight"):
        return before
    passage = first_passage(seen, seed)
    ends = np.sort(np.where(np.isinf(passage), HORIZON * 10.0, passage))
    weight = _weight(seen)
    if before.quantiles is None:
        return before._replace(next_window=(1 - weight) * before.next_window + weight * float((ends <= 1).mean()), tier=tier)
    own = np.quantile(ends, (0.1, 0.5, 0.9))
    pairs = zip(np.log(np.maximum(before.quantiles, 0.5)), np.log(np.maximum(own, 0.5)), strict=True)
    low, middle, high = (float(np.exp((1 - weight) * theirs + weight * ours)) for theirs, ours in pairs)
    if middle > HORIZON:
        return Forecast("no end in sight", f"half of the paths stay above the floor for {HORIZON} windows", None, before.next_window, tier)
    reason = f"{before.reason}; {int(known.sum())} audited windows of this one count for {weight:.0%}"
    return Forecast("forecast", reason, (low, middle, high), (1 - weight) * before.next_window + weight * float((ends <= 1).mean()), tier)


def _weight(seen: Seen) -> float:
    """How much this model's own path counts: the part of the way to the floor that it has gone, beyond its noise, from 0 to 0.8."""
    known = ~np.isnan(seen.loss)
    loss, rows = seen.loss[known], seen.rows[known]
    third = max(2, len(loss) // 3)
    start, now = (float(np.average(part, weights=n)) for part, n in ((loss[:third], rows[:third]), (loss[-third:], rows[-third:])))
    spread = math.sqrt(max(now * (1 - now), 1e-4) * (1 / rows[:third].sum() + 1 / rows[-third:].sum()))
    gone = (abs(now - start) - 2 * spread) / max(seen.floor - start, spread)
    return float(np.clip(gone, 0.0, 0.8))


def first_passage(seen: Seen, seed: int = 0) -> np.ndarray:
    """Windows until `IN_A_ROW` bad ones in a row on each of PATHS simulated futures; inf beyond the horizon.

    Level and trend are those of a local linear trend filtered over what was seen; their uncertainty and the noise of new windows are drawn.
    """
    level, trend, cover = _filtered(seen)
    rng = stream(seed, "first passage")
    drawn = rng.multivariate_normal([level, trend], cover, PATHS)
    steps = np.arange(1, HORIZON + 1)
    # A trend is not for ever: it fades to half in about 14 windows, as the state of the world is not known to keep its direction.
    fade = np.cumsum(0.95**steps)
    paths = drawn[:, :1] + drawn[:, 1:] * fade[None] + np.cumsum(rng.normal(0, _LEVEL**0.5, (PATHS, HORIZON)), axis=1)
    bad = paths > seen.floor
    run = bad.copy()
    for shift in range(1, IN_A_ROW):
        run[:, shift:] &= bad[:, :-shift]
    run[:, : IN_A_ROW - 1] = False
    return np.where(run.any(axis=1), run.argmax(axis=1) + 1.0, math.inf)


_LEVEL, _TREND = 0.004**2, 0.0005**2
"""Variances by which the level and the trend of a loss change from window to window: a loss of 15 % wanders some four points in a hundred windows."""


def _filtered(seen: Seen) -> tuple[float, float, np.ndarray]:
    """Level, trend and their covariance after the last window (Kalman filter)."""
    loss, rows = seen.loss[-READ:], seen.rows[-READ:]
    known = ~np.isnan(loss) & (rows > 0)
    first = float(np.average(loss[known], weights=rows[known]))
    state, cover = np.array([first, 0.0]), np.diag([0.05**2, 0.005**2])
    move, noise = np.array([[1.0, 1.0], [0.0, 1.0]]), np.diag([_LEVEL, _TREND])
    for place in range(len(loss)):
        if place:
            state, cover = move @ state, move @ cover @ move.T + noise
        if known[place]:
            error = max(first * (1 - first), 1e-4) / float(rows[place])
            gain = cover[:, 0] / (cover[0, 0] + error)
            state = state + gain * (loss[place] - state[0])
            cover = cover - np.outer(gain, cover[0])
    return float(state[0]), float(state[1]), (cover + cover.T) / 2
