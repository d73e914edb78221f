"""A small convnet that learns fast: whitened patches, then stages of convolutions that start as the identity.

Source: cifar10-airbench (Jordan 2024, arXiv 2404.00498; code github.com/KellerJordan/cifar10-airbench), after Page's ResNet-9 (DAWNBench 2018). Differs,
to suit two CPU cores: the stem sees 4x4 patches at stride 2 rather than 2x2 at stride 1, which quarters the work of the first stage for the same pixels
seen; widths are smaller; later convolutions of a stage are residual; the covariance behind the whitening comes with the data's statistics.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import Literal

import torch
from pydantic import PositiveInt
from torch import Tensor, nn

from thuja.blocks.activation import activation
from thuja.blocks.convolution import convolution, whitening_filters
from thuja.blocks.initialisation import Rule, dirac_, initialise, small_
from thuja.blocks.normalisation import batch_norm
from thuja.blocks.pooling import GlobalMax, halve
from thuja.blocks.residual import Residual
from thuja.settings import Section

PATCH = 4
"""Pixels along one side of the patches that the stem whitens."""
STRIDE = 2
INITIALISATION: dict[type[nn.Module], Rule] = {nn.Conv2d: dirac_, nn.Linear: small_}


class ConvNet(Section):
    """A fast convolutional network for small pictures."""

    kind: Literal["convnet"] = "convnet"
    patches: PositiveInt = 16
    """Whitening filters of the frozen first layer; it has twice as many channels, each filter with its negative."""
    widths: tuple[PositiveInt, ...] = (32, 64, 128)
    """Channels of each stage; every stage halves height and width."""
    depth: PositiveInt = 2
    """Convolutions in a stage."""
    activation: Literal["relu", "gelu", "silu"] = "gelu"

    def build(self, channels: int, classes: int, moments: Sequence[Sequence[float]]) -> "ConvNetwork":
        """Fresh weights; `moments` are the second moments of the training set's standardised PATCH x PATCH patches."""
        return ConvNetwork(self, channels, classes, moments)


class ConvNetwork(nn.Module):
    """float32 [B, channels, H, W], standardised, to logits [B, classes]."""

    def __init__(self, settings: ConvNet, channels: int, classes: int, moments: Sequence[Sequence[float]]) -> None:
        super().__init__()
        count = min(settings.patches, channels * PATCH**2)
        self.stem = nn.Conv2d(channels, 2 * count, PATCH, stride=STRIDE, padding=1)
        self.activation = activation(settings.activation)
        widths = (2 * count, *settings.widths)
        self.stages = nn.Sequential(*[stage(i, o, settings.depth, settings.activation) for i, o in pairwise(widths)])
        self.pool = GlobalMax()
        self.head = nn.Linear(settings.widths[-1], classes)
        initialise(self, INITIALISATION)
        with torch.no_grad():
            self.stem.weight.copy_(whitening_filters(moments, channels, PATCH, count))
        self.stem.requires_grad_(False)  # so that the first stage, the largest, needs no gradient of its input: a sixth of all work
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(self, x: Tensor) -> Tensor:
        """Logits."""
        logits: Tensor = self.head(self.features(x))
        return logits

    def features(self, x: Tensor) -> Tensor:
        """What the head sees: [B, width of the last stage]."""
        found: Tensor = self.pool(self.stages(self.activation(self.stem(x))))
        return found


def stage(inputs: int, outputs: int, depth: int, function: str) -> nn.Sequential:
    """Convolution, halving, normalisation, activation; then `depth - 1` residual blocks of convolution, normalisation, activation.

    The maximum comes before the normalisation, which then has a quarter of the work.
    """
    first = [convolution(inputs, outputs), halve(), batch_norm(outputs, gain=False, memory=0.6), activation(function)]
    later = [nn.Sequential(convolution(outputs, outputs), batch_norm(outputs, gain=False, memory=0.6), activation(function)) for _ in range(depth - 1)]
    return nn.Sequential(*first, *map(Residual, later))
