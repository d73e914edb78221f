"""Metrics of numbers, in the target's own units.

Source: definitions of scikit-learn (`root_mean_squared_error`, `mean_absolute_error`, `r2_score`). Deviation: R2 of a target that never varies is NaN
rather than 0 or 1.
"""

import numpy as np

from thuja.metrics.metric import Metric, Outputs, Weighted, mean_of, ratio


def error(outputs: Outputs) -> np.ndarray:
    """[rows]: predicted minus actual."""
    return outputs.arrays["value"].astype(np.float64).reshape(-1) - outputs.target.astype(np.float64)


def rmse(outputs: Outputs) -> Weighted:
    """Root of the mean squared error."""
    squared = mean_of(error(outputs) ** 2)
    return lambda weights: np.sqrt(squared(weights))


def mae(outputs: Outputs) -> Weighted:
    """Mean absolute error."""
    return mean_of(np.abs(error(outputs)))


def r2(outputs: Outputs) -> Weighted:
    """Share of the target's variance that is explained; 0 is the mean, negative is worse than the mean."""
    squared = error(outputs) ** 2
    target = outputs.target.astype(np.float64)
    target = target - target.mean() if len(target) else target  # centred first: the variance below then loses no digits
    moments = np.stack([squared, target**2, target], axis=1)

    def weighted(weights: np.ndarray) -> np.ndarray:
        residual, square, first = (weights @ moments).T
        varied = square - ratio(first, weights.sum(axis=1)) * first
        return 1 - ratio(residual, np.where(varied > 1e-12 * square, varied, 0.0))

    return weighted


METRICS = (
    Metric("rmse", "RMSE", "min", "value", rmse),
    Metric("mae", "Mean absolute error", "min", "value", mae),
    Metric("r2", "R²", "max", "value", r2, "needs targets that differ"),
)
