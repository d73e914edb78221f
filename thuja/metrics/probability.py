"""Metrics of probabilities: are they good, and do they mean what they say?

Source: log loss and Brier score as in scikit-learn 1.7 (`log_loss`, clipped at the machine epsilon of the probabilities' type; `brier_score_loss`, halved
for two classes); Brier 1950. Expected calibration error: Guo et al. 2017, arXiv 1706.04599, eq. 3, 15 bins of equal width over the confidence of the
decision, intervals closed on the right.
"""

from typing import NamedTuple

import numpy as np

from thuja.metrics.classification import decision
from thuja.metrics.metric import Metric, Outputs, Weighted, mean_of, ratio, sums_by_cell

BINS = 15


def log_loss(outputs: Outputs) -> Weighted:
    """Mean of -log(probability of the true class), nats."""
    probability = outputs.arrays["probability"]
    epsilon = np.finfo(probability.dtype).eps
    given = np.take_along_axis(probability, outputs.target.astype(np.int64)[:, None], axis=1)[:, 0].astype(np.float64)
    return mean_of(-np.log(np.clip(given, epsilon, 1 - epsilon)))


def brier(outputs: Outputs) -> Weighted:
    """Mean squared distance of the probabilities from the truth: 0 to 1 for two classes, 0 to 2 for more."""
    probability = outputs.arrays["probability"].astype(np.float64)
    truth = outputs.target[:, None] == np.arange(probability.shape[1])
    distance = ((probability - truth) ** 2).sum(axis=1)
    return mean_of(distance / 2 if probability.shape[1] == 2 else distance)


def _bin_of(confidence: np.ndarray) -> np.ndarray:
    bins: np.ndarray = np.clip(np.ceil(confidence * BINS).astype(np.int64) - 1, 0, BINS - 1)
    return bins


def ece(outputs: Outputs) -> Weighted:
    """Mean over bins of |confidence - accuracy|, by the share of rows in the bin."""
    confidence = outputs.arrays["probability"].max(axis=1).astype(np.float64)
    gap = confidence - (decision(outputs) == outputs.target)
    cell = _bin_of(confidence)

    def weighted(weights: np.ndarray) -> np.ndarray:
        return ratio(np.abs(sums_by_cell(weights * gap, cell, BINS)).sum(axis=1), weights.sum(axis=1))

    return weighted


class Reliability(NamedTuple):
    """Bins that hold at least one row; each array [bins]."""

    confidence: np.ndarray
    accuracy: np.ndarray
    rows: np.ndarray


def reliability(outputs: Outputs) -> Reliability:
    """Mean confidence and accuracy per bin, for the reliability diagram."""
    confidence = outputs.arrays["probability"].max(axis=1).astype(np.float64)
    cell = _bin_of(confidence)
    rows = np.bincount(cell, minlength=BINS)
    held = rows > 0
    sums = [np.bincount(cell, weights=of, minlength=BINS) for of in (confidence, (decision(outputs) == outputs.target).astype(np.float64))]
    return Reliability(sums[0][held] / rows[held], sums[1][held] / rows[held], rows[held])


METRICS = (
    Metric("log_loss", "Log loss", "min", "probability", log_loss),
    Metric("brier", "Brier score", "min", "probability", brier),
    Metric("ece", "Calibration error (ECE)", "min", "probability", ece),
)
