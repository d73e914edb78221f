"""A recurrent network over segments of a series: as many steps of recurrence as segments, not as values.

Source: SegRNN, Lin et al. 2023, arXiv 2308.11200 (segments, and all future segments at once from the last state and their place); GRU, Cho et al. 2014,
arXiv 1406.1078. Differs: past covariates in the same segments, the level is the mean of the window.
"""

from typing import Annotated, Literal

import torch
from pydantic import Field, PositiveInt
from torch import Tensor, nn

from thuja.blocks.window import Patches
from thuja.models.forecaster import Forecaster, Shape
from thuja.settings import Section


class RecurrentForecaster(Section):
    """A gated recurrent unit over segments."""

    kind: Literal["recurrent-forecaster"] = "recurrent-forecaster"
    segment: PositiveInt = 24
    """Steps in a segment."""
    dim: PositiveInt = 128
    """Numbers of the state."""
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.3

    def build(self, shape: Shape) -> Forecaster:
        """Fresh weights; segments no longer than the window."""
        return Forecaster(RecurrentCore(self, shape), shape)


class RecurrentCore(nn.Module):
    """[B, channels, context] to [B, horizon]."""

    def __init__(self, settings: RecurrentForecaster, shape: Shape) -> None:
        super().__init__()
        length = min(settings.segment, shape.context)
        self.horizon = shape.horizon
        self.segments = Patches(shape.context, length, length)
        self.embedding = nn.Linear(shape.channels * length, settings.dim)
        self.recurrence = nn.GRU(settings.dim, settings.dim, batch_first=True)
        self.places = nn.Parameter(torch.randn(-(-shape.horizon // length), settings.dim) * 0.02)
        self.step = nn.GRUCell(settings.dim, settings.dim)
        self.dropout = nn.Dropout(settings.dropout)
        self.head = nn.Linear(settings.dim, length)

    def forward(self, x: Tensor) -> Tensor:
        """The state after the last segment takes one step towards each future segment, from its place."""
        states, _ = self.recurrence(self.embedding(self.segments(x)).relu())
        last = states[:, -1]
        count = self.places.shape[0]
        future = self.step(self.places.repeat(last.shape[0], 1), last.repeat_interleave(count, dim=0))
        steps: Tensor = self.head(self.dropout(future))
        return steps.reshape(-1, count * self.head.out_features)[:, : self.horizon]
