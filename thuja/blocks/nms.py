"""Non-maximum suppression: of boxes of one class that overlap, the surest stays.

Greedy and exact: the surest box that is left is kept, and all of its class that overlap it by more than a limit go; so on until none is left. torch has no such
operator without torchvision; this one is registered under a name (`thuja::kept`), and `thuja.graph.nms` writes it as ONNX's NonMaxSuppression, which decides
alike: larger than the limit, larger than the floor, the first of two equals.

Source: greedy suppression as in Girshick et al. 2014, arXiv 1311.2524; the details are those of ONNX operator NonMaxSuppression-11.
"""

import torch
from torch import Tensor


@torch.library.custom_op("thuja::kept", mutates_args=())
def kept(boxes: Tensor, scores: Tensor, most: int, overlap: float, floor: float) -> Tensor:
    """float32 [B, C, A]: 1 where a box is kept, else 0; classes do not see each other.

    Args:
        boxes: float32 [B, A, 4], left, top, right, bottom.
        scores: float32 [B, C, A]. Only those above `floor` count.
        most: boxes kept of each class of each row.
        overlap: intersection over union beyond which the weaker of two goes.
    """
    left = torch.where(scores > floor, scores, -torch.inf)
    keep = torch.zeros_like(scores)
    sides = (boxes[..., 2:] - boxes[..., :2]).clamp(min=0)
    size = (sides[..., 0] * sides[..., 1])[:, None]
    for _ in range(min(most, scores.shape[2])):
        best, place = left.max(2, keepdim=True)
        if not bool((best > -torch.inf).any()):
            break
        place = torch.where(left == best, torch.arange(left.shape[2], device=left.device), left.shape[2]).amin(2, keepdim=True)  # the first of equals
        live = best > -torch.inf
        keep.scatter_(2, place, torch.where(live, 1.0, keep.gather(2, place)))
        box = boxes.gather(1, place[..., 0][..., None].expand(-1, -1, 4))  # [B, C, 4]
        common = (torch.minimum(boxes[:, None, :, 2:], box[:, :, None, 2:]) - torch.maximum(boxes[:, None, :, :2], box[:, :, None, :2])).clamp(min=0).prod(-1)
        union = size + size.expand(-1, place.shape[1], -1).gather(2, place) - common
        near = (common / union.clamp(min=torch.finfo(union.dtype).tiny)) > overlap
        left = left.masked_fill((near & live).scatter(2, place, value=True), -torch.inf)
    return keep


@kept.register_fake
def _(boxes: Tensor, scores: Tensor, most: int, overlap: float, floor: float) -> Tensor:
    return torch.empty_like(scores)
