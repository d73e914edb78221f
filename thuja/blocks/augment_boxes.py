"""Random views of pictures with boxes: flips, scale and shift, and mosaics of four pictures, for a whole batch at once.

Pictures are uint8 and stay so. Every output picture is cut by a vertical and a horizontal line; each of its four fields shows a part of some picture of the
batch, mirrored, scaled and shifted (without a mosaic there is one field). All of it is one gather of pixels, nearest neighbours.

Source: the mosaic, YOLOv4, Bochkovskiy et al. 2020, arXiv 2004.10934. Differs: fields show crops at a scale of their own rather than pictures at half size,
so that things keep their size, and the partners come from the batch.
"""

from typing import NamedTuple

import torch
from torch import Tensor

FILL = 114
"""The grey around a picture, here and in the codec's letter box."""
VISIBLE = 0.3
"""Share of a box that must be left of it after a cut."""
LEAST = 2.0
"""Pixels along a side that must be left."""


class Views(NamedTuple):
    """What the fields show: left above, right above, left below, right below. [B, 4] each, or [B, 4, 2] as x and y."""

    source: Tensor
    """int64: which picture of the batch."""
    scale: Tensor
    mirrored: Tensor
    """bool [B, 4, 2]: left to right, top to bottom."""
    low: Tensor
    high: Tensor
    """[B, 4, 2]: where a field begins and ends, in whole pixels of the output."""
    offset: Tensor
    """[B, 4, 2]: the pixel of the scaled picture that comes first."""


class Change(NamedTuple):
    """How strong the changes are."""

    mosaic: float = 0.5
    """Share of the pictures made of four."""
    scale: float = 0.2
    """Largest change of size: by 1 / (1 + scale) to 1 + scale."""
    across: bool = True
    down: bool = False
    """Whether pictures are mirrored left to right, and top to bottom, every other time."""


def views(rows: int, size: tuple[int, int], rng: torch.Generator, change: Change, device: torch.device) -> Views:
    """Drawn for a batch of `rows` pictures of `size`, height and width; on `device`."""
    whole = torch.tensor([size[1], size[0]], dtype=torch.float32)
    four = torch.rand(rows, generator=rng) < change.mosaic
    cut = torch.where(four[:, None], ((0.3 + 0.4 * torch.rand(rows, 2, generator=rng)) * whole).round(), whole)
    source = torch.randint(rows, (rows, 4), generator=rng)
    source[:, 0] = torch.arange(rows)
    spread = torch.log(torch.tensor(1 + change.scale))
    scale = torch.exp((2 * torch.rand(rows, 4, generator=rng) - 1) * spread)
    mirrored = (torch.rand(rows, 4, 2, generator=rng) < 0.5) & torch.tensor([change.across, change.down])
    right, below = torch.tensor([0, 1, 0, 1]), torch.tensor([0, 0, 1, 1])
    side = torch.stack([right, below], dim=1).bool()  # [4, 2]
    low = torch.where(side, cut[:, None], torch.zeros(2))
    high = torch.where(side, whole, cut[:, None])
    spare = scale[:, :, None] * whole - (high - low)
    offset = (torch.rand(rows, 4, 2, generator=rng) * spare).round()
    return Views(*(t.to(device) for t in (source, scale, mirrored, low, high, offset)))


def shown(pictures: Tensor, view: Views) -> Tensor:
    """uint8 [B, H, W, C] as the views show it, same shape; what lies outside a picture is grey."""
    _, height, width, channels = pictures.shape
    x, y = _places(view, 0, width), _places(view, 1, height)  # int64 [B, 4, W] and [B, 4, H], -1 outside
    right = torch.arange(width, device=x.device) >= view.high[:, 0, 0, None]  # [B, W]
    below = torch.arange(height, device=x.device) >= view.high[:, 0, 1, None]
    up, down = torch.where(right[:, None], x[:, 1:2], x[:, 0:1]), torch.where(right[:, None], x[:, 3:4], x[:, 2:3])
    across = torch.where(below[:, :, None], down, up)  # [B, H, W]
    line = y + view.source[:, :, None] * height
    line = torch.where(y < 0, -1, line)
    left_line, right_line = torch.where(below, line[:, 2], line[:, 0]), torch.where(below, line[:, 3], line[:, 1])
    lines = torch.where(right[:, None], right_line[:, :, None], left_line[:, :, None])
    outside = (lines < 0) | (across < 0)
    places = (lines * width + across).masked_fill_(outside, 0)
    out = pictures.reshape(-1, channels).index_select(0, places.flatten()).view(pictures.shape)
    return out.masked_fill_(outside[..., None], FILL)


def _places(view: Views, axis: int, length: int) -> Tensor:
    """For each pixel of the output, along one axis: which pixel of the field's picture is shown there, -1 for none; int64 [B, 4, length]."""
    first = torch.arange(length, device=view.low.device) - view.low[:, :, axis, None] + view.offset[:, :, axis, None]
    place = ((first + 0.5) / view.scale[:, :, None]).floor().long()
    inside = (place >= 0) & (place < length)
    place = torch.where(view.mirrored[:, :, axis, None], length - 1 - place, place)
    return torch.where(inside, place, -1)


def moved(boxes: Tensor, there: Tensor, view: Views, size: tuple[int, int]) -> tuple[Tensor, Tensor, Tensor]:
    """Where the boxes of the batch are seen: [B, N, 4] and bool [B, N] to [B, 4 N, 4], bool [B, 4 N], and int64 [B, 4 N], the place in the flattened batch
    from which each came. What a cut leaves too little of is not there."""
    rows, count = there.shape
    whole = torch.tensor([size[1], size[0]], dtype=boxes.dtype, device=boxes.device)
    seen = boxes[view.source]  # [B, 4, N, 4]
    first, last = seen[..., :2], seen[..., 2:]
    mirrored = view.mirrored[:, :, None]
    first, last = torch.where(mirrored, whole - last, first), torch.where(mirrored, whole - first, last)
    scale, shift = view.scale[:, :, None, None], (view.low - view.offset)[:, :, None]
    first, last = first * scale + shift, last * scale + shift
    low, high = view.low[:, :, None], view.high[:, :, None]
    cut = torch.cat([torch.minimum(torch.maximum(first, low), high), torch.minimum(torch.maximum(last, low), high)], dim=-1)
    sides = cut[..., 2:] - cut[..., :2]
    kept = there[view.source] & (sides >= LEAST).all(-1) & (sides.prod(-1) >= VISIBLE * (last - first).prod(-1))
    place = view.source[:, :, None] * count + torch.arange(count, device=boxes.device)
    return cut.reshape(rows, -1, 4), kept.reshape(rows, -1), place.reshape(rows, -1)


def coloured(pictures: Tensor, rng: torch.Generator, strength: float) -> Tensor:
    """Each channel of each picture made lighter or darker by up to `strength`, around its own contrast: uint8 [B, H, W, C], same shape, by a table."""
    rows, _, _, channels = pictures.shape
    gain = 1 + strength * (2 * torch.rand(rows, 1, channels, generator=rng) - 1) + strength * (2 * torch.rand(rows, 1, 1, generator=rng) - 1)
    shift = 128 * strength * (2 * torch.rand(rows, 1, 1, generator=rng) - 1)
    table = ((torch.arange(256.0)[:, None] - 128) * gain + 128 + shift).clamp(0, 255).to(torch.uint8)  # [B, 256, C]
    out = torch.empty_like(pictures)
    for row in range(rows):  # a table for each channel of each row: gathers of bytes from 256
        for channel in range(channels):
            out[row, :, :, channel] = table[row, :, channel].to(pictures.device)[pictures[row, :, :, channel].int()]
    return out
