"""A pyramid of maps: coarse ones know what is there, fine ones where; each gets what the others know.

Source: feature pyramid networks, Lin et al. 2017, arXiv 1612.03144 (sums at the way down); the second way, up again, is PANet, Liu et al. 2018, arXiv
1803.01534. Differs: maps are added, not concatenated, on both ways, and all have one width, which halves the work.
"""

from collections.abc import Sequence

from torch import Tensor, nn
from torch.nn import functional as F

from thuja.blocks.activation import activation
from thuja.blocks.convolution import convolution, convolution_block
from thuja.blocks.normalisation import batch_norm


class Pyramid(nn.Module):
    """Maps of widths `inputs`, each half as large as the one before, to as many maps of width `dim`."""

    def __init__(self, inputs: Sequence[int], dim: int, function: str) -> None:
        super().__init__()
        self.lateral = nn.ModuleList([nn.Sequential(convolution(width, dim, kernel=1), batch_norm(dim)) for width in inputs])
        self.down = nn.ModuleList([convolution_block(dim, dim, function=function) for _ in inputs[1:]])
        self.up = nn.ModuleList([nn.Sequential(convolution(dim, dim, stride=2), batch_norm(dim)) for _ in inputs[1:]])
        self.after = activation(function)

    def forward(self, maps: Sequence[Tensor]) -> list[Tensor]:
        """[B, inputs[i], H / 2**i, W / 2**i] to [B, dim, H / 2**i, W / 2**i], finest first."""
        found = [lateral(x) for lateral, x in zip(self.lateral, maps, strict=True)]
        for i in reversed(range(len(found) - 1)):
            found[i] = self.down[i](found[i] + F.interpolate(found[i + 1], scale_factor=2.0, mode="nearest"))
        for i in range(1, len(found)):
            found[i] = self.after(found[i] + self.up[i - 1](found[i - 1]))
        return found
