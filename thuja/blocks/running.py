"""Mean and variance of a stream of numbers, kept as buffers: they are saved, exported and averaged with the weights.

Source: merging of moments, Chan, Golub and LeVeque 1979, "Updating formulae and a pairwise algorithm for computing sample variances"; scaling what a policy
sees by them, Andrychowicz et al. 2020, "What matters in on-policy reinforcement learning?", arXiv 2006.05990, section 3.4.
"""

import torch
from torch import Tensor, nn

FURTHEST = 10.0
"""Standard deviations beyond which a number is cut."""


class RunningMoments(nn.Module):
    """Brings numbers float32 [rows, *shape] to mean 0 and variance 1 by what has been seen so far; before anything has, it leaves them as they are."""

    mean: Tensor
    variance: Tensor
    seen: Tensor

    def __init__(self, shape: tuple[int, ...] = ()) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(shape))
        self.register_buffer("variance", torch.ones(shape))
        self.register_buffer("seen", torch.zeros((), dtype=torch.float64))

    @torch.no_grad()
    def reset(self) -> None:
        """Forget everything."""
        self.mean.zero_()
        self.variance.fill_(1.0)
        self.seen.zero_()

    @torch.no_grad()
    def update(self, values: Tensor) -> None:
        """Take in `values` [rows, *shape]."""
        rows, before = len(values), float(self.seen)
        share = rows / (before + rows)
        mean, variance = values.mean(0), values.var(0, unbiased=False)
        apart = mean - self.mean
        self.variance.copy_(self.variance * (1 - share) + variance * share + apart.square() * share * (1 - share))
        self.mean.add_(apart * share)
        self.seen.add_(rows)

    @property
    def scale(self) -> Tensor:
        """The standard deviation."""
        return (self.variance + 1e-8).sqrt()

    def forward(self, values: Tensor) -> Tensor:
        """Standardised, and cut at ten standard deviations."""
        return ((values - self.mean) / self.scale).clamp(-FURTHEST, FURTHEST)
