"""How a model that was trained at several past dates fared afterwards: the curve of its decay, its lifetimes, and the calendar that costs least.

The test needs no traffic: history is cut at past dates, a model is trained on what precedes each, and judged on what follows, window by window. Loss at age 0
is that of the first window after training, so hard and easy times are in the curve as well; the curve is the mean over the cuts, and its interval is drawn
from whole cuts, since windows of one model are not independent.

Source: the test is Thuja's own (docs/guide/life.md). Temporal quality degradation as an observation: Vela et al. 2022, "Temporal quality degradation in AI
models", Scientific Reports 12. Intervals: bootstrap of cuts (Efron 1979).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Self

import numpy as np

from thuja.core.seeds import stream
from thuja.life.lifetime import IN_A_ROW, Life, first_end
from thuja.life.path import Seen

DRAWS = 1000
WINDOW_ROWS = 500
"""That a window's loss is taken to rest on, where its way to an end is read; if they were fewer, their noise is taken for a wander."""
FEWEST_CUTS = 3
"""Cuts that must have reached an age for the curve to say something about it."""


class Cut(NamedTuple):
    """One past date."""

    at: float
    """Seconds since 1970; rows before it trained."""
    losses: np.ndarray
    """[windows]: the mean loss of each window after it, in [0, 1]; NaN where there were no rows."""


@dataclass(frozen=True)
class Decay:
    """Mean loss by age, in windows since training."""

    loss: np.ndarray
    """[ages]"""
    low: np.ndarray
    high: np.ndarray
    """[ages]: an interval of the mean over cuts."""
    cuts: np.ndarray
    """[ages]: how many cuts reached that age."""
    fresh: float
    """The mean loss of the windows right after training."""

    def excess(self) -> np.ndarray:
        """[ages]: what age has cost, never less than at a younger age: a window that was easy for all is no recovery."""
        return np.maximum.accumulate(np.maximum(np.nan_to_num(self.loss - self.fresh), 0.0))

    def plain(self) -> dict[str, Any]:
        """As JSON data."""
        return {"loss": _listed(self.loss), "low": _listed(self.low), "high": _listed(self.high), "cuts": self.cuts.tolist(), "fresh": self.fresh}

    @classmethod
    def parse(cls, data: dict[str, Any]) -> Self:
        """From its plain form."""
        loss, low, high = (np.array([math.nan if v is None else v for v in data[name]], float) for name in ("loss", "low", "high"))
        return cls(loss, low, high, np.array(data["cuts"], int), float(data["fresh"]))


def decay(cuts: Sequence[Cut], *, level: float = 0.9, seed: int = 0) -> Decay:
    """The curve of some cuts, up to the last age that FEWEST_CUTS of them reached. Raises: ValueError with fewer cuts than that."""
    if len(cuts) < FEWEST_CUTS:
        raise ValueError(f"a decay curve needs at least {FEWEST_CUTS} cuts, not {len(cuts)}")
    table = np.full((len(cuts), max(len(cut.losses) for cut in cuts)), math.nan)
    for row, cut in zip(table, cuts, strict=True):
        row[: len(cut.losses)] = cut.losses
    reached = (~np.isnan(table)).sum(axis=0)
    ages = int(np.flatnonzero(reached >= FEWEST_CUTS).max(initial=-1)) + 1
    table, reached = table[:, :ages], reached[:ages]
    drawn = stream(seed, "ageing").integers(0, len(cuts), (DRAWS, len(cuts)))
    weights = np.stack([np.bincount(draw, minlength=len(cuts)) for draw in drawn]).astype(float)
    there, values = (~np.isnan(table)).astype(float), np.nan_to_num(table)
    with np.errstate(invalid="ignore", divide="ignore"):
        means = weights @ values / (weights @ there)
        loss = values.sum(axis=0) / there.sum(axis=0)
    known = reached > 0
    low, high = np.full((2, ages), math.nan)
    low[known], high[known] = np.nanquantile(means[:, known], [(1 - level) / 2, (1 + level) / 2], axis=0)
    return Decay(loss, low, high, reached, float(np.nanmean(table[:, 0])))


def lives(cuts: Sequence[Cut], margin: float, *, in_a_row: int = IN_A_ROW) -> list[Life]:
    """How long the model of each cut lasted, in windows: until its loss was more than `margin` above that of its first window, or of the first windows of all
    cuts where that is more, `in_a_row` times: a first window that was easy by chance is not held against a model."""
    known = [cut for cut in cuts if len(cut.losses) > 1 and not math.isnan(cut.losses[0])]
    fresh = float(np.mean([cut.losses[0] for cut in known])) if known else math.nan
    return [first_end(cut.losses[1:], max(float(cut.losses[0]), fresh) + margin, in_a_row=in_a_row, higher_is_better=False) for cut in known]


def went(cuts: Sequence[Cut], margin: float) -> list[Seen]:
    """The paths of the models that ended, up to their end (for `path.ways_of`)."""
    found = []
    for cut, life in zip([cut for cut in cuts if len(cut.losses) > 1 and not math.isnan(cut.losses[0])], lives(cuts, margin), strict=True):
        if life.ended:
            loss, first = cut.losses[1 : 1 + int(life.length)], float(cut.losses[0])
            found.append(Seen(loss, np.where(np.isnan(loss), 0, WINDOW_ROWS), first + margin, first, WINDOW_ROWS))
    return found


class Calendar(NamedTuple):
    """How often to train anew."""

    every: float
    """Windows between trainings; inf: never."""
    cost: float
    """Of a window at that rhythm: loss above a fresh model's, and the share of a training; in units of loss per window."""
    never: float
    """The same if one never trains again, over as long as the curve goes."""


def calendar(curve: Decay, cost: float) -> Calendar:
    """The rhythm that costs least, where one training costs as much as `cost` windows of a loss of 1 (every row wrong).

    A model of age a costs the excess at a; renewed every n windows, the mean of the first n ages, and cost / n.
    """
    excess = curve.excess()
    if not len(excess):
        return Calendar(math.inf, math.nan, math.nan)
    rhythms = np.arange(1, len(excess) + 1)
    per_window = np.cumsum(excess) / rhythms + cost / rhythms
    never = float(excess.mean())
    best = int(per_window.argmin())
    return Calendar(float(rhythms[best]), float(per_window[best]), never) if per_window[best] < never else Calendar(math.inf, never, never)


def _listed(values: np.ndarray) -> list[float | None]:
    return [None if math.isnan(value) else round(float(value), 6) for value in values]
