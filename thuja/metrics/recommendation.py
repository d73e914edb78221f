"""Metrics of rankings: at which place is what was taken next, and what is recommended at all.

They are computed from `rank` int [rows] (1 is best), `sampled` int [rows] (the rank among negatives that come with the data; 0 where a row has none), `top`
int [rows, K] (what is recommended, as numbers from 1; 0 for nothing), `catalogue` [rows] (how many items there are, the same in each row), and
`popularity`, `target_popularity` float [rows] (the share of the training interactions of what is recommended, on average, and of what was taken).

Source: hit rate and NDCG at 10 with one relevant item, He et al. 2017, arXiv 1708.05031, section 4.1; both protocols, all items and 99 negatives: Zhou et al.
2020, arXiv 2008.07873 (S3-Rec); that sampled metrics need not agree with whole ones: Krichene and Rendle 2020, "On sampled metrics for item recommendation",
KDD. Coverage: Ge et al. 2010, "Beyond accuracy", RecSys. Popularity lift: Abdollahpouri et al. 2019, arXiv 1907.13286, as a ratio of the two shares.
"""

from collections.abc import Callable

import numpy as np

from thuja.metrics.metric import Metric, Outputs, Weighted, mean_of, ratio

PLACES = 10
"""Places that count."""


def hits(rank: np.ndarray) -> np.ndarray:
    """[rows]: 1 where the rank is among the first ten."""
    return ((rank >= 1) & (rank <= PLACES)).astype(np.float64)


def gains(rank: np.ndarray) -> np.ndarray:
    """[rows]: 1 / log2(rank + 1) among the first ten, else 0: NDCG where one item alone is right."""
    return np.asarray(hits(rank) / np.log2(np.maximum(rank, 1) + 1.0))


def _over_all(of: Callable[[np.ndarray], np.ndarray]) -> Callable[[Outputs], Weighted]:
    return lambda outputs: mean_of(of(outputs.arrays["rank"]))


def _over_sampled(of: Callable[[np.ndarray], np.ndarray]) -> Callable[[Outputs], Weighted]:
    """Rows with negatives alone count."""

    def prepare(outputs: Outputs) -> Weighted:
        there = (outputs.arrays["sampled"] > 0).astype(np.float64)
        found = of(outputs.arrays["sampled"]) * there
        return lambda weights: ratio(weights @ found, weights @ there)

    return prepare


def _reciprocal(rank: np.ndarray) -> np.ndarray:
    return np.asarray(1.0 / np.maximum(rank, 1))


def coverage(outputs: Outputs) -> Weighted:
    """Share of the catalogue that is recommended to anyone."""
    top, items = outputs.arrays["top"], int(outputs.arrays["catalogue"][0]) if len(outputs.arrays["catalogue"]) else 0

    def weighted(weights: np.ndarray) -> np.ndarray:
        found = [len(np.unique(top[draw > 0][top[draw > 0] > 0])) for draw in weights]
        return ratio(np.array(found, np.float64), np.full(len(found), float(items)))

    return weighted


def popularity_lift(outputs: Outputs) -> Weighted:
    """How many times more popular what is recommended is than what was taken: 1 is no bias."""
    given, taken = (np.asarray(outputs.arrays[name], np.float64) for name in ("popularity", "target_popularity"))
    return lambda weights: ratio(weights @ given, weights @ taken)


def _hit(name: str) -> Callable[[Outputs], tuple[float, float]]:
    return lambda outputs: (float(hits(outputs.arrays[name]).sum()), float((outputs.arrays[name] > 0).sum()))


NONE = "no row has negatives"
METRICS = (
    Metric("hit_rate_10", "Hit rate at 10", "max", "rank", _over_all(hits), proportion=_hit("rank"), percent=True),
    Metric("ndcg_10", "NDCG at 10", "max", "rank", _over_all(gains)),
    Metric("mrr", "Mean reciprocal rank", "max", "rank", _over_all(_reciprocal)),
    Metric("hit_rate_10_sampled", "Hit rate at 10 among negatives", "max", "sampled", _over_sampled(hits), NONE, _hit("sampled"), percent=True),
    Metric("ndcg_10_sampled", "NDCG at 10 among negatives", "max", "sampled", _over_sampled(gains), NONE),
    Metric("coverage_10", "Catalogue coverage at 10", "max", "top", coverage, percent=True),
    Metric("popularity_lift", "Popularity lift", "min", "popularity", popularity_lift, "nothing known was taken"),
)
