"""Boxes as tensors: [..., 4] as left, top, right, bottom in pixels; how much two overlap, and how far apart two that do not overlap are.

Source: generalised intersection over union, Rezatofighi et al. 2019, arXiv 1902.09630; the complete form with the distance of centres and the shape, Zheng et
al. 2020, arXiv 1911.08287 (the weight of the shape takes no gradient, as in its code).
"""

import math

import torch
from torch import Tensor

EPSILON = 1e-7


def area(boxes: Tensor) -> Tensor:
    """[..., 4] to [...]; nothing for a box that is inverted."""
    sides = (boxes[..., 2:] - boxes[..., :2]).clamp(min=0)
    return sides[..., 0] * sides[..., 1]


def overlap(one: Tensor, other: Tensor) -> Tensor:
    """Intersection over union, elementwise with broadcasting: [..., 4] and [..., 4] to [...]."""
    (a, b, c, d), (e, f, g, h) = one.unbind(-1), other.unbind(-1)  # a coordinate at a time: tensors of many pairs are four times smaller so
    common = (torch.minimum(c, g) - torch.maximum(a, e)).clamp(min=0) * (torch.minimum(d, h) - torch.maximum(b, f)).clamp(min=0)
    return common / (area(one) + area(other) - common + EPSILON)


def complete_overlap(one: Tensor, other: Tensor) -> Tensor:
    """Intersection over union, less the squared distance of the centres as a share of the common frame's diagonal, less the difference of the shapes: [..., 4]
    and [..., 4] to [...], at most 1; it has a slope where boxes do not touch, and where they only differ in shape."""
    iou = overlap(one, other)
    frame = torch.maximum(one[..., 2:], other[..., 2:]) - torch.minimum(one[..., :2], other[..., :2])
    between = (one[..., :2] + one[..., 2:] - other[..., :2] - other[..., 2:]) / 2
    distance = between.square().sum(-1) / (frame.square().sum(-1) + EPSILON)
    shapes = [torch.atan(w / h.clamp(min=EPSILON)) for box in (one, other) for w, h in [((box[..., 2:] - box[..., :2]).clamp(min=EPSILON)).unbind(-1)]]
    shape = (4 / math.pi**2) * (shapes[0] - shapes[1]).square()
    with torch.no_grad():
        weight = shape / (1 - iou + shape + EPSILON)
    return iou - distance - weight * shape
