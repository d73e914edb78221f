"""What is served: the network, boxes turned back to pixels of the picture as sent, and suppression of those found twice."""

import torch
from torch import Tensor, nn

from thuja.blocks.anchor_free import boxes_at
from thuja.blocks.nms import kept
from thuja.models.detector import DetectorNet

STEPS = 1024
"""Scores are whole numbers of so many parts. Places that see the same answer the same but for the last bits, which differ from one runtime to the next; once
rounded they are equal, and the first of equals is chosen by all."""
FLOOR = 5 / STEPS
"""Scores up to this count as nothing."""


class Predict(nn.Module):
    """uint8 [B, H, W, C] and float32 [B, 6] (`placed`) to `boxes` [B, k, 4] in pixels of the original, `score` [B, k] falling, 0 in empty places, and
    `label` int64 [B, k]."""

    def __init__(self, net: DetectorNet, most: int, overlap: float) -> None:
        super().__init__()
        self.net, self.most, self.overlap = net, most, overlap

    def forward(self, pictures: Tensor, placed: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The `most` surest boxes over all classes."""
        logits, distance = self.net(pictures)
        boxes = original(boxes_at(self.net.places, distance), placed)
        parts = (logits.float().sigmoid().mT * STEPS).round()
        left = (parts * kept(boxes, parts / STEPS, self.most, self.overlap, FLOOR)).flatten(1).long()
        places, count = parts.shape[2], left.shape[1]
        order = left * count + torch.arange(count - 1, -1, -1, device=left.device)  # no two are equal, so that every runtime sorts alike
        chosen = order.topk(min(self.most, count), dim=1).indices
        score = left.gather(1, chosen) / STEPS
        there = score > 0
        found = boxes.gather(1, (chosen % places)[:, :, None].expand(-1, -1, 4))
        return found * there[:, :, None], score, (chosen // places) * there


def original(boxes: Tensor, placed: Tensor) -> Tensor:
    """Boxes [B, A, 4] of letter boxes in pixels of the pictures themselves, cut off at their edges."""
    scale, corner, size = placed[:, None, 0:2], placed[:, None, 2:4], placed[:, None, 4:6]
    first, last = ((boxes[..., i : i + 2] - corner) / scale for i in (0, 2))
    return torch.cat([torch.minimum(first.clamp(min=0), size), torch.minimum(last.clamp(min=0), size)], dim=-1)
