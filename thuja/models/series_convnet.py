"""A convolutional network over whole series of any length.

Source: the fully convolutional network of Wang et al. 2017, "Time series classification from scratch with deep neural networks", arXiv 1611.06455 (three
blocks of convolution, batch normalisation, ReLU, then the mean over time). Differs: odd kernels, half as many channels, a residual path round the second and
third block (their ResNet), padding that is left out of everything, and the maximum and the latest place beside the mean.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import Annotated, Literal, Self

import torch
from pydantic import Field, PositiveInt, model_validator
from torch import Tensor, nn

from thuja.blocks.sequence_norm import SequenceNorm
from thuja.settings import Auto, Section

SMALL, LARGE = 3, {0: 9, 1: 5}
SHORT = 50
NOISE = {True: 0.3, False: 0.05}
"""Chosen by cross-validation on training rows. JapaneseVowels (7 to 29 steps): kernels of 3 had half the log loss of 9, 5, 3, and noise of 0.3 three quarters
of that of 0.1. GunPoint (150 steps): noise of 0.05 had a tenth of that of 0.3, which hides what is slow and small."""


class SeriesConvNet(Section):
    """Convolutions over time, then the mean, the maximum and the latest place."""

    kind: Literal["series-convnet"] = "series-convnet"
    widths: Annotated[tuple[PositiveInt, ...], Field(min_length=1)] = (64, 128, 64)
    """Channels of each block."""
    kernels: Auto | Annotated[tuple[PositiveInt, ...], Field(min_length=1)] = "auto"
    """Steps that each block sees at once; odd. Auto: 9, 5, and then 3; or 3 everywhere, where no series has more than 50 steps."""
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.2
    """Of the features before the last layer."""
    noise: Auto | Annotated[float, Field(ge=0)] = "auto"
    """Standard deviation of the noise added to standardised inputs while training. Auto: 0.3 where no series has more than 50 steps, else 0.05."""

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.kernels != "auto" and (len(self.kernels) != len(self.widths) or not all(kernel % 2 for kernel in self.kernels)):
            raise ValueError("as many kernels as widths, all odd")
        return self

    def build(self, channels: int, outputs: int, longest: int) -> "SeriesConvNetwork":
        """Fresh weights; `longest`: steps of the longest training series."""
        kernels = self.kernels if self.kernels != "auto" else [SMALL if longest <= SHORT else LARGE.get(i, SMALL) for i in range(len(self.widths))]
        noise = self.noise if self.noise != "auto" else NOISE[longest <= SHORT]
        return SeriesConvNetwork(self, channels, outputs, kernels, noise)


class SeriesConvNetwork(nn.Module):
    """float32 [B, C, T], zero where nothing is, and a mask [B, 1, T] of ones and zeros, to [B, outputs]."""

    def __init__(self, settings: SeriesConvNet, channels: int, outputs: int, kernels: Sequence[int], noise: float) -> None:
        super().__init__()
        self.noise = noise
        sizes = (channels, *settings.widths)
        self.blocks = nn.ModuleList(Block(i, o, kernel) for (i, o), kernel in zip(pairwise(sizes), kernels, strict=True))
        self.bridge = nn.Conv1d(settings.widths[0], settings.widths[-1], 1)
        self.dropout = nn.Dropout(settings.dropout)
        self.head = nn.Linear(3 * settings.widths[-1], outputs)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        if self.training and self.noise:
            x = (x + self.noise * torch.randn_like(x)) * mask
        x = first = self.blocks[0](x, mask)
        for block in self.blocks[1:]:
            x = block(x, mask)
        x = x + self.bridge(first) * mask
        count = mask.sum(2)
        latest = (torch.arange(x.shape[2], device=x.device) == (count - 1).long()).to(x.dtype)[:, None]
        features = [x.sum(2) / count, torch.where(mask > 0, x, -torch.inf).amax(2), (x * latest).sum(2)]
        answer: Tensor = self.head(self.dropout(torch.cat(features, dim=1)))
        return answer


class Block(nn.Module):
    """Convolution, normalisation, ReLU."""

    def __init__(self, inputs: int, outputs: int, kernel: int) -> None:
        super().__init__()
        self.convolution = nn.Conv1d(inputs, outputs, kernel, padding=kernel // 2, bias=False)
        self.norm, self.activation = SequenceNorm(outputs), nn.ReLU()

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        answer: Tensor = self.activation(self.norm(self.convolution(x), mask))
        return answer
