"""Where in a row: attention alone sees a set, so places must be added, or turned into its queries and keys.

Source: Vaswani et al. 2017, arXiv 1706.03762, section 3.5 (sinusoidal and learned); Su et al. 2021, arXiv 2104.09864, eq. 34 (rotary).
"""

import torch
from torch import Tensor, nn


def frequencies(dim: int, base: float = 10_000.0) -> Tensor:
    """Angles per place, in radians: float32 [dim / 2], from 1 down to nearly 1 / `base`, in equal ratios."""
    assert dim % 2 == 0, dim
    return base ** -(torch.arange(0, dim, 2, dtype=torch.float32) / dim)


class Sinusoidal(nn.Module):
    """Adds sines and cosines of the place. Nothing is learned, and any length will do.

    Differs from the paper: all sines, then all cosines, rather than in turn (a permutation of the columns).
    """

    rate: Tensor

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.register_buffer("rate", frequencies(dim), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """[B, T, dim] to the same shape."""
        angle = torch.arange(x.shape[1], device=x.device, dtype=torch.float32)[:, None] * self.rate
        return x + torch.cat([angle.sin(), angle.cos()], dim=1).to(x.dtype)


class Learned(nn.Module):
    """Adds a learned vector for each of the first `longest` places; later ones share the last."""

    def __init__(self, longest: int, dim: int, std: float = 0.02) -> None:
        super().__init__()
        self.table = nn.Embedding(longest, dim)
        nn.init.normal_(self.table.weight, std=std)

    def forward(self, x: Tensor) -> Tensor:
        """[B, T, dim] to the same shape."""
        places = torch.arange(x.shape[1], device=x.device).clamp_max(self.table.num_embeddings - 1)
        placed: Tensor = x + self.table(places)
        return placed


class Rotary(nn.Module):
    """Turns each pair of numbers of a query or key by an angle that grows with its place: their product then depends on the distance only.

    Differs from the paper: the halves of a vector form the pairs (i with i + dim / 2), not neighbours (a permutation of the columns).
    """

    rate: Tensor

    def __init__(self, dim: int, base: float = 10_000.0) -> None:
        """`dim`: of one head; even."""
        super().__init__()
        self.register_buffer("rate", frequencies(dim, base), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """[B, heads, T, dim] to the same shape, the places counted from 0."""
        return turned(x, *self.angles(torch.arange(x.shape[-2], device=x.device)))

    def angles(self, places: Tensor) -> tuple[Tensor, Tensor]:
        """Cosines and sines for int64 places of any shape [...]: two of [..., dim / 2]. Made once for all layers of a network."""
        angle = places.unsqueeze(-1).to(torch.float32) * self.rate
        return angle.cos(), angle.sin()


def turned(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Queries or keys [B, heads, T, dim] turned by angles that broadcast to [B, heads, T, dim / 2]."""
    cos, sin = cos.to(x.dtype), sin.to(x.dtype)
    first, second = x.chunk(2, dim=-1)
    return torch.cat([first * cos - second * sin, first * sin + second * cos], dim=-1)
