"""Metrics of forecasts: a value for each of several steps, with a range that should hold the truth four times in five.

Steps whose truth is missing do not count; a row is the mean of its steps, and a figure the mean of rows. "Scaled" figures divide by the standard deviation of
the row's series over the training rows, so that series of all sizes count alike: that is how published figures of ETT and its kin are made.

Source: MASE, Hyndman and Koehler 2006, "Another look at measures of forecast accuracy"; the pinball loss and the interval score, Gneiting and Raftery 2007,
"Strictly proper scoring rules, prediction, and estimation", sections 6.1 and 6.2. Differs: MASE is the mean over rows of ratios, so that series of all sizes
count alike.
"""

import numpy as np

from thuja.metrics.metric import Metric, Outputs, Weighted, mean_of, ratio

LOW, HIGH = 0.1, 0.9
"""Levels of the quantiles in "low" and "high"."""


def errors(outputs: Outputs) -> np.ndarray:
    """float64 [rows, steps]: forecast minus truth, NaN where the truth is missing."""
    return outputs.arrays["value"].astype(np.float64) - outputs.target.astype(np.float64)


def _mean(values: np.ndarray, unit: np.ndarray | None = None) -> Weighted:
    """The mean over rows of the mean over known steps, each row divided by its `unit`; rows without a known step or a positive unit are left out."""
    known = ~np.isnan(values)
    rows = np.where(known, values, 0.0).sum(1) / np.maximum(known.sum(1), 1)
    usable = known.any(1)
    if unit is not None:
        usable &= unit > 0
        rows = np.divide(rows, unit, out=np.zeros_like(rows), where=usable)
    weighted, share = mean_of(np.where(usable, rows, 0.0)), mean_of(usable)

    def figure(weights: np.ndarray) -> np.ndarray:
        there = share(weights)
        return ratio(weighted(weights), there)

    return figure


def _unit(outputs: Outputs) -> np.ndarray:
    return np.asarray(outputs.arrays["unit"], np.float64)


def scaled_mse(outputs: Outputs) -> Weighted:
    """Mean squared error in standard deviations of the series."""
    return _mean(errors(outputs) ** 2, _unit(outputs) ** 2)


def scaled_mae(outputs: Outputs) -> Weighted:
    """Mean absolute error in standard deviations of the series."""
    return _mean(np.abs(errors(outputs)), _unit(outputs))


def step_mae(outputs: Outputs) -> Weighted:
    """Mean absolute error in the series' own units."""
    return _mean(np.abs(errors(outputs)))


def step_rmse(outputs: Outputs) -> Weighted:
    """Root of the mean squared error in the series' own units."""
    squared = _mean(errors(outputs) ** 2)
    return lambda weights: np.sqrt(squared(weights))


def mase(outputs: Outputs) -> Weighted:
    """Mean absolute error over that of the seasonal-naive forecast, one step ahead in the training rows of the series."""
    return _mean(np.abs(errors(outputs)), np.asarray(outputs.arrays["naive"], np.float64))


def pinball(outputs: Outputs) -> Weighted:
    """Mean pinball loss of the two quantiles, in standard deviations of the series: small where ranges are narrow and hold the truth."""
    return _mean((_quantile(outputs, "low", LOW) + _quantile(outputs, "high", HIGH)) / 2, _unit(outputs))


def _quantile(outputs: Outputs, name: str, level: float) -> np.ndarray:
    over = outputs.target.astype(np.float64) - outputs.arrays[name].astype(np.float64)
    return np.maximum(level * over, (level - 1) * over)


def inside(outputs: Outputs) -> np.ndarray:
    """float64 [rows, steps]: 1 where the truth lies in the range, 0 where it does not, NaN where it is missing."""
    target = outputs.target.astype(np.float64)
    held = (target >= outputs.arrays["low"]) & (target <= outputs.arrays["high"])
    return np.where(np.isnan(target), np.nan, held.astype(np.float64))


def coverage(outputs: Outputs) -> Weighted:
    """Share of the true values inside the range; 80 % is right, more is too wide and less too narrow."""
    return _mean(inside(outputs))


METRICS = (
    Metric("scaled_mse", "MSE, scaled", "min", "unit", scaled_mse),
    Metric("scaled_mae", "MAE, scaled", "min", "unit", scaled_mae),
    Metric("step_mae", "Mean absolute error", "min", "unit", step_mae),
    Metric("step_rmse", "RMSE over all steps", "min", "unit", step_rmse),
    Metric("mase", "MASE", "min", "unit", mase, "needs series that vary from season to season"),
    Metric("pinball", "Pinball loss, scaled", "min", "low", pinball),
    Metric("coverage", "Coverage of the 80 % range", "max", "low", coverage, percent=True),
)
