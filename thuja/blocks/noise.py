"""Noise that is a function of a seed and a place: normal numbers by integer arithmetic, the same in every runtime and in any company.

A generator in a graph would need a state, and what a row gets would depend on the rows before it. Here number `i` of row `seed` is hashed from (seed, stream,
i), so that a seed gives the same picture here, in the artefact and behind a server.

Source: Box and Muller 1958, "A note on the generation of random normal deviates"; uniform numbers from `thuja.blocks.sampling`. In float64, since the
logarithm of a uniform number near 0 is where normal numbers get their tails.
"""

import math

import torch
from torch import Tensor

from thuja.blocks.sampling import uniform


def normal(seed: Tensor, stream: int, count: int) -> Tensor:
    """Numbers of mean 0 and variance 1: float32 [B, count], a function of `seed`, int64 [B] and not negative, of the `stream` and of the place."""
    pairs = (count + 1) // 2
    drawn = uniform(seed, torch.full_like(seed, stream), 2 * pairs)
    radius, angle = (-2.0 * drawn[:, :pairs].log()).sqrt(), 2.0 * math.pi * drawn[:, pairs:]
    return torch.cat([radius * angle.cos(), radius * angle.sin()], dim=1)[:, :count].float()
