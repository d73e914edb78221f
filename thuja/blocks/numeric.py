"""Numbers as vectors.

Source: Gorishniy, Rubachev, Babenko, "On embeddings for numerical features in tabular deep learning", NeurIPS 2022, arXiv:2203.05556 (piecewise-linear
encoding between quantiles, then a linear layer per column), in the form of TabM (arXiv:2410.24210): the pieces start at zero beside a random linear part.
Deviations: the linear part is of the empirical rank and of the signed logarithm (differences of which are ratios) rather than of the standardised value;
all pieces are clipped to [0, 1] and the logarithm to 4 standard deviations, so that a value far outside the training range cannot run away; a missing value
is the median plus a learned vector.
"""

import numpy as np
import torch
from torch import Tensor, nn

LARGEST = 3e38
"""Just below what float32 holds."""


class PiecewiseLinear(nn.Module):
    """float32 [B, columns], NaN = missing, to float32 [B, columns, width]."""

    left: Tensor
    scale: Tensor
    median: Tensor
    log_mean: Tensor
    log_scale: Tensor

    def __init__(self, quantiles: list[np.ndarray], bins: int, width: int) -> None:
        """`quantiles`: for each column, evenly spaced ones from its smallest to its largest value. At most `bins` pieces, fewer where quantiles are equal."""
        super().__init__()
        columns = len(quantiles)
        left, scale = np.zeros((columns, bins)), np.zeros((columns, bins))
        for c, values in enumerate(quantiles):
            edges = np.unique(np.interp(np.linspace(0, 1, bins + 1), np.linspace(0, 1, len(values)), values).astype(np.float32)).astype(float)
            left[c, : len(edges) - 1], scale[c, : len(edges) - 1] = edges[:-1], np.minimum(1 / np.diff(edges), LARGEST)
        self.register_buffer("left", torch.tensor(left, dtype=torch.float32))
        self.register_buffer("scale", torch.tensor(scale, dtype=torch.float32))
        self.register_buffer("median", torch.tensor([values[len(values) // 2] for values in quantiles], dtype=torch.float32))
        logs = [signed_log(torch.tensor(values, dtype=torch.float32)) for values in quantiles]
        self.register_buffer("log_mean", torch.stack([v.mean() for v in logs]))
        self.register_buffer("log_scale", torch.stack([1 / v.std(correction=0).clamp(min=1e-6) for v in logs]))
        self.pieces = nn.Parameter(torch.zeros(columns, bins, width))
        self.line = nn.Parameter(torch.empty(columns, 2, width).uniform_(-(width**-0.5), width**-0.5))
        self.bias = nn.Parameter(torch.empty(columns, 1, width).uniform_(-(width**-0.5), width**-0.5))
        self.missing = nn.Parameter(torch.zeros(columns, 1, width))

    def forward(self, numbers: Tensor) -> Tensor:
        """The embedding of each number."""
        absent = torch.isnan(numbers)
        filled = torch.where(absent, self.median, numbers)
        pieces = ((filled.unsqueeze(2) - self.left) * self.scale).clamp(0, 1).transpose(0, 1)  # [columns, B, bins]
        used = (self.scale > 0).sum(1).clamp(min=1).view(-1, 1, 1)
        rank = (pieces.sum(2, keepdim=True) / used - 0.5) * 12**0.5  # mean 0 and variance 1 over the training rows
        size = ((signed_log(filled) - self.log_mean) * self.log_scale).clamp(-4, 4).t().unsqueeze(2)
        inputs = torch.cat([pieces, rank, size], dim=2)
        out = torch.baddbmm(self.bias, inputs, torch.cat([self.pieces, self.line], dim=1))
        return (out + absent.t().unsqueeze(2) * self.missing).transpose(0, 1)


def signed_log(x: Tensor) -> Tensor:
    """Logarithm of the size with the sign kept; near zero it is x itself. Differences of it are ratios."""
    return torch.sign(x) * torch.log1p(torch.abs(x))
