"""When a model will end, from how similar ones fared and from its own path so far: Bayes' rule over the window of the end.

Before its path is looked at, the end is distributed as the lives of similar models say (`life.lifetime`: the staircase and the fitted curve), given
that this one has got as far as it has. Each window that the end might be at makes a claim about the path: under gradual ageing the loss is on its way
from where it began to the floor, early, evenly or late; under sudden ageing it is where it began. The audited losses are likelier under some of these than
under others, by binomial noise and by a wander of the loss about its way, whose size is uncertain too. So a path that says nothing leaves the prior as it was.

How such models end, suddenly or on a long way, steadily or with seasons, is learned from the paths of similar models that have ended (`ways_of`): under the
same slope a season comes back and wear does not.

Source: Bayesian residual-life updating of degradation signals, Gebraeel, Lawley, Li and Ryan 2005, "Residual-life distributions from component degradation
signals", IIE Transactions 37; the wander as an Ornstein-Uhlenbeck process (AR(1)), Gaussian likelihoods by Cholesky factors.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from thuja.life.lifetime import IN_A_ROW, Life, Survival, Weibull, survival, weibull

POINTS = 64
"""Of a path; longer ones are averaged to so many."""
ENDS = 96
"""Windows of the end that are looked at, ever farther apart."""
SHAPES = (0.0, 0.6, 1.0, 1.8)
"""How the loss goes to the floor: as the power of the share of the life that is over; 0 stands for a sudden end."""
SUDDEN = 0.4
"""The chance of a sudden end, before anything is known."""
WANDERS = ((0.0, 5.0), (0.15, 5.0), (0.35, 5.0), (0.8, 5.0), (0.35, 20.0), (0.8, 20.0))
"""The standard deviation of the wander as a share of the way to the floor, and the windows until it has forgotten itself to a third."""
RARE = 0.02
"""Share of lives that got so far, below which the staircase says nothing of what follows."""
TEMPER = 0.8
"""The part of the evidence of a path that counts: no path is quite as any of these ways has it."""
LIKE = 6.0
"""Models that all ways alike count as, beside the paths of similar models."""
WORN = 1.35
"""Weibull shape above which similar models wear out: their rate of ending rises with age."""


class Seen(NamedTuple):
    """The audited windows of this model so far."""

    loss: np.ndarray
    """[windows]: mean loss; NaN where none was audited."""
    rows: np.ndarray
    """[windows]: how many rows that rests on."""
    floor: float
    """The loss above which a window is bad."""
    start: float = math.nan
    """The loss that the reference promised; NaN where it is not known."""
    start_rows: int = 0
    """Rows that this rests on."""

    @property
    def known(self) -> np.ndarray:
        """[windows]: which were audited."""
        return np.asarray(~np.isnan(self.loss) & (self.rows > 0))


class Left(NamedTuple):
    """What is left of a life, as a distribution."""

    windows: np.ndarray
    """[ends]: windows from now, rising; the last stands for all beyond the horizon."""
    chance: np.ndarray
    """[ends]: of ending by then and not before the one before; sums to 1."""
    sudden: bool
    """Whether ends come as if without a cause: similar models hardly wear out, and this one's path is likelier that of a sudden end than of any other."""

    def quantile(self, part: float) -> float:
        """Windows until the model has ended with this chance; inf beyond the horizon."""
        total = np.cumsum(self.chance)
        place = int(np.searchsorted(total, part))
        if place >= len(self.windows) - 1:
            return math.inf
        low, below = (self.windows[place - 1], total[place - 1]) if place else (0.0, 0.0)
        return float(low + (self.windows[place] - low) * (part - below) / max(self.chance[place], 1e-300))


def posterior(lives: Sequence[Life], age: float, seen: Seen, horizon: int, ways: np.ndarray | None = None) -> Left:
    """What is left of a life that has reached `age` windows. `ways`: how such models end, from `ways_of`; without, or from other tables, all are as likely."""
    windows = np.unique(np.round(np.geomspace(1, horizon, ENDS)))
    before, wear = _before(lives, age, np.append(windows, math.inf))
    chances = _level() if ways is None or ways.shape != (len(WANDERS), len(SHAPES)) else ways
    likelihood = TEMPER * _likelihood(age, seen, np.append(windows, 4.0 * horizon))
    joint = before[None, :, None] * chances[:, None, :] * np.exp(likelihood - likelihood.max())
    chance = joint.sum(axis=(0, 2)) / joint.sum()
    return Left(np.append(windows, math.inf), chance, bool(wear < WORN and joint[:, :, 0].sum() / joint.sum() >= 0.5))


def _level() -> np.ndarray:
    """[wanders, shapes]: the chances of each way to the end before anything is known."""
    shapes = np.array([SUDDEN, *[(1 - SUDDEN) / (len(SHAPES) - 1)] * (len(SHAPES) - 1)])
    return np.tile(shapes / len(WANDERS), (len(WANDERS), 1))


def ways_of(paths: Sequence[Seen]) -> np.ndarray:
    """[wanders, shapes]: how models that have ended went there, from their paths up to the end: the chances of each way, by expectation and maximisation from
    all ways alike, which count as `LIKE` models."""
    found = [_likelihood(len(path.loss) - IN_A_ROW, path._replace(loss=path.loss[:-IN_A_ROW], rows=path.rows[:-IN_A_ROW]), np.array([float(IN_A_ROW)]))[:, 0]
             for path in paths if path.known[:-IN_A_ROW].sum() >= 3]
    chances = _level()
    if not found:
        return chances
    likelihood = np.exp(np.stack(found) - np.stack(found).max(axis=(1, 2), keepdims=True))
    for _ in range(30):
        each = likelihood * chances
        each /= each.sum(axis=(1, 2), keepdims=True)
        chances = (each.sum(axis=0) + LIKE * _level()) / (len(found) + LIKE)
    return chances


def _before(lives: Sequence[Life], age: float, windows: np.ndarray) -> tuple[np.ndarray, float]:
    """[ends]: the chance of ending within each step of `windows` from now, by the lives of similar models; and the shape of their wear.

    Half is the staircase of what happened, as far as lives were watched, with the fitted curve beyond; half is the fitted curve, which has no gaps.
    """
    edges = age + np.concatenate([[0.0], windows[:-1] + 0.5])
    fitted = weibull(lives)
    if fitted is None:  # a rate is all that so few ends tell
        left = np.exp(-(edges - age) * max(sum(life.ended for life in lives), 0.5) / max(sum(life.length for life in lives), 1.0))
        return np.maximum(-np.diff(np.append(left, 0.0)), 0.0), 1.0
    curve = np.array([fitted.beyond(edge) for edge in edges]) / max(fitted.beyond(age), 1e-300)
    stairs = _staircase(survival(lives), fitted, edges)
    left = curve if stairs[0] < RARE else (curve + stairs / stairs[0]) / 2
    return np.maximum(-np.diff(np.append(left, 0.0)), 0.0), fitted.shape


def _staircase(found: Survival, fitted: Weibull, times: np.ndarray) -> np.ndarray:
    """[times]: the share of lives that last longer, straight between the steps, and as the curve has it beyond what was watched."""
    last = max(found.last, float(found.times[-1]) + 1e-6)
    stairs = np.interp(times, [0.0, *found.times, last], [1.0, *found.share, found.share[-1]])
    far = times > last
    stairs[far] = found.share[-1] * np.array([fitted.beyond(time) for time in times[far]]) / max(fitted.beyond(last), 1e-300)
    return np.asarray(stairs)


def _likelihood(age: float, seen: Seen, windows: np.ndarray) -> np.ndarray:
    """[wanders, ends, shapes]: the logarithm of how likely the path is, were the end so many windows from now."""
    times, loss, rows = _points(age, seen)
    start = seen.start if math.isfinite(seen.start) else float(np.average(loss[: len(loss) // 3 + 1], weights=rows[: len(loss) // 3 + 1]))
    way = max(seen.floor - start, 0.005)
    level = float(np.clip(np.average(loss, weights=rows), 0.002, 0.998))
    doubt = (0.15 * way) ** 2 + (start * (1 - start) / seen.start_rows if seen.start_rows else (0.5 * way) ** 2)
    gone = _gone(times, age + windows)
    expected, free = start + way * gone, 1 - np.minimum(gone, 1.0)
    apart = np.abs(times[:, None] - times[None, :])
    noise, cases = np.diag(level * (1 - level) / rows), (-1, len(times))

    def under(size: float, lasts: float) -> np.ndarray:
        cover = noise + (size * way) ** 2 * np.exp(-apart / lasts)
        return _gaussian((loss - expected).reshape(cases), free.reshape(cases), doubt, cover).reshape(gone.shape[:2])

    return np.stack([under(size, lasts) for size, lasts in WANDERS])


def _gone(times: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """[ends, shapes, times]: how much of the way to the floor is gone by each time; the floor is crossed as the first of IN_A_ROW bad windows begins."""
    crossing = np.maximum(ends - IN_A_ROW + 0.5, 0.5)[:, None]
    share = np.minimum(times / crossing, 1.5)
    return np.stack([np.where(times > crossing, 1.5, 0.0) if shape == 0 else share**shape for shape in SHAPES], axis=1)


def _gaussian(residual: np.ndarray, free: np.ndarray, doubt: float, cover: np.ndarray) -> np.ndarray:
    """[cases]: the log likelihood of residuals with this covariance, and an unknown start (variance `doubt`) that enters by `free`."""
    from scipy.linalg import solve_triangular

    factor = np.linalg.cholesky(cover)
    white = solve_triangular(factor, np.concatenate([residual, free]).T, lower=True)
    ours, theirs = white[:, : len(residual)], white[:, len(residual) :]
    more = 1 + doubt * (theirs**2).sum(axis=0)
    square = (ours**2).sum(axis=0) - doubt * (ours * theirs).sum(axis=0) ** 2 / more
    return np.asarray(-(square + np.log(more)) / 2 - np.log(np.diag(factor)).sum())


def _points(age: float, seen: Seen) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The audited windows, neighbours averaged where there are too many: their age, loss and rows, [points] each."""
    known = seen.known
    times = (age - len(seen.loss) + 1 + np.arange(len(seen.loss)))[known]
    loss, rows = seen.loss[known], seen.rows[known].astype(float)
    block = np.arange(len(loss)) // -(-len(loss) // POINTS)
    weight = np.bincount(block, rows)
    return np.bincount(block, rows * times) / weight, np.bincount(block, rows * loss) / weight, weight
