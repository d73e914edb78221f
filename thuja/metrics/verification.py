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

MOST_PAIRS = 100_000
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
    """False and true accept rates [draws, thresholds], from the strictest threshold to the mildest, and the thresholds themselves."""

    false: np.ndarray
    true: np.ndarray
    threshold: np.ndarray


def over_curve(outputs: Outputs, of: Callable[[Curve], np.ndarray]) -> Weighted:
    """A figure [draws] of the curve, for any weights; NaN where a draw has no pairs of one sort."""
    pairs = pairs_of(outputs)
    ends = np.flatnonzero(np.append(pairs.score[1:] != pairs.score[:-1], True)) if len(pairs.score) else np.zeros(0, np.int64)
    if not pairs.genuine.any() or pairs.genuine.all():
        return lambda weights: np.full(len(weights), np.nan)

    def weighted(weights: np.ndarray) -> np.ndarray:
        found = []
        for part in np.array_split(weights, max(1, len(weights) * len(pairs.score) // HELD)):
            weight = part[:, pairs.first] * part[:, pairs.second]
            genuine = np.cumsum(weight * pairs.genuine, axis=1)
            others = np.cumsum(weight, axis=1) - genuine
            there = (genuine[:, -1] > 0) & (others[:, -1] > 0)
            true, false = (ratio(total[:, ends], total[:, -1:], 0.0) for total in (genuine, others))
            found.append(np.where(there, of(Curve(false, true, pairs.score[ends])), np.nan))
        return np.concatenate(found)

    return weighted


def _equal_error(curve: Curve) -> np.ndarray:
    """Where false accepts and false rejects cross."""
    false, missed = np.pad(curve.false, ((0, 0), (1, 0))), 1 - np.pad(curve.true, ((0, 0), (1, 0)))
    after = (false >= missed).argmax(axis=1)[:, None]
    before = np.maximum(after - 1, 0)
    f0, f1, m0, m1 = (np.take_along_axis(rates, place, 1)[:, 0] for rates in (false, missed) for place in (before, after))
    share = ratio(m0 - f0, (m0 - f0) + (f1 - m1), 0.0)
    return np.asarray(f0 + share * (f1 - f0))


def _area(curve: Curve) -> np.ndarray:
    false, true = (np.pad(rates, ((0, 0), (1, 0))) for rates in (curve.false, curve.true))
    return np.asarray((np.diff(false, axis=1) * (true[:, 1:] + true[:, :-1]) / 2).sum(axis=1))


def _last_within(curve: Curve, rate: float) -> np.ndarray:
    """int64 [draws]: how many thresholds keep the false accept rate; the last of them is the mildest that does."""
    return np.asarray((curve.false <= rate + 1e-12).sum(axis=1))


def true_accepts(rate: float) -> Callable[[Curve], np.ndarray]:
    """The true accept rate at the mildest threshold whose false accept rate is at most `rate`."""

    def of(curve: Curve) -> np.ndarray:
        true = np.pad(curve.true, ((0, 0), (1, 0)))
        return np.asarray(np.take_along_axis(true, _last_within(curve, rate)[:, None], 1)[:, 0])

    return of


def threshold(rate: float) -> Callable[[Curve], np.ndarray]:
    """That threshold: from which score on two pictures count as one person's. Half-way to the next score below, which would be one too many."""

    def of(curve: Curve) -> np.ndarray:
        kept = _last_within(curve, rate)
        scores = np.concatenate([[1.0], curve.threshold, curve.threshold[-1:]])
        return np.asarray((scores[kept] + scores[kept + 1]) / 2)

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
