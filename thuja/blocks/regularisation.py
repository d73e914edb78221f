"""Regularisation: make training harder in ways that the test will not notice. Whole batches at once, every draw from the given generator.

Pictures are uint8 [B, H, W, C] and stay so: moving bytes is four times cheaper than moving floats. Flip and translation are one gather.
Dropout is `nn.Dropout`: each number becomes zero with probability p and the rest grow by 1 / (1 - p), so that sums keep their size.

Source: dropout, Srivastava et al. 2014; cutout, DeVries and Taylor 2017, arXiv 1708.04552; mixup, Zhang et al. 2017, arXiv 1710.09412 (a share for each
row rather than each batch); translation by reflection and the alternating mirror, cifar10-airbench (Jordan 2024, arXiv 2404.00498).
"""

import numpy as np
import torch
from torch import Tensor


def moved(pictures: Tensor, rng: torch.Generator, *, translate: int = 0, mirrored: Tensor | None = None, reflect: bool = True) -> Tensor:
    """Each picture shifted by up to `translate` pixels along each axis and, where bool [B] `mirrored` says so, mirrored left to right: uint8 [B, H, W, C],
    same shape.

    What comes in at an edge is the reflection of the picture there, or with `reflect=False` the edge's own pixels (ink on paper has no reflection).
    """
    rows, height, width, channels = pictures.shape
    if not translate and mirrored is None:
        return pictures
    shift = torch.randint(-translate, translate + 1, (rows, 2), generator=rng).to(pictures.device)
    y = _inside(torch.arange(height, device=pictures.device) + shift[:, :1], height, reflect)
    x = _inside(torch.arange(width, device=pictures.device) + shift[:, 1:], width, reflect)
    if mirrored is not None:
        x = torch.where(mirrored[:, None], width - 1 - x, x)
    first = torch.arange(rows, device=pictures.device).view(-1, 1, 1) * (height * width)
    places = first + y[:, :, None] * width + x[:, None, :]
    return pictures.reshape(-1, channels).index_select(0, places.flatten()).view(pictures.shape)


def alternating(row: Tensor, epoch: Tensor, seed: int) -> Tensor:
    """Whether each row is mirrored in its epoch, bool: in the first as a coin falls, from then on every other time.

    So that two epochs show both sides of every picture, where coins would show a quarter of them twice from the left. The coin is a hash of the row's number.

    Args:
        row, epoch: int64 [B], which row of the training set it is and how often it has been seen.
    """
    coin = (row + seed % 2**31 + 1) * 2654435761 >> 16  # Knuth's multiplicative hash; bit 16 and above are well mixed
    return (coin + epoch) % 2 == 1


def _inside(places: Tensor, size: int, reflect: bool) -> Tensor:
    """Places outside 0..size-1 brought inside: mirrored at the edge, which is not repeated, or moved to it."""
    if reflect:
        places = (size - 1) - ((size - 1) - places.abs()).abs()
    return places.clamp(0, size - 1)


def cutout(pictures: Tensor, rng: torch.Generator, size: int, fill: Tensor) -> Tensor:
    """A square of `size` pixels around a random place of each picture set to `fill` (one value a channel); at an edge less of it: uint8 [B, H, W, C], same
    shape."""
    rows, height, width, _ = pictures.shape
    middle = torch.rand(rows, 2, generator=rng).to(pictures.device) * torch.tensor([height, width], device=pictures.device)
    top_left = (middle - size / 2).round().long()
    y = torch.arange(height, device=pictures.device) - top_left[:, :1]
    x = torch.arange(width, device=pictures.device) - top_left[:, 1:]
    hole = ((y >= 0) & (y < size))[:, :, None] & ((x >= 0) & (x < size))[:, None, :]
    return torch.where(hole[..., None], fill.to(pictures), pictures)


def mixup(pictures: Tensor, target: Tensor, rng: torch.Generator, strength: float) -> tuple[Tensor, Tensor, Tensor]:
    """Blends of each row with a partner: (blended pictures, the partners' targets, each row's own share as float32 [B]).

    Shares are drawn from Beta(strength, strength); the loss that goes with them is `thuja.losses.blended_cross_entropy`.
    """
    partner = torch.randperm(len(pictures), generator=rng).to(pictures.device)
    seed = int(torch.randint(0, 2**62, (), generator=rng))  # torch cannot draw a beta from a given generator
    drawn = np.random.Generator(np.random.PCG64(seed)).beta(strength, strength, size=len(pictures))
    share = torch.from_numpy(drawn.astype(np.float32)).to(pictures.device)
    blended = torch.lerp(pictures[partner].float(), pictures.float(), share.view(-1, 1, 1, 1)).round()
    return blended.to(pictures.dtype), target[partner], share
