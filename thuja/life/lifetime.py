"""How long models last: the first end of a life in a row of measured windows, and the distribution of lifetimes of which some have not ended yet.

Source: Kaplan and Meier 1958 (product-limit estimate), Greenwood 1926 (its variance, on the log-log scale as in Kalbfleisch and Prentice 1980); Weibull 1951,
by maximum likelihood with censored lives. An end is of the true metric, never of a monitor's estimate, so that it can be checked later.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

IN_A_ROW = 3
"""Windows below the floor that make an end; one bad window is weather."""
FEWEST_ENDS = 3
"""Ended lives without which nothing is said about the rest."""


class Life(NamedTuple):
    """One model's life, as far as it is known."""

    length: float
    """In windows, or any unit of time: until the end, or until it was last seen alive."""
    ended: bool
    """False: still good when last seen (censored)."""


def first_end(values: np.ndarray, floor: float, *, in_a_row: int = IN_A_ROW, higher_is_better: bool = True) -> Life:
    """The life in windows [n] of a metric: its end is the last of the first `in_a_row` windows that are all worse than `floor`. NaN windows (nothing known)
    neither end a life nor interrupt a bad row."""
    bad, known = 0, 0
    for place, value in enumerate(np.asarray(values, float)):
        if math.isnan(value):
            continue
        known = place + 1
        worse = value < floor if higher_is_better else value > floor
        bad = bad + 1 if worse else 0
        if bad == in_a_row:
            return Life(place + 1, True)
    return Life(known, False)


@dataclass(frozen=True)
class Survival:
    """The share of lives that last longer than each time: a falling staircase."""

    times: np.ndarray
    """[k]: when lives ended, rising."""
    share: np.ndarray
    """[k]: of lives that last longer."""
    low: np.ndarray
    high: np.ndarray
    """[k]: an interval of it."""
    last: float
    """The longest that any life has been watched; nothing is known beyond."""

    def beyond(self, time: float) -> float:
        """The share that lasts longer than `time`; NaN beyond what has been watched."""
        if time > self.last:
            return math.nan
        place = np.searchsorted(self.times, time, side="right") - 1
        return float(self.share[place]) if place >= 0 else 1.0

    def quantile(self, part: float, given: float = 0.0) -> float:
        """When `part` of the lives that reached `given` are over; inf where so many have not ended within what was watched."""
        alive = self.beyond(given)
        if not alive > 0:
            return math.inf
        over = np.flatnonzero(self.share <= alive * (1 - part) + 1e-12)
        over = over[self.times[over] > given]
        return float(self.times[over[0]]) if len(over) else math.inf


def survival(lives: Sequence[Life], level: float = 0.9) -> Survival:
    """The product-limit estimate from lives of which some are censored, with an interval at every step."""
    from statistics import NormalDist

    lengths, ended = np.array([life.length for life in lives], float), np.array([life.ended for life in lives], bool)
    times = np.unique(lengths[ended])
    at_risk = np.array([(lengths >= time).sum() for time in times], float)
    ends = np.array([((lengths == time) & ended).sum() for time in times], float)
    share = np.cumprod(1 - ends / at_risk)
    with np.errstate(divide="ignore", invalid="ignore"):
        greenwood = np.cumsum(ends / (at_risk * (at_risk - ends)))
        spread = NormalDist().inv_cdf((1 + level) / 2) * np.sqrt(greenwood) / np.abs(np.log(share))
        low, high = share ** np.exp(spread), share ** np.exp(-spread)
    known = (share > 0) & (share < 1)
    return Survival(times, share, np.where(known, low, 0.0), np.where(known, high, 1.0), float(lengths.max(initial=0.0)))


class Weibull(NamedTuple):
    """Lifetimes whose rate of ending goes with time to the power of shape - 1: shape below 1, early ends; 1, a constant rate; above, wear."""

    shape: float
    scale: float

    def beyond(self, time: float) -> float:
        """The share that lasts longer."""
        return math.exp(-((max(time, 0.0) / self.scale) ** self.shape))

    def quantile(self, part: float, given: float = 0.0) -> float:
        """When `part` of the lives that reached `given` are over."""
        return float(self.scale * ((max(given, 0.0) / self.scale) ** self.shape - math.log1p(-part)) ** (1 / self.shape))


def weibull(lives: Sequence[Life], *, prior: float = 1.0) -> Weibull | None:
    """The likeliest Weibull distribution of lives, some of them censored; None with fewer than FEWEST_ENDS ends.

    `prior`: with how many ends' weight the shape is held near 1 (a log-normal prior of spread 0.5): a handful of lives says little about it.
    """
    lengths, ended = np.array([life.length for life in lives], float), np.array([life.ended for life in lives], bool)
    usable = lengths > 0
    lengths, ended = lengths[usable], ended[usable]
    if ended.sum() < FEWEST_ENDS:
        return None
    from scipy.optimize import minimize_scalar

    logs = np.log(lengths)

    def loss(log_shape: float) -> float:
        shape = math.exp(log_shape)
        scale = _scale(lengths, ended, shape)
        likelihood = float((ended * (log_shape - shape * math.log(scale) + (shape - 1) * logs)).sum() - ((lengths / scale) ** shape).sum())
        return -likelihood + prior * log_shape**2 / (2 * 0.5**2)

    best = float(minimize_scalar(loss, bounds=(math.log(0.1), math.log(20.0)), method="bounded").x)
    return Weibull(math.exp(best), _scale(lengths, ended, math.exp(best)))


def _scale(lengths: np.ndarray, ended: np.ndarray, shape: float) -> float:
    """The likeliest scale for a shape."""
    return float(((lengths**shape).sum() / ended.sum()) ** (1 / shape))
