"""Residual connections: a layer learns what to add to its input, so that doing nothing is easy and gradients have a road past every layer.

Source: He et al. 2015, arXiv 1512.03385; the projection shortcut with average pooling is ResNet-D (He et al. 2018, arXiv 1812.01187).
"""

from torch import Tensor, nn

from thuja.blocks.convolution import convolution
from thuja.blocks.normalisation import batch_norm


class Residual(nn.Module):
    """x to shortcut(x) + body(x); both must give the same shape."""

    def __init__(self, body: nn.Module, shortcut: nn.Module | None = None) -> None:
        """Without `shortcut` the input itself is added."""
        super().__init__()
        self.body = body
        self.shortcut = shortcut if shortcut is not None else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """The sum."""
        total: Tensor = self.shortcut(x) + self.body(x)
        return total


def projection(inputs: int, outputs: int, stride: int = 1) -> nn.Module:
    """The shortcut of a block that changes shape: average over `stride` x `stride` places, then a 1x1 convolution; the identity where nothing changes.

    Averaging first uses every pixel, where a strided 1x1 convolution would drop three of four.
    """
    if stride == 1 and inputs == outputs:
        return nn.Identity()
    pool = nn.AvgPool2d(stride, ceil_mode=True, count_include_pad=False) if stride > 1 else nn.Identity()
    return nn.Sequential(pool, convolution(inputs, outputs, kernel=1), batch_norm(outputs))
