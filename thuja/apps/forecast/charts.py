"""Pictures of forecasts: a few windows with their range, and how error and coverage change with the step. No torch."""

from collections.abc import Callable

import numpy as np

from thuja.apps.forecast.codec import ForecastCodec
from thuja.chart import Chart, Line
from thuja.metrics import Outputs
from thuja.metrics.forecast import errors, inside

WINDOWS = 3
"""Forecasts that are drawn."""
BEFORE = 2
"""Horizons of the past that are drawn before them, at most."""


def charts(codec: ForecastCodec, history: np.ndarray, outputs: Outputs, ids: Callable[[np.ndarray], list[str]]) -> tuple[Chart, ...]:
    """`history`: float [rows, context]; `ids`: what the rows at some places are called."""
    places = np.unique(np.linspace(0, len(outputs.target) - 1, WINDOWS).astype(np.int64))
    fans = (fan(codec, history[i], outputs.take(np.array([i])), name) for i, name in zip(places, ids(places), strict=True))
    return (*fans, error_by_step(outputs), coverage_by_step(outputs))


def fan(codec: ForecastCodec, history: np.ndarray, outputs: Outputs, name: str) -> Chart:
    """One window: what was, what came, and what was forecast."""
    shown = min(codec.context, BEFORE * codec.horizon)
    steps = np.arange(1, codec.horizon + 1)
    value, low, high = (outputs.arrays[key][0] for key in ("value", "low", "high"))
    past = Line("past and truth", np.arange(-shown + 1, codec.horizon + 1), np.concatenate([history[-shown:], outputs.target[0]]))
    held = float(np.nanmean(inside(outputs)))
    return Chart(f"Forecast of {name}", f"The {codec.horizon} steps from {name} on, with the range that should hold four values in five: here it holds "
                 f"{held:.0%}. The forecast is off by {np.nanmean(np.abs(errors(outputs))):.3g} on average.", "Step from the present", "Value",
                 lines=(past, Line("forecast", steps, value, low, high)))


def error_by_step(outputs: Outputs) -> Chart:
    """How the error grows with the distance."""
    unit = outputs.arrays["unit"].astype(np.float64)
    usable = unit > 0
    size = np.sqrt(np.nanmean((errors(outputs)[usable] / unit[usable, None]) ** 2, axis=0)) if usable.any() else np.zeros(outputs.target.shape[1])
    steps = np.arange(1, len(size) + 1)
    return Chart("Error by step", f"Root mean square error in standard deviations of the series: {size[0]:.3g} at the first step, {size[-1]:.3g} at the last.",
                 "Step from the present", "Error, in standard deviations", lines=(Line("network", steps, size),))


def coverage_by_step(outputs: Outputs) -> Chart:
    """Whether the range holds the truth as often as it should, near and far."""
    share = np.nanmean(inside(outputs), axis=0)
    steps = np.arange(1, len(share) + 1)
    return Chart("Coverage by step", f"Share of true values inside the 80 % range: {share[0]:.0%} at the first step, {share[-1]:.0%} at the last.",
                 "Step from the present", "Share inside", lines=(Line("network", steps, share), Line("wanted", steps, np.full(len(share), 0.8))))
