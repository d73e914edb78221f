"""How a model fares where no labels have come yet: an estimate from its own confidence, and the gate that decides whether anybody is shown it.

Confidence says how sure a model is, not how good it is: on streams whose rule has changed it is worse than no estimate at all. So an estimate is shown only
while it has been better than a constant (what the model scored before deployment) on the windows that were audited.

Source: calibrated confidence: Guo et al. 2017, arXiv 1706.04599 (expected accuracy), with reliability by quantile bins made monotone (pool adjacent violators,
Ayer et al. 1955) in place of a temperature. Threshold: Garg et al. 2022, "Leveraging unlabeled data to predict out-of-distribution performance", arXiv
2201.04234 (ATC, by confidence). Errors of amounts: the mean loss of the reference rows in bins of what was answered. The gate: `life.sequential`.
"""

import math
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np

from thuja.life.sequential import Comparison

BINS = 20
TRUSTED, LOST, AGAIN, SOON = 10.0, 10.0, 0.1, 0.9
"""Evidence (odds of a fair bet) from which on an estimate is shown, from which on it no longer is, and under which a bet is begun again: the one for trust, and
the one against it, which must not be slow because all was well for long."""
FAR = 0.2
"""An estimate that is off by so much could not be more wrong, as far as trust is concerned: what is bet on lies between 0 and 1."""


@dataclass(frozen=True)
class Expected:
    """The loss to be expected of an answer, learned from reference rows of which the truth is known."""

    edges: tuple[float, ...]
    """Borders between bins of the score, rising."""
    loss: tuple[float, ...]
    """The mean loss in each bin; one more than there are borders."""
    threshold: float
    """The score below which as large a share of the reference rows lies as were wrong (ATC); NaN for losses that are not 0 or 1."""
    constant: float
    """The mean loss of all reference rows: what is said when nothing better is known."""
    rows: int

    def confidence(self, score: np.ndarray) -> float:
        """The expected mean loss of answers with these scores [n]; NaN without rows."""
        return float(np.asarray(self.loss)[np.searchsorted(self.edges, score, side="right")].mean()) if len(score) else math.nan

    def share_below(self, score: np.ndarray) -> float:
        """The same by the threshold (ATC)."""
        return float((score < self.threshold).mean()) if len(score) and not math.isnan(self.threshold) else math.nan

    def plain(self) -> dict[str, Any]:
        """As JSON data."""
        return {"edges": list(self.edges), "loss": list(self.loss), "threshold": None if math.isnan(self.threshold) else self.threshold,
                "constant": self.constant, "rows": self.rows}

    @classmethod
    def parse(cls, data: dict[str, Any]) -> Self:
        """From its plain form."""
        threshold = math.nan if data["threshold"] is None else float(data["threshold"])
        return cls(tuple(data["edges"]), tuple(data["loss"]), threshold, float(data["constant"]), int(data["rows"]))


def learn(score: np.ndarray, loss: np.ndarray, *, falling: bool = True) -> Expected:
    """From reference rows: the score of each answer [n] and its loss [n] in [0, 1].

    `falling`: whether a higher score promises a smaller loss (confidence); without it (a predicted amount) the loss may go up and down. With no
    rows the constant is 1, and so is every estimate.
    """
    score, loss = np.asarray(score, float), np.asarray(loss, float)
    if not len(score):
        return Expected((), (1.0,), math.nan, 1.0, 0)
    edges = np.unique(np.quantile(score, np.linspace(0, 1, min(BINS, max(2, len(score) // 50)) + 1)[1:-1]))
    place = np.searchsorted(edges, score, side="right")
    rows = np.bincount(place, minlength=len(edges) + 1)
    mean = np.bincount(place, weights=loss, minlength=len(edges) + 1) / np.maximum(rows, 1)
    mean[rows == 0] = loss.mean()
    smooth = -_rising(-mean, rows) if falling else mean
    wrong = bool(np.isin(loss, (0, 1)).all()) and falling
    threshold = float(np.quantile(score, loss.mean(), method="higher")) if wrong else math.nan
    return Expected(tuple(edges.tolist()), tuple(smooth.tolist()), threshold, float(loss.mean()), len(score))


def _rising(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """The nearest sequence that never falls: neighbours in the wrong order share their mean."""
    blocks: list[list[float]] = []
    for value, weight in zip(values.tolist(), np.maximum(weights, 1e-9).tolist(), strict=True):
        blocks.append([value, weight, 1])
        while len(blocks) > 1 and blocks[-2][0] > blocks[-1][0]:
            last, before = blocks.pop(), blocks.pop()
            total = last[1] + before[1]
            blocks.append([(last[0] * last[1] + before[0] * before[1]) / total, total, last[2] + before[2]])
    return np.repeat([block[0] for block in blocks], [int(block[2]) for block in blocks])


@dataclass(frozen=True)
class Gate:
    """Whether an estimate is entitled to be shown. Frozen: `after` gives the next one.

    For each audited window, both are charged their distance from the audited loss, with the same noise. Trust is won by evidence that the
    estimate is nearer, and lost by evidence that it is farther, or that it is off by more than half of FAR: where the rule has changed, a constant is as wrong,
    and no excuse.
    """

    trusted: bool = False
    nearer: Comparison = field(default_factory=Comparison)
    farther: Comparison = field(default_factory=Comparison)
    windows: int = 0

    def after(self, estimate: float, constant: float, audited: float) -> Self:
        """After one more window; one of which something is unknown changes nothing."""
        if any(math.isnan(value) for value in (estimate, constant, audited)):
            return self
        ours, theirs = (np.array([min(abs(value - audited) / FAR, 1.0)]) for value in (estimate, constant))
        nearer, farther = _begun_again(self.nearer.after(theirs, ours), AGAIN), _begun_again(self.farther.after(ours, np.minimum(theirs, 0.5)), SOON)
        if self.trusted and farther.wealth >= LOST:
            return type(self)(False, Comparison(), Comparison(), self.windows + 1)
        if not self.trusted and nearer.wealth >= TRUSTED:
            return type(self)(True, nearer, Comparison(), self.windows + 1)
        return type(self)(self.trusted, nearer, farther, self.windows + 1)

    def why(self) -> str:
        """In words, for the page."""
        if self.trusted:
            return f"on {self.windows} audited windows it has been nearer to the truth than a constant (evidence {self.nearer.wealth:.0f} to 1)"
        if not self.windows:
            return "no window has been audited yet"
        return f"after {self.windows} audited windows there is no evidence that it is nearer to the truth than a constant ({self.nearer.wealth:.1f} to 1)"


def _begun_again(bet: Comparison, under: float) -> Comparison:
    """A bet that is nearly lost is begun anew: what was true long ago should not stand in the way. Each attempt is a fair one."""
    return Comparison(bet.margin) if bet.wealth < under else bet
