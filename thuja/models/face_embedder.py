"""A convnet that turns a picture of a face into a vector: what `convnet` does up to its last stage, then a matrix over all places.

Source: the layout "convolutions, flatten, dense layer, batch normalisation" at the end is that of ArcFace (Deng et al. 2019, arXiv 1801.07698, section 3.1,
"option E"); the stages are those of `thuja.models.convnet` (cifar10-airbench, arXiv 2404.00498). Differs from both: each picture is brought to mean 0 and
variance 1 by itself first, so that light and contrast of the photograph matter little; no pooling at the end, because in a face it matters where something is.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import Literal

import torch
from pydantic import PositiveInt
from torch import Tensor, nn
from torch.nn import functional as F

from thuja.blocks.activation import activation
from thuja.blocks.convolution import whitening_filters
from thuja.blocks.initialisation import initialise
from thuja.models.convnet import INITIALISATION, PATCH, STRIDE, stage
from thuja.settings import Section, Share


class FaceEmbedder(Section):
    """A small convnet for pictures of faces that are cut out alike."""

    kind: Literal["face-embedder"] = "face-embedder"
    patches: PositiveInt = 16
    """Whitening filters of the frozen first layer; it has twice as many channels, each filter with its negative."""
    widths: tuple[PositiveInt, ...] = (32, 64, 128)
    """Channels of each stage; every stage halves height and width."""
    depth: PositiveInt = 2
    """Convolutions in a stage."""
    dim: PositiveInt = 128
    """Numbers in the vector."""
    dropout: Share = 0.2
    """Share of what the last layer sees that is hidden in training."""
    activation: Literal["relu", "gelu", "silu"] = "gelu"

    def build(self, channels: int, height: int, width: int, moments: Sequence[Sequence[float]]) -> "FaceEmbedderNetwork":
        """Fresh weights for pictures of this shape; `moments` as for `ConvNet.build`."""
        return FaceEmbedderNetwork(self, (channels, height, width), moments)


class FaceEmbedderNetwork(nn.Module):
    """float32 [B, channels, H, W] to vectors of length 1, [B, dim]."""

    def __init__(self, settings: FaceEmbedder, shape: tuple[int, int, int], moments: Sequence[Sequence[float]]) -> None:
        """`shape`: channels, height, width."""
        super().__init__()
        channels, height, width = shape[0], shape[1] // STRIDE, shape[2] // STRIDE
        count = min(settings.patches, channels * PATCH**2)
        self.stem = nn.Conv2d(channels, 2 * count, PATCH, stride=STRIDE, padding=1)
        self.activation = activation(settings.activation)
        widths = (2 * count, *settings.widths)
        self.stages = nn.Sequential(*[stage(i, o, settings.depth, settings.activation) for i, o in pairwise(widths)])
        self.dropout = nn.Dropout(settings.dropout)
        for _ in settings.widths:
            height, width = -(-height // 2), -(-width // 2)
        self.vector = nn.Linear(height * width * settings.widths[-1], settings.dim, bias=False)
        self.norm = nn.BatchNorm1d(settings.dim)
        initialise(self, INITIALISATION)
        with torch.no_grad():
            self.stem.weight.copy_(whitening_filters(moments, channels, PATCH, count))
        self.stem.requires_grad_(False)
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(self, x: Tensor) -> Tensor:
        """Unit vectors."""
        x = self.stages(self.activation(self.stem(evened(x))))
        return F.normalize(self.norm(self.vector(self.dropout(x.flatten(1)))), dim=1)


def evened(x: Tensor) -> Tensor:
    """Each picture [B, C, H, W] brought to mean 0 and variance 1 by itself; a picture of one colour becomes zero."""
    x = x - x.mean(dim=(1, 2, 3), keepdim=True)
    return x * (x.square().mean(dim=(1, 2, 3), keepdim=True) + 1e-3).rsqrt()
