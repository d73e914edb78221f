"""Linear forecasting: every step of the future is a weighted sum of the past. Hard to beat, and trained in seconds.

Source: NLinear and DLinear, Zeng et al. 2022, arXiv 2205.13504. One set of weights for all places of a season, after smoothing: SparseTSF, Lin et al. 2024,
arXiv 2405.00946, whose map has no bias either. Differs: the smooth part (DLinear's trend) has weights of its own beside the series, in both cases; SparseTSF
adds it to the series.
"""

from typing import Literal

import torch
from pydantic import NonNegativeInt, PositiveInt
from torch import Tensor, nn

from thuja.blocks.window import MovingAverage
from thuja.models.forecaster import Forecaster, Shape
from thuja.settings import Auto, Section

NEAR = 2
"""Seasons. On the validation hours of ETTh1, weights for the latest day took a tenth off the error of the next 24 hours, 4 % at 96 and under 1 % at 336."""


class LinearForecaster(Section):
    """A linear map from the past to the future, shared by all places of a season."""

    kind: Literal["linear-forecaster"] = "linear-forecaster"
    period: Auto | PositiveInt = "auto"
    """Steps of a season: the same weights forecast every hour of a day from that hour of earlier days. 1: every step has weights of its own (NLinear, DLinear).
    Auto: the season that the times tell."""
    smooth: PositiveInt = 25
    """Width of the moving average whose result is read beside the series; 1 for none."""
    recent: Auto | NonNegativeInt = "auto"
    """Latest steps for which every step to come has weights of its own besides: what happens now says much about the next hours, and little about next week.
    Auto: a season, where the horizon is at most two; else none."""
    level: Literal["mean", "last"] = "mean"
    """What is taken out of the window before, and added after: its mean, or its last value."""

    def build(self, shape: Shape) -> Forecaster:
        """Weights that start at zero: the forecast is the level."""
        period = shape.season if self.period == "auto" else self.period
        return Forecaster(LinearCore(self, shape, min(period, shape.context)), shape, self.level)


class LinearCore(nn.Module):
    """[B, channels, context] to [B, horizon]."""

    def __init__(self, settings: LinearForecaster, shape: Shape, period: int) -> None:
        super().__init__()
        self.period, self.horizon = period, shape.horizon
        self.seasons = shape.context // period
        self.average = MovingAverage(settings.smooth) if settings.smooth > 1 else None
        parts = shape.channels + (self.average is not None)
        self.map = nn.Linear(parts * self.seasons, -(-shape.horizon // period), bias=False)  # a series turned upside down is forecast upside down
        nn.init.zeros_(self.map.weight)
        recent = (shape.season if shape.horizon <= NEAR * shape.season else 0) if settings.recent == "auto" else settings.recent
        self.recent = min(recent, shape.context) if period > 1 else 0  # with a period of 1 every step has weights of its own anyway
        self.nudge = nn.Linear(shape.channels * self.recent, shape.horizon, bias=False) if self.recent else None
        if self.nudge is not None:
            nn.init.zeros_(self.nudge.weight)

    def forward(self, x: Tensor) -> Tensor:
        latest = x[:, :, x.shape[2] - self.recent :].flatten(1)
        if self.average is not None:
            x = torch.cat([x, self.average(x[:, 0])[:, None]], dim=1)
        kept = x[:, :, x.shape[2] - self.seasons * self.period :]
        by_place = kept.reshape(-1, self.map.in_features, self.period).transpose(1, 2)  # [B, period, parts * seasons]
        future: Tensor = self.map(by_place).transpose(1, 2).flatten(1)
        future = future[:, : self.horizon]
        return future if self.nudge is None else future + self.nudge(latest)
