"""What every forecaster shares: level and spread of the window taken out, the effect of what is known in advance, a core that goes on with the rest, and
how sure it is.

Source: the effect of known covariates on both sides of the present as a regression with remainder: Harvey 1989, "Forecasting, structural time series models
and the Kalman filter", section 7; quantiles beside a mean: Koenker and Bassett 1978 ("Regression quantiles"), widths as a multiple of a local scale: Taylor
1999, "A quantile regression approach to estimating the distribution of multiperiod returns". Differs: a small network in place of each linear form.
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn

from thuja.blocks.window import Level, filled

HIDDEN = 16
"""Units of the two small networks beside the core."""
MOST_WIDTH = 6.0
"""Logarithm of the widest and narrowest half of an interval, in spreads of the window."""


class Shape(NamedTuple):
    """What a forecaster is built for."""

    context: int
    horizon: int
    past: int = 0
    """Covariates of which only the past is known."""
    known: int = 0
    """Covariates that are known in advance, calendar features included."""
    season: int = 1
    """Steps of the cycle that is to be expected; 1 for none."""

    @property
    def channels(self) -> int:
        """Rows that a core reads: the series and its past covariates."""
        return 1 + self.past


class Forecaster(nn.Module):
    """float32 history [B, context] (NaN is a gap), past [B, past, context], known [B, known, context + horizon] to value, low, high [B, horizon] each.

    `core` maps [B, 1 + past, context], the series without level and in units of its spread, to [B, horizon] in the same units.
    """

    def __init__(self, core: nn.Module, shape: Shape, level: str = "mean") -> None:
        super().__init__()
        self.core, self.shape, self.level = core, shape, Level(level)
        self.effect = Effect(shape.known) if shape.known else None
        self.width = Width(shape)

    def forward(self, history: Tensor, past: Tensor | None = None, known: Tensor | None = None) -> tuple[Tensor, Tensor, Tensor]:
        """The mean, and the 10 % and 90 % quantiles on its two sides."""
        x, level, spread = self.level(filled(history))
        effect = self.effect(known) if self.effect is not None else None
        if effect is not None:
            x = x - effect[:, : self.shape.context]
        channels = x[:, None] if past is None else torch.cat([x[:, None], past], dim=1)
        y = self.core(channels)
        if effect is not None:
            y = y + effect[:, self.shape.context :]
        value = level + spread * y
        below, above = self.width(x)
        return value, value.detach() - spread * below, value.detach() + spread * above


class Effect(nn.Module):
    """What covariates add at a step, whatever the step: [B, known, T] to [B, T]. Starts at nothing."""

    def __init__(self, known: int) -> None:
        super().__init__()
        self.inner, self.head = nn.Linear(known, HIDDEN), nn.Linear(HIDDEN, 1)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)

    def forward(self, known: Tensor) -> Tensor:
        added: Tensor = self.head(nn.functional.gelu(self.inner(known.transpose(1, 2))))
        return added[:, :, 0]


class Width(nn.Module):
    """How far the quantiles lie from the mean at each step, in spreads of the window, from how the window moved: two positive [B, horizon].

    The answer follows the window, since calm and restless times come in turn: on ETTh1, widths learned from training windows held on later years, and widths
    fitted to the validation year did not (benchmarks/results).
    """

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.season = shape.season if shape.context >= 2 * shape.season else 1
        self.inner, self.head = nn.Linear(4, HIDDEN), nn.Linear(HIDDEN, 2 * shape.horizon)
        nn.init.zeros_(self.head.weight)
        nn.init.constant_(self.head.bias, math.log(0.8))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """`x`: [B, context], in spreads."""
        latest = x[:, -self.season :]
        mean = latest.mean(1, keepdim=True)
        sizes = [_size(x[:, 1:] - x[:, :-1]), _size(x[:, self.season :] - x[:, : -self.season]), _size(latest - mean), mean[:, 0].abs()]
        seen = torch.stack(sizes, dim=1).clamp_min(1e-3).log()
        logarithm = self.head(nn.functional.gelu(self.inner(seen))).clamp(-MOST_WIDTH, MOST_WIDTH)
        below, above = logarithm.exp().chunk(2, dim=1)
        return below, above


def _size(x: Tensor) -> Tensor:
    """The root of the mean square over steps: [B, T] to [B]."""
    return x.square().mean(1).add(1e-12).sqrt()
