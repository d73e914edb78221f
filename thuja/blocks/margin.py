"""Margin softmax: classify people by the angle between a vector and each person's prototype, and make training harder by a margin, so that pictures of one
person end up closer together than classification alone would ask for. What is learned is the vector; the prototypes are needed in training only.

Source: ArcFace, Deng et al. 2019, arXiv 1801.07698 (eq. 3: the margin is added to the angle); CosFace, Wang et al. 2018, arXiv 1801.09414 (eq. 4: the margin
is taken off the cosine). Differs from the ArcFace code: where angle + margin would pass 180 degrees, the cosine is lowered along its tangent there, so that
the loss stays monotonic without an `easy margin` switch; the prototypes start with unit length.
"""

import math
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class MarginHead(nn.Module):
    """Prototypes of `classes` people, and the logits of training: unit vectors float [B, dim] to [B, classes]."""

    def __init__(self, dim: int, classes: int, *, kind: Literal["arcface", "cosface"] = "arcface", margin: float = 0.3, scale: float = 16.0) -> None:
        """`margin` in radians for arcface, in cosine for cosface; `scale` is what cosines are multiplied with before the softmax."""
        super().__init__()
        self.prototypes = nn.Parameter(F.normalize(torch.randn(classes, dim), dim=1))
        self.kind, self.margin, self.scale = kind, margin, scale

    def cosines(self, vectors: Tensor) -> Tensor:
        """Unit vectors [B, dim] to the cosine with each prototype [B, classes]."""
        return vectors @ F.normalize(self.prototypes, dim=1).t()

    def forward(self, vectors: Tensor, target: Tensor) -> Tensor:
        """Logits; the cosine of the row's own person, `target` int64 [B], is lowered by the margin."""
        cosine = self.cosines(vectors)
        own = cosine.gather(1, target[:, None])
        lowered = own - self.margin if self.kind == "cosface" else widened(own, self.margin)
        return self.scale * cosine.scatter(1, target[:, None], lowered)


def widened(cosine: Tensor, margin: float) -> Tensor:
    """cos(angle + margin) of cosines, falling on along a straight line where the sum passes 180 degrees; elementwise."""
    sine = (1 - cosine.square()).clamp(min=1e-9).sqrt()
    turned = cosine * math.cos(margin) - sine * math.sin(margin)
    return torch.where(cosine > -math.cos(margin), turned, cosine - (1 - math.cos(margin)))
