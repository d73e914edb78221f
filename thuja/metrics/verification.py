"""Metrics of recognition by comparing: are two pictures of one person (verification), and whose is this one (identification).

Verification is computed from `embedding` float [rows, dim], vectors of length 1: every two rows are a pair, whose score is their dot product; it is genuine
where the targets are equal. A pair weighs the product of its rows' weights. Identification is computed from `rank` int [rows]: at which place among the
people to choose from the right one comes (1 is best); 0 where there is no picture to find.

Source: false accept and false reject rates, equal error rate, Mansfield and Wayman 2002, "Best practices in testing and reporting performance of biometric
devices", NPL CMSC 14/02; rank-k identification, ISO/IEC 19795-1. Pairs of one picture or person are not independent, so it is rows, or whole people, that
are resampled: the subsets bootstrap of Bolle, Ratha and Pankanti 2004, "Error analysis of pattern recognition systems", CVIU 93(1). Differs: a pair within a
person who is drawn twice weighs four times, where it comes twice in theirs, which makes intervals a little wider; of more than `MOST_PAIRS` pairs of either
sort a fixed random sample is taken; between two points of the curve the equal error rate is interpolated.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from thuja.core.seeds import stream
from thuja.metrics.metric import Metric, Outputs, Weighted, mean_of, ratio

MOST_PAIRS = 50_000
"""Genuine pairs, and as many pairs of different people, that are compared at most."""
HELD = 1 << 21
"""Pair weights held at once (16 MB)."""
NO_PAIRS = "no two pictures of one person, or no two people"
NOBODY = "nobody has a picture to be found by"


class Pairs(NamedTuple):
    """Pairs of rows, the most alike first."""

    first: np.ndarray
    second: np.ndarray
    """int64 [pairs], places of the two rows."""
    genuine: np.ndarray
    """bool [pairs]: whether they are of one person."""
    score: np.ndarray
    """float64 [pairs]."""


def pairs_of(outputs: Outputs) -> Pairs:
    """All pairs of different rows, or a fixed random sample of them."""
    person = np.unique(outputs.target.astype(str), return_inverse=True)[1]
    rows = len(person)
    if rows * (rows - 1) // 2 <= 2 * MOST_PAIRS:
        first, second = (places.astype(np.int64) for places in np.triu_indices(rows, 1))
    else:
        first, second = _sampled(person)
    vectors = np.asarray(outputs.arrays["embedding"], np.float64)
    score = np.concatenate([np.einsum("ij,ij->i", vectors[a], vectors[b]) for a, b in zip(*(np.array_split(s, 64) for s in (first, second)), strict=True)])
    order = np.argsort(-score, kind="stable")
    first, second = first[order], second[order]
    return Pairs(first, second, person[first] == person[second], score[order])


def _sampled(person: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """At most MOST_PAIRS genuine pairs and as many others, drawn with a fixed seed."""
    rng, order = stream(0, "pairs"), np.argsort(person, kind="stable")
    size = np.bincount(person)
    later = (np.cumsum(size)[person[order]] - 1) - np.arange(len(person))  # rows of the same person that come after it in this order
    ends = np.cumsum(later)
    total = int(ends[-1])
    chosen = np.arange(total) if total <= MOST_PAIRS else np.sort(rng.choice(total, MOST_PAIRS, replace=False))
    row = np.searchsorted(ends, chosen, "right")
    other = row + 1 + chosen - (ends[row] - later[row])
    draws = rng.integers(0, len(person), (2, 2 * MOST_PAIRS))
    strangers = draws[:, person[draws[0]] != person[draws[1]]]
    strangers = np.unique(np.sort(strangers, axis=0), axis=1)
    strangers = strangers[:, np.sort(rng.permutation(strangers.shape[1])[:MOST_PAIRS])]
    return np.concatenate([order[row], strangers[0]]), np.concatenate([order[other], strangers[1]])


class Curve(NamedTuple):
    """False and true accepts of some draws at every threshold, the strictest first: none, then every different score."""

    genuine: np.ndarray
    others: np.ndarray
    """[draws, pairs + 1]: the weight of the pairs of each sort down to one, the most alike first, beginning with 0."""
    genuine_at: np.ndarray
    others_at: np.ndarray
    """int64 [thresholds]: how many pairs of each sort pass."""
    threshold: np.ndarray
    """float64 [thresholds]."""

    def at(self, place: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """False and true accept rates [draws] at one threshold for each draw, int64 [draws]; NaN where there is no pair of that sort."""
        found = (np.take_along_axis(sums, at[place][:, None], 1)[:, 0] for sums, at in ((self.others, self.others_at), (self.genuine, self.genuine_at)))
        false, true = (ratio(passed, sums[:, -1]) for passed, sums in zip(found, (self.others, self.genuine), strict=True))
        return false, true

    def first(self, holds: Callable[[np.ndarray, np.ndarray], np.ndarray]) -> np.ndarray:
        """int64 [draws]: the strictest threshold at which the rates are such; once they are, they stay so. The mildest where they never are."""
        low, high = np.zeros(len(self.others), np.int64), np.full(len(self.others), len(self.threshold) - 1)
        while (low < high).any():
            middle = (low + high) // 2
            there = holds(*self.at(middle))
            low, high = np.where(there, low, np.minimum(middle + 1, high)), np.where(there, middle, high)
        return low


def over_curve(outputs: Outputs, of: Callable[[Curve], np.ndarray]) -> Weighted:
    """A figure [draws] of the curve, for any weights; NaN where a draw has no pairs of one sort."""
    pairs = pairs_of(outputs)
    if not pairs.genuine.any() or pairs.genuine.all():
        return lambda weights: np.full(len(weights), np.nan)
    ends = np.append(np.flatnonzero(pairs.score[1:] != pairs.score[:-1]), len(pairs.score) - 1)
    genuine_at, others_at = (np.append(0, np.cumsum(sort)[ends]) for sort in (pairs.genuine, ~pairs.genuine))
    places = [(pairs.first[sort], pairs.second[sort]) for sort in (pairs.genuine, ~pairs.genuine)]
    threshold = np.append(1.0, pairs.score[ends])

    def weighted(weights: np.ndarray) -> np.ndarray:
        found = []
        for part in np.array_split(weights, max(1, len(weights) * len(pairs.score) // HELD)):
            genuine, others = (_sums(part, *place) for place in places)
            there = (genuine[:, -1] > 0) & (others[:, -1] > 0)
            found.append(np.where(there, of(Curve(genuine, others, genuine_at, others_at, threshold)), np.nan))
        return np.concatenate(found)

    return weighted


def _sums(weights: np.ndarray, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """[draws, pairs + 1]: products of the weights of the two rows of each pair, added up from 0."""
    out = np.zeros((len(weights), len(first) + 1))
    product = np.take(weights, first, axis=1)
    product *= np.take(weights, second, axis=1)
    np.cumsum(product, axis=1, out=out[:, 1:])
    return out


def _equal_error(curve: Curve) -> np.ndarray:
    """Where false accepts and false rejects cross; between two thresholds on the straight line."""
    after = curve.first(lambda false, true: false + true >= 1)
    (f0, t0), (f1, t1) = curve.at(np.maximum(after - 1, 0)), curve.at(after)
    share = ratio(1 - t0 - f0, (f1 + t1) - (f0 + t0), 0.0)
    return np.asarray(f0 + share * (f1 - f0))


def _area(curve: Curve) -> np.ndarray:
    """How often a genuine pair is more alike than another, ties counting half."""
    false, true = (sums[:, at] / np.maximum(sums[:, -1:], 1e-300) for sums, at in ((curve.others, curve.others_at), (curve.genuine, curve.genuine_at)))
    return np.asarray(np.einsum("ij,ij->i", np.diff(false, axis=1), true[:, 1:] + true[:, :-1]) / 2)


def _mildest(curve: Curve, rate: float) -> np.ndarray:
    """int64 [draws]: the mildest threshold that keeps the false accept rate."""
    beyond = curve.first(lambda false, _: false > rate + 1e-12)
    return np.where(curve.at(beyond)[0] > rate + 1e-12, beyond - 1, beyond)


def true_accepts(rate: float) -> Callable[[Curve], np.ndarray]:
    """The true accept rate at the mildest threshold whose false accept rate is at most `rate`."""
    return lambda curve: curve.at(_mildest(curve, rate))[1]


def threshold(rate: float) -> Callable[[Curve], np.ndarray]:
    """That threshold: from which score on two pictures count as one person's. Half-way to the next score below, which would be one too many."""

    def of(curve: Curve) -> np.ndarray:
        kept = _mildest(curve, rate)
        return np.asarray((curve.threshold[kept] + curve.threshold[np.minimum(kept + 1, len(curve.threshold) - 1)]) / 2)

    return of


def _curve(of: Callable[[Curve], np.ndarray]) -> Callable[[Outputs], Weighted]:
    return lambda outputs: over_curve(outputs, of)


def ranks(vectors: np.ndarray, person: np.ndarray, block: int = 512) -> np.ndarray:
    """int64 [rows]: at which place the right person comes when each row is looked for among all the others; a person counts by the best of their rows, and
    who is just as alike comes first, so that a network that answers the same to everything finds nobody. 0 where the person has no other row.

    Args:
        vectors: float [rows, dim], of length 1.
        person: int64 or texts [rows].
    """
    place = np.unique(person, return_inverse=True)[1]
    order = np.argsort(place, kind="stable")
    starts = np.flatnonzero(np.diff(place[order], prepend=-1))
    found = []
    for rows in np.array_split(np.arange(len(place)), max(1, len(place) // block)):
        score = vectors[rows] @ vectors.T
        score[np.arange(len(rows)), rows] = -np.inf
        best = np.maximum.reduceat(score[:, order], starts, axis=1)
        own = best[np.arange(len(rows)), place[rows]]
        found.append(np.where(np.isfinite(own), (best >= own[:, None]).sum(axis=1), 0))
    return np.concatenate(found).astype(np.int64)


def _within(places: int) -> Callable[[Outputs], Weighted]:
    def prepare(outputs: Outputs) -> Weighted:
        found, there = _counted(outputs, places)
        if there.all():
            return mean_of(found)
        return lambda weights: ratio(weights @ found, weights @ there)

    return prepare


def _counted(outputs: Outputs, places: int) -> tuple[np.ndarray, np.ndarray]:
    """float64 [rows]: whether the right person is among the first `places`, and whether there is anybody to find."""
    rank = outputs.arrays["rank"]
    return ((rank >= 1) & (rank <= places)).astype(np.float64), (rank >= 1).astype(np.float64)


def _share(places: int) -> Callable[[Outputs], tuple[float, float]]:
    def proportion(outputs: Outputs) -> tuple[float, float]:
        found, there = _counted(outputs, places)
        return float(found.sum()), float(there.sum())

    return proportion


METRICS = (
    Metric("eer", "Equal error rate", "min", "embedding", _curve(_equal_error), NO_PAIRS, percent=True),
    Metric("rank_1", "Rank-1 identification", "max", "rank", _within(1), NOBODY, _share(1), percent=True),
    Metric("rank_5", "Rank-5 identification", "max", "rank", _within(5), NOBODY, _share(5), percent=True),
    Metric("tar_far_1e2", "True accepts at 1 % false ones", "max", "embedding", _curve(true_accepts(0.01)), NO_PAIRS, percent=True),
    Metric("tar_far_1e3", "True accepts at 0.1 % false ones", "max", "embedding", _curve(true_accepts(0.001)), NO_PAIRS, percent=True),
    Metric("pair_roc_auc", "ROC AUC over pairs", "max", "embedding", _curve(_area), NO_PAIRS),
    Metric("threshold_far_1e2", "Threshold of 1 % false accepts", "min", "embedding", _curve(threshold(0.01)), NO_PAIRS),
    Metric("threshold_far_1e3", "Threshold of 0.1 % false accepts", "min", "embedding", _curve(threshold(0.001)), NO_PAIRS),
)
