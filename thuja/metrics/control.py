"""Metrics of episodes: what they brought, and how many brought what was wanted.

They are computed from `return` float [rows] (rewards added up) and `length` int [rows] (steps); the target is the return that is wanted, minus infinity
where nobody has said. A row is an episode, so intervals are over episodes of one policy; how far policies of several seeds are apart is another question.

Source: returns over fixed seeds with bootstrap intervals, Agarwal et al. 2021, "Deep reinforcement learning at the edge of the statistical precipice",
arXiv 2108.13264; the median is the value with half of the weight on
either side, the middle of two where there is one between them.
"""

import numpy as np

from thuja.metrics.metric import Metric, Outputs, Weighted, mean_of, ratio


def median(outputs: Outputs) -> Weighted:
    """The return in the middle."""
    found = np.asarray(outputs.arrays["return"], np.float64)
    order = np.argsort(found, kind="stable")
    ranked = found[order]

    def weighted(weights: np.ndarray) -> np.ndarray:
        if not len(ranked):
            return np.full(len(weights), np.nan)
        sums = np.cumsum(weights[:, order], axis=1)
        half = sums[:, -1:] / 2
        low = ranked[np.minimum((sums < half * (1 - 1e-12)).sum(axis=1), len(ranked) - 1)]
        high = ranked[np.minimum((sums <= half * (1 + 1e-12)).sum(axis=1), len(ranked) - 1)]
        return np.where(sums[:, -1] > 0, (low + high) / 2, np.nan)

    return weighted


def solved(outputs: Outputs) -> np.ndarray:
    """[rows]: 1 where an episode brought what was wanted, 0 where not, NaN where nothing was."""
    wanted = np.asarray(outputs.target, np.float64)
    return np.where(np.isinf(wanted), np.nan, outputs.arrays["return"] >= wanted)


def success(outputs: Outputs) -> Weighted:
    """Share of the episodes that brought what was wanted."""
    found = solved(outputs)
    there = ~np.isnan(found)
    return lambda weights: ratio(weights @ np.nan_to_num(found), weights @ there.astype(np.float64))


def _counts(outputs: Outputs) -> tuple[float, float]:
    found = solved(outputs)
    return float(np.nansum(found)), float((~np.isnan(found)).sum())


METRICS = (
    Metric("mean_return", "Mean return", "max", "return", lambda outputs: mean_of(outputs.arrays["return"])),
    Metric("median_return", "Median return", "max", "return", median),
    Metric("success_share", "Episodes that reach the wanted return", "max", "return", success, "no return is said to be wanted", _counts, percent=True),
    Metric("episode_length", "Mean length in steps", "max", "length", lambda outputs: mean_of(outputs.arrays["length"])),
)
