"""Tests that may be looked at as often as one likes: alarms with a stated budget, and comparisons that may stop at any time.

A bet on losses in [0, 1] whose mean is said to be at most m multiplies its wealth by 1 + b (x - m) for each of them: while the claim holds, wealth is not
expected to grow, whatever the past, so it exceeds w with a chance of at most 1 / w, at any time (Ville). Several stakes b are held at once, since nobody knows
how large the harm will be.

Source: betting: Waudby-Smith and Ramdas 2024, "Estimating means of bounded random variables by betting", arXiv 2010.09686. Detector: Shin, Ramdas and Rinaldo
2023, "E-detectors", arXiv 2203.03532 (Shiryaev-Roberts: a bet begun at every batch, all of them added). Upper bound of the reference: Clopper and Pearson 1934
for shares, Hoeffding 1963 otherwise. Differs: a fixed mixture of stakes in place of adaptive ones, so that the order of rows in a batch does not matter.
"""

import math
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np

GAINS = (0.025, 0.05, 0.1, 0.3)
"""How much worse the mean may have become: a stake that is the best one for each."""
WEIGHTS = (2, 4, 2, 1)
"""Money on each stake. Chosen by simulation (`benchmarks/life/`): five points down in batches of 100 are what people ask about first."""
STAKES = (0.9, *(2.0**-i for i in range(1, 10)))
"""Shares of what can be lost at most, for comparisons."""


def stakes(claim: float, gains: tuple[float, ...] = GAINS) -> np.ndarray:
    """The stakes [k] that grow fastest when the mean is `claim` plus each gain and losses are 0 or 1; none can lose everything.

    A claim of 1 leaves nothing to bet on, and the stakes are 0.
    """
    claim = min(max(claim, 1e-6), 1.0)
    worse = np.minimum(claim + np.asarray(gains), (1 + claim) / 2)
    return np.asarray((worse - claim) / max(claim * (1 - claim), 1e-12)) if claim < 1 else np.zeros(len(gains))


def log_growth(losses: np.ndarray, claim: float, stake: np.ndarray) -> np.ndarray:
    """By how much the logarithm of each bet's wealth grows over a batch: losses [n] in [0, 1], stakes [k], to [k]."""
    assert losses.size == 0 or (losses.min() >= 0 and losses.max() <= 1), "losses lie between 0 and 1"
    values, counts = np.unique(losses, return_counts=True)
    return np.asarray(np.log1p(stake[:, None] * (values - claim)[None]) @ counts)


def upper_bound(mean: float, rows: int, confidence: float = 0.9, *, share: bool = True) -> float:
    """A mean that the true one exceeds with a chance of at most 1 - confidence, from `rows` independent losses in [0, 1].

    `share`: whether each loss is 0 or 1, which allows the narrower exact bound.
    """
    if rows == 0:
        return 1.0
    if not share:
        return min(1.0, mean + math.sqrt(math.log(1 / (1 - confidence)) / (2 * rows)))
    from scipy.special import betaincinv  # scipy takes 100 ms to import

    wrong = round(mean * rows)
    return 1.0 if wrong >= rows else float(betaincinv(wrong + 1, rows - wrong, confidence))


@dataclass(frozen=True)
class Detector:
    """Watches the losses of one stream for harm. A frozen value: `after` gives the next one, so that a log of batches gives back the state.

    While the claim holds, the expected number of batches before an alarm at `threshold` is at least that threshold.
    """

    claim: float
    """The mean loss that is still fine: the upper bound of the reference."""
    log_statistics: tuple[float, ...] = ()
    """Of every stake: the logarithm of the wealth of all bets together; empty before the first batch."""
    batches: int = 0

    def after(self, losses: np.ndarray) -> Self:
        """The detector after one more batch of losses [n] in [0, 1]; one without rows changes nothing."""
        if losses.size == 0:
            return self
        growth = log_growth(np.asarray(losses, float), self.claim, stakes(self.claim))
        before = np.asarray(self.log_statistics) if self.log_statistics else np.full(len(growth), -np.inf)
        now = np.logaddexp(before, 0.0) + growth
        return type(self)(self.claim, tuple(float(v) for v in now), self.batches + 1)

    @property
    def statistic(self) -> float:
        """The weighted mean over the stakes: what is compared with the threshold. 0 before the first batch."""
        if not self.log_statistics:
            return 0.0
        weights = np.log(np.asarray(WEIGHTS) / sum(WEIGHTS))
        return float(np.exp(min(700.0, np.logaddexp.reduce(np.asarray(self.log_statistics) + weights))))


def together(statistics: list[float]) -> float:
    """One statistic for several streams (metrics, groups) under one budget: the mean of e-detectors is one."""
    return float(np.mean(statistics)) if statistics else 0.0


@dataclass(frozen=True)
class Comparison:
    """Whether a challenger is better than the champion by more than `margin` (negative: not worse by more than that), row by row.

    The chance that `wealth` ever reaches 1 / alpha although it is not is at most alpha.
    """

    margin: float = 0.0
    rows: int = 0
    total: float = 0.0
    """Sum of the differences."""
    log_wealth: tuple[float, ...] = field(default=(0.0,) * len(STAKES))

    def after(self, champion: np.ndarray, challenger: np.ndarray) -> Self:
        """After more rows: losses in [0, 1] of both on the same rows."""
        gain = np.asarray(champion, float) - np.asarray(challenger, float)
        assert gain.size == 0 or np.abs(gain).max() <= 1, "losses lie between 0 and 1"
        values, counts = np.unique(gain - self.margin, return_counts=True)
        worst = 1 + abs(self.margin)
        growth = np.log1p(np.asarray(STAKES)[:, None] / worst * values[None]) @ counts
        return type(self)(self.margin, self.rows + gain.size, self.total + float(gain.sum()), tuple(float(v) for v in np.asarray(self.log_wealth) + growth))

    def plain(self) -> list[Any]:
        """As JSON data."""
        return [self.margin, self.rows, self.total, list(self.log_wealth)]

    @classmethod
    def parse(cls, data: list[Any]) -> Self:
        """From its plain form."""
        return cls(data[0], data[1], data[2], tuple(data[3]))

    @property
    def wealth(self) -> float:
        """The evidence so far; 1 at the start."""
        return float(np.exp(min(700.0, np.logaddexp.reduce(self.log_wealth) - math.log(len(self.log_wealth)))))

    @property
    def mean(self) -> float:
        """The mean gain of the challenger; NaN without rows."""
        return self.total / self.rows if self.rows else math.nan
