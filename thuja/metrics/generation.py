"""Metrics of pictures that were made: how far their distribution is from that of real ones, and whether they are as good and as varied.

They are computed from features, numbers that a named classifier gives for a picture: the target float [rows, k] holds those of a real picture, `features` float
[rows, k] those of the picture that was made for this row's request. Which real picture stands in a row means nothing: two distributions are compared. Further
`realistic` and `covered` int [rows] (what `manifolds` found), and `recognised` float [rows]: what probability the classifier gives to the class asked for.

The distance is not 0 for perfect pictures: with n rows, both means and covariances are estimated, and that alone keeps them apart. Compare at equal n only, and
with the distance between two real halves. A bootstrap draw holds about two thirds of the rows, some of them several times, which adds as much again: the
bias-corrected interval takes that back in part.

Source: Fréchet distance, Dowson and Landau 1982; of features: Heusel et al. 2017, arXiv 1706.08500, eq. 6; its bias: Chong and Forsyth 2020, arXiv 1911.07023.
Precision and recall: Kynkäänniemi et al. 2019, arXiv 1904.06991, eq. 1 to 3, with 3 neighbours. Differs: features are those of the classifier that the task
names, not of Inception, so that figures of others cannot be compared; for intervals, the neighbourhoods stay those of all rows and the rows that are counted
are drawn.
"""

from typing import NamedTuple

import numpy as np

from thuja.metrics.metric import Metric, Outputs, Weighted, mean_of

NEIGHBOURS = 3
BLOCK = 1 << 22
"""Distances held at once."""
LEAST = 2
"""Rows without which there is no covariance."""


class Gaussian(NamedTuple):
    """Mean [k] and covariance [k, k]."""

    mean: np.ndarray
    covariance: np.ndarray


def gaussian(features: np.ndarray, weight: np.ndarray) -> Gaussian:
    """Of weighted rows [rows, k]; weights [rows] count rows, so that 2 is the same as a row twice."""
    total = weight.sum()
    mean = weight @ features / total
    centred = (features - mean) * np.sqrt(weight)[:, None]
    return Gaussian(mean, centred.T @ centred / (total - 1))


def frechet_distance(one: Gaussian, other: Gaussian) -> float:
    """Squared distance of the means plus tr(A + B - 2 (A B)^(1/2)): how far one normal distribution has to be moved to become the other."""
    values, vectors = np.linalg.eigh(one.covariance)
    root = (vectors * np.sqrt(values.clip(0))) @ vectors.T
    joint = np.sqrt(np.linalg.eigvalsh(root @ other.covariance @ root).clip(0)).sum()
    apart = np.square(one.mean - other.mean).sum()
    return float(max(0.0, apart + np.trace(one.covariance) + np.trace(other.covariance) - 2 * joint))


def frechet(real: np.ndarray, made: np.ndarray) -> float:
    """The distance of two sets of features, each [rows, k]."""
    return frechet_distance(*(gaussian(rows.astype(np.float64), np.ones(len(rows))) for rows in (real, made)))


def _frechet(outputs: Outputs) -> Weighted:
    # Moved to the mean of the real ones and in float32: a thousand draws of covariances are the whole cost.
    middle = outputs.target.mean(axis=0, dtype=np.float64)
    real, made = ((rows - middle).astype(np.float32) for rows in (outputs.target, outputs.arrays["features"]))

    def weighted(weights: np.ndarray) -> np.ndarray:
        found = np.full(len(weights), np.nan)
        for place, weight in enumerate(weights.astype(np.float32)):
            there = weight > 0
            if there.sum() >= LEAST and np.isfinite(made).all():
                found[place] = frechet_distance(gaussian(real[there], weight[there]), gaussian(made[there], weight[there]))
        return found

    return weighted


def squared_distances(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """[rows of one, rows of other], float32, not negative."""
    found: np.ndarray = (one**2).sum(axis=1)[:, None] + (other**2).sum(axis=1) - 2 * one @ other.T
    return found.clip(0, out=found)


class Manifolds(NamedTuple):
    """Whether each row lies near rows of the other kind."""

    realistic: np.ndarray
    """int64 [rows]: 1 where a made picture lies within the neighbourhood of a real one; their mean is precision."""
    covered: np.ndarray
    """int64 [rows]: 1 where a real picture lies within the neighbourhood of a made one; their mean is recall."""


def manifolds(real: np.ndarray, made: np.ndarray, neighbours: int = NEIGHBOURS) -> Manifolds:
    """Of features, each [rows, k]. The neighbourhood of a row reaches to its third nearest row of its own kind."""
    middle = real.mean(axis=0)
    real, made = ((rows - middle).astype(np.float32) for rows in (real, made))
    return Manifolds(_inside(made, real, neighbours), _inside(real, made, neighbours))


def _inside(rows: np.ndarray, of: np.ndarray, neighbours: int) -> np.ndarray:
    """1 where a row lies in the neighbourhood of any row `of`."""
    reach, size = np.empty(len(of), np.float32), max(1, BLOCK // len(of))
    for start in range(0, len(of), size):
        near = squared_distances(of[start : start + size], of)
        reach[start : start + size] = np.partition(near, min(neighbours, len(of) - 1), axis=1)[:, min(neighbours, len(of) - 1)]  # the nearest is the row itself
    parts = [(squared_distances(rows[start : start + size], of) <= reach).any(axis=1) for start in range(0, len(rows), size)]
    return np.concatenate(parts).astype(np.int64)


def _count(name: str) -> Metric:
    label = {"realistic": "Precision of pictures", "covered": "Recall of pictures"}[name]
    return Metric({"realistic": "precision_pictures", "covered": "recall_pictures"}[name], label, "max", name,
                  lambda outputs: mean_of(outputs.arrays[name]),
                  proportion=lambda outputs: (float(outputs.arrays[name].sum()), float(len(outputs.arrays[name]))), percent=True)


METRICS = (
    Metric("frechet", "Fréchet distance", "min", "features", _frechet, "fewer than two rows"),
    _count("realistic"),
    _count("covered"),
    Metric("recognised", "Recognised as what was asked for", "max", "recognised", lambda outputs: mean_of(outputs.arrays["recognised"]),
           "no classifier was named", percent=True),
)
