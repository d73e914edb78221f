"""Pooling: fewer places, each standing for more. Max keeps the strongest answer, the average keeps the total.

Source: LeCun et al. 1998 (subsampling by averages); Ranzato et al. 2007 (maxima); Lin et al. 2013, arXiv 1312.4400 (global average in place of dense
layers). Global maxima as the last step are from Page's ResNet-9 (DAWNBench 2018) and cifar10-airbench.
"""

from torch import Tensor, nn


def halve(kind: str = "max") -> nn.Module:
    """[B, C, H, W] to [B, C, ceil(H / 2), ceil(W / 2)]; an odd last row or column is pooled by itself, so that nothing is dropped and 1 x 1 stays 1 x 1."""
    assert kind in ("max", "average"), kind
    return nn.MaxPool2d(2, ceil_mode=True) if kind == "max" else nn.AvgPool2d(2, ceil_mode=True, count_include_pad=False)


class GlobalMax(nn.Module):
    """[B, C, H, W] of any size to [B, C]: the strongest answer of each channel anywhere."""

    def forward(self, x: Tensor) -> Tensor:
        """Maximum over all places."""
        return x.amax(dim=(2, 3))


class GlobalAverage(nn.Module):
    """[B, C, H, W] of any size to [B, C]: the mean answer of each channel."""

    def forward(self, x: Tensor) -> Tensor:
        """Mean over all places."""
        return x.mean(dim=(2, 3))
