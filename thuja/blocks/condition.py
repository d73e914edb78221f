"""What a network is told besides its input: a moment in time as a vector, and features that are scaled and shifted by what is told.

Source: sines and cosines of the time, Vaswani et al. 2017, arXiv 1706.03762, section 3.5, as used for diffusion by Ho et al. 2020, arXiv 2006.11239; adaptive
normalisation, Perez et al. 2018, arXiv 1709.07871 (FiLM), after a group norm as in Dhariwal and Nichol 2021, arXiv 2105.05233, section 3. Differs: the time is
in [0, 1] rather than a number of steps, so that the slowest wave is half a turn over the whole of it.
"""

import math

import torch
from torch import Tensor, nn

GROUP = 16
"""Channels that are normalised together."""


class TimeEmbedding(nn.Module):
    """Times in [0, 1], float [B], to vectors [B, dim]: waves from slow to fast, and a hidden layer."""

    rate: Tensor

    def __init__(self, dim: int, waves: int = 16, fastest: float = 64.0) -> None:
        """`fastest`: half turns of the quickest wave over the whole of time."""
        super().__init__()
        self.register_buffer("rate", math.pi * fastest ** (torch.arange(waves) / (waves - 1)), persistent=False)
        self.layers = nn.Sequential(nn.Linear(2 * waves, dim), nn.SiLU(), nn.Linear(dim, dim))

    def forward(self, time: Tensor) -> Tensor:
        """See the class."""
        angle = time.unsqueeze(1) * self.rate
        vectors: Tensor = self.layers(torch.cat([angle.sin(), angle.cos()], dim=1))
        return vectors


class AdaptiveNorm(nn.Module):
    """Group norm, scaled and shifted by a condition: [B, C, H, W] and [B, dim] to [B, C, H, W]. It begins as a plain group norm."""

    def __init__(self, channels: int, dim: int) -> None:
        super().__init__()
        assert channels % min(GROUP, channels) == 0, channels
        self.norm = nn.GroupNorm(channels // min(GROUP, channels), channels, affine=False)
        self.told = nn.Linear(dim, 2 * channels)
        nn.init.zeros_(self.told.weight)
        nn.init.zeros_(self.told.bias)

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        """See the class."""
        scale, shift = self.told(condition)[:, :, None, None].chunk(2, dim=1)
        return torch.addcmul(shift, self.norm(x), 1 + scale)
