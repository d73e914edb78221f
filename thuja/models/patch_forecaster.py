"""A transformer over patches of a series.

Source: PatchTST, Nie et al. 2023, arXiv 2211.14730. Differs: rotary places in place of learned ones, layer norm before each branch in place of batch norm after
it, past covariates in the same patches.
"""

from typing import Annotated, Literal

from pydantic import Field, PositiveInt
from torch import Tensor, nn

from thuja.blocks.transformer import Encoder
from thuja.blocks.window import Patches
from thuja.models.forecaster import Forecaster, Shape
from thuja.settings import Section


class PatchForecaster(Section):
    """A transformer over patches: for many series, or long ones that do not just repeat."""

    kind: Literal["patch-forecaster"] = "patch-forecaster"
    patch: PositiveInt = 16
    """Steps in a patch."""
    stride: PositiveInt = 8
    """Steps from one patch to the next."""
    dim: PositiveInt = 64
    depth: PositiveInt = 2
    heads: PositiveInt = 4
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.2

    def build(self, shape: Shape) -> Forecaster:
        """Fresh weights; patches no longer than the window."""
        return Forecaster(PatchCore(self, shape), shape)


class PatchCore(nn.Module):
    """[B, channels, context] to [B, horizon]."""

    def __init__(self, settings: PatchForecaster, shape: Shape) -> None:
        super().__init__()
        length = min(settings.patch, shape.context)
        self.patches = Patches(shape.context, length, settings.stride)
        self.embedding = nn.Linear(shape.channels * length, settings.dim)
        self.encoder = Encoder(settings.dim, settings.depth, settings.heads, 2 * settings.dim, settings.dropout)
        self.dropout = nn.Dropout(settings.dropout)
        self.head = nn.Linear(self.patches.count * settings.dim, shape.horizon)
        nn.init.normal_(self.head.weight, std=0.01)
        nn.init.zeros_(self.head.bias)

    def forward(self, x: Tensor) -> Tensor:
        forecast: Tensor = self.head(self.dropout(self.encoder(self.embedding(self.patches(x))).flatten(1)))
        return forecast
