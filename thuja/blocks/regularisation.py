"""Regularisation: make training harder in ways that the test will not notice. Whole batches at once, every draw from the given generator.

Pictures are uint8 [B, H, W, C] and stay so: moving bytes is four times cheaper than moving floats. Flip and translation are one gather of pixels, which a CPU
does by lines instead, to the same bits in half the time.
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
    if pictures.device.type == "cpu" and 2 * translate < min(height, width):
        if mirrored is not None:  # to mirror what was moved to the left is to move to the right what was mirrored
            shift[:, 1] = torch.where(mirrored, -shift[:, 1], shift[:, 1])
        out = _shifted_by_lines(pictures, shift, translate, reflect)
        return out if mirrored is None else _mirror(out, mirrored)
    y = _inside(torch.arange(height, device=pictures.device) + shift[:, :1], height, reflect)
    x = _inside(torch.arange(width, device=pictures.device) + shift[:, 1:], width, reflect)
    if mirrored is not None:
        x = torch.where(mirrored[:, None], width - 1 - x, x)
    first = torch.arange(rows, device=pictures.device).view(-1, 1, 1) * (height * width)
    places = first + y[:, :, None] * width + x[:, None, :]
    return pictures.reshape(-1, channels).index_select(0, places.flatten()).view(pictures.shape)


def _shifted_by_lines(pictures: Tensor, shift: Tensor, translate: int, reflect: bool) -> Tensor:
    """Each picture moved by its row of `shift` (int64 [B, 2]: how far down and to the right it is read), on the CPU: copied a line at a time, then the edges.

    A copy of 96 bytes takes twice as long as one of 3. A line read from one pixel further on ends with what follows it in memory, which is the next line: up
    to `translate` pixels at an edge are wrong, and are copied again from those of the same line that they reflect. The first picture and the last, which would
    be read from outside the memory, are copied by pixels.
    """
    rows, height, width, channels = pictures.shape
    down, right = shift.numpy().T
    y = _inside(torch.arange(-translate, translate + 1)[:, None] + torch.arange(height), height, reflect).numpy()
    lines = np.take(y * width, down + translate, axis=0) + (np.arange(rows) * (height * width))[:, None]
    flat = pictures.reshape(-1, channels)
    windows = flat.as_strided((len(flat) - width + 1, width * channels), (channels, 1))
    starts = (lines + right[:, None]).clip(0, len(windows) - 1)
    out = windows.index_select(0, torch.from_numpy(starts.ravel())).view(pictures.shape)
    pixels, source = (t.numpy().view(f"V{channels}")[..., 0] for t in (out, flat))
    row, place = np.nonzero(np.arange(translate) < np.abs(right)[:, None])
    by = right[row]
    wrong = np.where(by > 0, width - 1 - place, place)
    pixels[row, :, wrong] = pixels[row, :, _inside(torch.from_numpy(wrong + by), width, reflect).numpy() - by]
    for end in (0, -1):
        pixels[end] = source[lines[end][:, None] + _inside(torch.arange(width) + int(right[end]), width, reflect).numpy()]
    return out


def _mirror(pictures: Tensor, mirrored: Tensor) -> Tensor:
    """The pictures that bool [B] `mirrored` names, turned left to right in place, on the CPU."""
    row = mirrored.nonzero().flatten()
    pictures.numpy()[row.numpy()] = pictures.index_select(0, row).flip(2).numpy()  # torch would write byte by byte, ten times slower
    return pictures


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
    rows, height, width, channels = pictures.shape
    middle = torch.rand(rows, 2, generator=rng).to(pictures.device) * torch.tensor([height, width], device=pictures.device)
    top_left = (middle - size / 2).round().long()
    side = torch.arange(size, device=pictures.device)
    y = (top_left[:, :1] + side).clamp(0, height - 1)  # what lies outside falls on the hole's own pixels at the edge
    x = (top_left[:, 1:] + side).clamp(0, width - 1)
    first = torch.arange(rows, device=pictures.device).view(-1, 1, 1) * (height * width)
    places = first + y[:, :, None] * width + x[:, None, :]
    out = pictures.reshape(-1, channels).clone()
    out[places.flatten()] = fill.to(pictures)
    return out.view(pictures.shape)


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
