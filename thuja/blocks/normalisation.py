"""Normalisation: bring numbers to mean 0 and variance 1, so that one learning rate suits all layers.

Over what the mean is taken is the whole difference, for features [B, C, H, W]:

| block | mean over | when |
|---|---|---|
| `batch_norm` | B, H, W: a number per channel | pictures, batches of 32 and more; at rest it is a fixed scale and shift, which costs nothing |
| `nn.GroupNorm` | H, W and a group of channels, per row | small batches, detection, generation: rows never see each other |
| `nn.LayerNorm` | the features of one place | transformers |
| `RMSNorm` | the features of one place, without taking the mean away | decoders, queries and keys |
| `Standardise` | the training set, once | raw pixels |

Source: batch normalisation, Ioffe and Szegedy 2015, arXiv 1502.03167; group, Wu and He 2018, arXiv 1803.08494; layer, Ba et al. 2016, arXiv 1607.06450;
root mean square, Zhang and Sennrich 2019, arXiv 1910.07467.
The fixed gain and the fast statistics are from cifar10-airbench (Jordan 2024, arXiv 2404.00498).
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn


class Standardise(nn.Module):
    """Raw pixels to what a network likes: uint8 [B, H, W, C] to float32 [B, C, H, W] in memory order B H W C (channels last), mean 0 and variance 1."""

    scale: Tensor
    shift: Tensor

    def __init__(self, mean: Sequence[float], std: Sequence[float]) -> None:
        """`mean` and `std` of each channel over the training pixels, in units of 0..255."""
        super().__init__()
        spread = torch.tensor(std, dtype=torch.float32).clamp(min=1.0)  # a constant channel stays zero instead of exploding
        self.register_buffer("scale", 1 / spread)
        self.register_buffer("shift", -torch.tensor(mean, dtype=torch.float32) / spread)

    def forward(self, pixels: Tensor) -> Tensor:
        """(pixels - mean) / std. The permutation moves no byte: what lies in memory is already channels last."""
        return torch.addcmul(self.shift, pixels.to(self.scale.dtype), self.scale).permute(0, 3, 1, 2)


class RMSNorm(nn.Module):
    """x / rms(x) * gain over the last axis: layer norm without the mean, which costs little and is hardly missed."""

    def __init__(self, dim: int, epsilon: float = 1e-6) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.ones(dim))
        self.epsilon = epsilon

    def forward(self, x: Tensor) -> Tensor:
        """[..., dim] to the same shape."""
        return x * (x.square().mean(-1, keepdim=True) + self.epsilon).rsqrt() * self.gain


def batch_norm(channels: int, *, gain: bool = True, memory: float = 0.9) -> nn.BatchNorm2d:
    """Batch normalisation with the running statistics' `memory` of the past per step (torch's momentum is 1 - memory).

    `gain=False` fixes the gain at 1: after a normalisation comes an activation that is nearly scale-free, so that it adds little but a parameter to tune.
    Short runs want a short memory, or the statistics lag behind the weights.
    """
    norm = nn.BatchNorm2d(channels, momentum=1 - memory)
    if not gain:
        norm.weight.requires_grad_(False)
    return norm
