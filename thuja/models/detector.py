"""A small detector of one pass: residual stages, a pyramid of three maps, and at every place of each map classes and distances to four sides.

Source: the plan is that of FCOS (Tian et al. 2019, arXiv 1904.01355) and YOLOv8 (Ultralytics 2023): three maps at strides 8, 16 and 32, separate branches for
classes and boxes. Differs, to learn on two cores in minutes: plain residual blocks, a stem that goes to a quarter of the size in one step, narrower branches,
distances as softplus without bins. The bias of the classes begins at a rate of one in a hundred (Lin et al. 2017, arXiv 1708.02002).
"""

import math
from itertools import pairwise
from typing import Literal

import torch
from pydantic import NonNegativeInt, PositiveInt
from torch import Tensor, nn
from torch.nn import functional as F

from thuja.blocks.activation import activation
from thuja.blocks.anchor_free import Places, places
from thuja.blocks.convolution import convolution, convolution_block
from thuja.blocks.normalisation import Standardise, batch_norm
from thuja.blocks.pyramid import Pyramid
from thuja.blocks.residual import Residual
from thuja.settings import Section

STRIDES = (8, 16, 32)
RARE = 0.01
"""How probable anything is at a place before training."""


class Detector(Section):
    """A small one-pass detector."""

    kind: Literal["detector"] = "detector"
    widths: tuple[PositiveInt, PositiveInt, PositiveInt, PositiveInt] = (32, 64, 128, 160)
    """Channels at strides 4, 8, 16 and 32."""
    depth: tuple[NonNegativeInt, NonNegativeInt, NonNegativeInt, NonNegativeInt] = (1, 2, 2, 1)
    """Residual blocks at each."""
    dim: PositiveInt = 64
    """Channels of the pyramid and the branches."""
    activation: Literal["relu", "gelu", "silu"] = "silu"

    def build(self, shape: tuple[int, int, int], classes: int, mean: tuple[float, ...], std: tuple[float, ...]) -> "DetectorNet":
        """Fresh weights for pictures of `shape`: height and width, multiples of 32, and channels, whose pixels have this mean and spread."""
        return DetectorNet(self, shape, classes, Standardise(mean, std))


class DetectorNet(nn.Module):
    """uint8 [B, H, W, C] to logits [B, A, classes] and distances [B, A, 4] in strides, for the A places of three maps, finest first."""

    centre: Tensor
    stride: Tensor

    def __init__(self, settings: Detector, shape: tuple[int, int, int], classes: int, standardise: Standardise) -> None:
        super().__init__()
        height, width, channels = shape
        assert height % STRIDES[-1] == 0 and width % STRIDES[-1] == 0, shape
        known = places(height, width, STRIDES)
        self.register_buffer("centre", known.centre, persistent=False)
        self.register_buffer("stride", known.stride, persistent=False)
        self.standardise = standardise
        first, function = settings.widths[0], settings.activation
        self.stem = nn.Sequential(nn.Conv2d(channels, first, 6, stride=4, padding=1, bias=False), batch_norm(first), activation(function))
        self.stages = nn.ModuleList([_stage(first, first, settings.depth[0], 1, function)])
        self.stages.extend([_stage(i, o, depth, 2, function) for (i, o), depth in zip(pairwise(settings.widths), settings.depth[1:], strict=True)])
        self.pyramid = Pyramid(settings.widths[1:], settings.dim, function)
        self.classes = nn.ModuleList([_branch(settings.dim, classes, function) for _ in STRIDES])
        self.sides = nn.ModuleList([_branch(settings.dim, 4, function) for _ in STRIDES])
        for branch in self.classes:
            nn.init.constant_(branch.get_parameter("head.bias"), -math.log(1 / RARE - 1))
        for branch in self.sides:
            nn.init.constant_(branch.get_parameter("head.bias"), 2.0)  # boxes of some four cells
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    @property
    def places(self) -> Places:
        """Where the A places are."""
        return Places(self.centre, self.stride)

    def forward(self, pictures: Tensor) -> tuple[Tensor, Tensor]:
        """Logits and distances."""
        x = self.stages[0](self.stem(self.standardise(pictures)))
        maps = []
        for stage in list(self.stages)[1:]:
            x = stage(x)
            maps.append(x)
        found = self.pyramid(maps)
        logits = [branch(x).flatten(2).mT for branch, x in zip(self.classes, found, strict=True)]
        sides = [branch(x).flatten(2).mT for branch, x in zip(self.sides, found, strict=True)]
        return torch.cat(logits, dim=1), F.softplus(torch.cat(sides, dim=1).float())


def _stage(inputs: int, outputs: int, depth: int, stride: int, function: str) -> nn.Sequential:
    """A convolution to another width and size where one is wanted, then `depth` residual blocks of one convolution each."""
    first = [] if stride == 1 and inputs == outputs else [convolution_block(inputs, outputs, stride=stride, function=function)]
    return nn.Sequential(*first, *(Residual(convolution_block(outputs, outputs, function=function)) for _ in range(depth)))


def _branch(dim: int, outputs: int, function: str) -> nn.Module:
    """A convolution and a linear answer at every place."""
    branch = nn.Sequential()
    branch.add_module("before", convolution_block(dim, dim, function=function))
    head = convolution(dim, outputs, kernel=1, bias=True)
    nn.init.normal_(head.weight, std=0.01)
    branch.add_module("head", head)
    return branch
