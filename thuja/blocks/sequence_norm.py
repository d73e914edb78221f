"""Batch normalisation of sequences of different lengths: padding neither is counted nor comes out changed.

Source: Ioffe and Szegedy 2015, arXiv 1502.03167. Differs: the mean is over the places that are there.
"""

import torch
from torch import Tensor, nn


class SequenceNorm(nn.Module):
    """float32 [B, C, T] and a mask [B, 1, T], 1 where there is something, to the same shape, zero elsewhere."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(channels)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        if not self.training:  # a fixed scale and shift, which needs no gathering
            resting: Tensor = self.norm(x) * mask
            return resting
        places = x.transpose(1, 2)
        there = mask[:, 0] > 0
        out = torch.zeros_like(places)
        out[there] = self.norm(places[there])
        return out.transpose(1, 2)
