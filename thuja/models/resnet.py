"""ResNet: stages of residual blocks, each stage half the size and twice the width of the one before.

Source: He et al. 2015, arXiv 1512.03385 (basic blocks, 18 and 34 layers). Differs: shortcuts average before they project and the last gain of every branch
starts at zero, so that a block starts as the identity (He et al. 2018, arXiv 1812.01187; Goyal et al. 2017, arXiv 1706.02677); pictures below 96 pixels
keep their size in the first layer.
"""

from typing import Literal

import torch
from pydantic import PositiveInt
from torch import Tensor, nn

from thuja.blocks.activation import activation
from thuja.blocks.convolution import convolution, convolution_block
from thuja.blocks.initialisation import Rule, he_, initialise, small_
from thuja.blocks.normalisation import batch_norm
from thuja.blocks.pooling import GlobalAverage
from thuja.blocks.residual import Residual, projection
from thuja.settings import Section

LARGE = 96
"""Pixels of the shorter side from which the first layer divides the picture by four."""
INITIALISATION: dict[type[nn.Module], Rule] = {nn.Conv2d: he_, nn.Linear: small_}


class ResNet(Section):
    """A deep residual network; for larger pictures, and where there is time."""

    kind: Literal["resnet"] = "resnet"
    depth: Literal[18, 34] = 18
    """Layers with weights."""
    width: PositiveInt = 64
    """Channels of the first stage; the fourth has eight times as many."""

    def build(self, channels: int, height: int, width: int, classes: int) -> "ResNetNetwork":
        """Fresh weights for pictures of this shape."""
        return ResNetNetwork(self, channels, classes, large=min(height, width) >= LARGE)


class ResNetNetwork(nn.Module):
    """float32 [B, channels, H, W], standardised, to logits [B, classes]."""

    def __init__(self, settings: ResNet, channels: int, classes: int, *, large: bool) -> None:
        """`large`: a 7x7 stem and a pooling divide the picture by four; else a 3x3 stem keeps its size."""
        super().__init__()
        width = settings.width
        self.stem = nn.Sequential(convolution(channels, width, kernel=7 if large else 3, stride=2 if large else 1), batch_norm(width), activation("relu"),
                                  *([nn.MaxPool2d(3, stride=2, padding=1)] if large else []))
        stages = []
        inputs = width
        for stage, count in enumerate({18: (2, 2, 2, 2), 34: (3, 4, 6, 3)}[settings.depth]):
            outputs = width * 2**stage
            blocks = [basic_block(inputs if i == 0 else outputs, outputs, 2 if stage > 0 and i == 0 else 1) for i in range(count)]
            stages.append(nn.Sequential(*blocks))
            inputs = outputs
        self.stages = nn.Sequential(*stages)
        self.pool = GlobalAverage()
        self.head = nn.Linear(inputs, classes)
        initialise(self, INITIALISATION)
        for module in self.modules():
            if isinstance(module, Residual):
                nn.init.zeros_(module.get_parameter("body.2.weight"))
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(self, x: Tensor) -> Tensor:
        """Logits."""
        logits: Tensor = self.head(self.features(x))
        return logits

    def features(self, x: Tensor) -> Tensor:
        """What the head sees: [B, width of the last stage]."""
        found: Tensor = self.pool(self.stages(self.stem(x)))
        return found


def basic_block(inputs: int, outputs: int, stride: int) -> nn.Module:
    """Two 3x3 convolutions around a ReLU, added to the shortcut, and a ReLU."""
    body = nn.Sequential(convolution_block(inputs, outputs, stride=stride), convolution(outputs, outputs), batch_norm(outputs))
    return nn.Sequential(Residual(body, projection(inputs, outputs, stride)), activation("relu"))
