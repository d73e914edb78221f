"""Detection without anchor boxes: every place of every map answers for the box around it, and what each place should answer follows from what it answers now.

A place says, for each class, how sure it is, and how far the four sides are from its centre. Of the places inside a drawn box, those learn it whose present
answer fits best in class and in shape at once; so place and scale need no rule.

Source: distances to the four sides, FCOS, Tian et al. 2019, arXiv 1904.01355; the assignment, TOOD, Feng et al. 2021, arXiv 2108.07755 (task alignment, with
the powers 0.5 and 6 of YOLOv8). Differs: boxes smaller than a cell are learned from the places next to their centre; each row is divided by its own sum of
targets rather than the batch's, so that the loss of a batch is the mean over its rows.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from thuja.blocks.boxes import complete_overlap, overlap

CLASS_POWER, SHAPE_POWER = 0.5, 6.0
PLACES = 10
"""Places that learn a box, at most."""
CLASS_WEIGHT, BOX_WEIGHT = 1.0, 5.0


class Places(NamedTuple):
    """Where the places of all maps are."""

    centre: Tensor
    """[A, 2], x and y in pixels."""
    stride: Tensor
    """[A, 1], pixels from one to the next."""


class Drawn(NamedTuple):
    """What is to be found, padded to the most of the batch."""

    box: Tensor
    """[B, N, 4] in pixels."""
    label: Tensor
    """int64 [B, N], from 0."""
    there: Tensor
    """bool [B, N], whether it is a box to be learned."""
    ignore: Tensor
    """bool [B, N], whether it is one that is neither learned nor held against an answer."""


class Wanted(NamedTuple):
    """What each place should answer."""

    score: Tensor
    """[B, A, classes], 0 to 1."""
    box: Tensor
    """[B, A, 4]; of meaning where a score is not 0."""


def places(height: int, width: int, strides: Sequence[int]) -> Places:
    """The centres of all cells, map by map, line by line."""
    centres, lengths = [], []
    for stride in strides:
        y, x = torch.meshgrid(torch.arange(height // stride) + 0.5, torch.arange(width // stride) + 0.5, indexing="ij")
        centres.append(torch.stack([x, y], dim=-1).reshape(-1, 2) * stride)
        lengths.append(torch.full((len(centres[-1]), 1), float(stride)))
    return Places(torch.cat(centres), torch.cat(lengths))


def boxes_at(places: Places, distance: Tensor) -> Tensor:
    """Boxes [B, A, 4] in pixels, from distances [B, A, 4] to the left, top, right and bottom side in strides."""
    away = distance * places.stride
    return torch.cat([places.centre - away[..., :2], places.centre + away[..., 2:]], dim=-1)


def inside(places: Places, box: Tensor) -> Tensor:
    """bool [B, N, A]: whether a place is inside a box [B, N, 4], which counts as at least as large as four cells."""
    middle, half = (box[..., :2] + box[..., 2:]) / 2, (box[..., 2:] - box[..., :2]) / 2
    near = [(places.centre[:, i] - middle[:, :, None, i]).abs() < torch.maximum(half[:, :, None, i], places.stride[:, 0]) for i in range(2)]
    return near[0] & near[1]


@torch.no_grad()
def assigned(places: Places, score: Tensor, box: Tensor, drawn: Drawn) -> Wanted:
    """What each place should answer, from what it does: score [B, A, classes] (0 to 1) and box [B, A, 4]. All rows at once."""
    count = drawn.label.shape[1]
    candidate = inside(places, drawn.box) & drawn.there[:, :, None]
    fit = overlap(drawn.box[:, :, None], box[:, None])
    own = score.mT.gather(1, drawn.label[:, :, None].expand(-1, -1, score.shape[1]))
    alignment = own.pow(CLASS_POWER) * fit.pow(SHAPE_POWER) * candidate + 1e-12 * candidate  # so that places inside come first where nothing fits yet
    best = alignment.topk(min(PLACES, alignment.shape[2]), dim=2)
    chosen = torch.zeros_like(candidate).scatter_(2, best.indices, best.values > 0)
    fit = fit * chosen
    winner = torch.where(chosen, fit + 1e-9, 0.0).argmax(1)  # a place learns the box that it fits best
    chosen &= torch.arange(count, device=winner.device)[:, None] == winner[:, None]
    alignment = alignment * chosen
    target = alignment / alignment.amax(2, keepdim=True).clamp(min=1e-12) * (fit * chosen).amax(2, keepdim=True)
    strength = target.amax(1)  # [B, A]
    label = drawn.label.gather(1, winner)
    wanted = torch.zeros_like(score).scatter_(2, label[:, :, None], strength[:, :, None].to(score.dtype))
    return Wanted(wanted, drawn.box.gather(1, winner[:, :, None].expand(-1, -1, 4)))


def detection_loss(places: Places, logits: Tensor, distance: Tensor, drawn: Drawn) -> tuple[Tensor, Tensor]:
    """The losses of classes and of boxes, each the mean over rows of a sum over places, as a share of what was to be found.

    Args:
        logits: [B, A, classes]. distance: [B, A, 4], in strides.
    """
    logits, distance = logits.float(), distance.float()
    box = boxes_at(places, distance)
    wanted = assigned(places, logits.detach().sigmoid(), box.detach(), drawn)
    judged = ~(inside(places, drawn.box) & drawn.ignore[:, :, None]).any(1) | (wanted.score.amax(2) > 0)
    total = wanted.score.sum((1, 2)).clamp(min=1.0)
    each = F.binary_cross_entropy_with_logits(logits, wanted.score, reduction="none").sum(2) * judged
    row, place = torch.nonzero(wanted.score.amax(2) > 0, as_tuple=True)
    apart = (1 - complete_overlap(box[row, place], wanted.box[row, place])) * wanted.score[row, place].sum(-1)
    apart = torch.zeros_like(total).index_add(0, row, apart)
    return CLASS_WEIGHT * (each.sum(1) / total).mean(), BOX_WEIGHT * (apart / total).mean()
