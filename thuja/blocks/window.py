"""A window of a series made ready for a network and back: gaps filled, level and spread taken out, slow and fast parts told apart.

Source: reversible instance normalisation, Kim et al. 2022, "Reversible instance normalization for accurate time-series forecasting against distribution
shift" (ICLR); the last value as the level: NLinear, Zeng et al. 2022, arXiv 2205.13504; moving averages as trend: DLinear (same) after Autoformer, Wu et al.
2021, arXiv 2106.13008. Differs from RevIN: nothing is learned here.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

SMALLEST = 1e-5
"""Least spread, as a share of one plus the size of the level: a constant window is divided by this and stays zero."""


def filled(x: Tensor) -> Tensor:
    """[B, T] with NaN where nothing is known: each gap gets the last value before it, and one at the beginning the first value after it.

    By doubling: after the round with shift k every place has looked at the 2 k - 1 places before it, so that log2(T) rounds suffice. No loop over steps, and
    plain operators in the exported graph.
    """
    steps = x.shape[1]
    for side in ((1, 0), (0, 1)):
        shift = 1
        while shift < steps:
            kept = x[:, :-shift] if side[0] else x[:, shift:]
            moved = functional.pad(kept, (shift * side[0], shift * side[1]), value=float("nan"))
            x = torch.where(torch.isnan(x), moved, x)
            shift *= 2
    return torch.nan_to_num(x, nan=0.0)


class Level(nn.Module):
    """Takes the level and the spread of each window out, and puts them back into what was forecast from it."""

    def __init__(self, level: str = "mean") -> None:
        """`level`: "mean" of the window, or its "last" value."""
        super().__init__()
        assert level in ("mean", "last"), level
        self.level = level

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """[B, T] without gaps to (x - level) / spread [B, T], level [B, 1], spread [B, 1]."""
        mean = x.mean(1, keepdim=True)
        level = mean if self.level == "mean" else x[:, -1:]
        deviation = (x - mean).square().mean(1, keepdim=True).sqrt()
        spread = torch.maximum(deviation, SMALLEST * (1 + mean.abs()))
        return (x - level) / spread, level, spread


class MovingAverage(nn.Module):
    """The mean of `width` steps around each, with the ends repeated: [B, T] to [B, T]."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.width = width

    def forward(self, x: Tensor) -> Tensor:
        before, after = (self.width - 1) // 2, self.width // 2
        padded = functional.pad(x[:, None], (before, after), mode="replicate")
        return functional.avg_pool1d(padded, self.width, stride=1)[:, 0]


class Patches(nn.Module):
    """Pieces of `length` steps, each `stride` after the one before, the last one at the end of the window: [B, C, T] to [B, count, C * length].

    Source: Nie et al. 2023, "A time series is worth 64 words" (PatchTST), arXiv 2211.14730. Differs: where the pieces do not fit, the earliest steps are left
    out, rather than the last value repeated.
    """

    places: Tensor

    def __init__(self, steps: int, length: int, stride: int) -> None:
        super().__init__()
        self.count = (steps - length) // stride + 1
        first = (steps - length) % stride
        self.register_buffer("places", first + stride * torch.arange(self.count)[:, None] + torch.arange(length), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        return x[:, :, self.places].transpose(1, 2).flatten(2)
