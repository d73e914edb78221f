"""Small changes of whole pictures, a batch at a time: turned, scaled, stretched, moved, bent, mirrored; lighter, darker, more or less contrast. Every draw is
from the given generator.

Source: affine warps by bilinear sampling, Jaderberg et al. 2015, arXiv 1506.02025; as augmentation, with elastic distortions, Simard et al. 2003, "Best
practices for convolutional neural networks applied to visual document analysis", ICDAR. Differs: what bends a picture is a coarse grid of random shifts, made
smooth by bicubic interpolation in place of a Gaussian filter; what comes in at an edge is the edge's own pixels.
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

KNOTS = (5, 4)
"""Places, down and across, that are shifted by themselves where a picture is bent."""

class Warp(NamedTuple):
    """How far pictures may be changed, each in both directions."""

    rotate: float = 0.0
    """Degrees."""
    scale: float = 0.0
    """Share by which all is enlarged or reduced."""
    stretch: float = 0.0
    """Share by which the width alone is, and the slant, as a share of the side."""
    translate: float = 0.0
    """Share of the side."""
    bend: float = 0.0
    """Largest shift of a place of its own, as a share of half the side; neighbouring places go along."""
    mirror: bool = False
    """Left and right exchanged, as a coin falls."""


def warped(pictures: Tensor, rng: torch.Generator, warp: Warp) -> Tensor:
    """Each picture changed in its own way: uint8 [B, H, W, C] to the same shape."""
    rows, height, width, _ = pictures.shape
    drawn = (2 * torch.rand(6, rows, generator=rng, device=rng.device) - 1).to(pictures.device)
    angle, zoom = drawn[0] * math.radians(warp.rotate), 1 + drawn[1] * warp.scale
    side = (1 + drawn[2] * warp.stretch) * (torch.where(_coin(rows, rng).to(pictures.device), -1.0, 1.0) if warp.mirror else 1.0)
    cos, sin = angle.cos() * zoom, angle.sin() * zoom
    across = torch.stack([side * cos, drawn[3] * warp.stretch - sin * height / width, drawn[4] * 2 * warp.translate], dim=1)  # in units of half the side
    along = torch.stack([side * sin * width / height, cos, drawn[5] * 2 * warp.translate], dim=1)
    grid = F.affine_grid(torch.stack([across, along], dim=1), [rows, 1, height, width], align_corners=False)
    if warp.bend:
        knots = (2 * torch.rand(rows, 2, *KNOTS, generator=rng, device=rng.device) - 1).to(pictures.device) * warp.bend
        grid = grid + F.interpolate(knots, size=(height, width), mode="bicubic", align_corners=True).permute(0, 2, 3, 1)
    moved = F.grid_sample(pictures.permute(0, 3, 1, 2).float(), grid, mode="bilinear", padding_mode="border", align_corners=False)
    return moved.round().clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1).contiguous()


def _coin(rows: int, rng: torch.Generator) -> Tensor:
    return torch.rand(rows, generator=rng, device=rng.device) < 0.5


def lit(pictures: Tensor, rng: torch.Generator, *, brightness: float = 0.0, contrast: float = 0.0) -> Tensor:
    """Each picture lighter or darker by up to the share `brightness` of the whole range, with its contrast changed by up to the share `contrast`: uint8
    [B, H, W, C] to the same shape."""
    more, light = ((2 * torch.rand(len(pictures), 1, 1, 1, generator=rng, device=rng.device) - 1).to(pictures.device) for _ in range(2))
    values = pictures.float()
    mean = values.mean(dim=(1, 2, 3), keepdim=True)
    return ((values - mean) * (1 + contrast * more) + mean + 255 * brightness * light).round().clamp(0, 255).to(torch.uint8)
