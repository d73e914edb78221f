"""The losses: one name or several for a picture, whole pictures or blends of two, all classes alike or some of them weightier.

Each is the mean over rows of what the row costs, so that a batch cut into parts gives the same update; weights are not divided by their sum for that reason.
"""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from thuja.losses import blended_cross_entropy
from thuja.task import Batch

PARTNER, SHARE = "mixup.partner", "mixup.share"
"""What a batch holds besides its columns where pictures were blended; no column of a spec is likely to be called so."""


def one_name(logits: Tensor, target: Tensor, batch: Batch, smoothing: float, weights: Sequence[float] | None) -> Tensor:
    """Cross-entropy of logits [B, classes] against int64 [B]; against both classes where pictures were blended."""
    if weights is None and PARTNER in batch:
        return blended_cross_entropy(logits, target, batch[PARTNER], batch[SHARE], smoothing)
    if weights is None:
        return F.cross_entropy(logits, target, label_smoothing=smoothing)
    own = _weighted(logits, target, smoothing, weights)
    if PARTNER not in batch:
        return own.mean()
    share = batch[SHARE]
    return (share * own + (1 - share) * _weighted(logits, batch[PARTNER], smoothing, weights)).mean()


def _weighted(logits: Tensor, target: Tensor, smoothing: float, weights: Sequence[float]) -> Tensor:
    """[B]: what each row costs, times the weight of its class."""
    cost = F.cross_entropy(logits, target, label_smoothing=smoothing, reduction="none")
    return cost * torch.tensor(weights, device=logits.device)[target]


def several_names(logits: Tensor, target: Tensor, batch: Batch, weights: Sequence[float] | None) -> Tensor:
    """Binary cross-entropy of logits [B, labels] against float [B, labels] of 0 and 1, the mean over rows and labels; between them where pictures were
    blended. `weights`: how many times more a label that is there counts than one that is not."""
    if PARTNER in batch:
        target = torch.lerp(batch[PARTNER], target, batch[SHARE].unsqueeze(1))
    present = None if weights is None else torch.tensor(weights, device=logits.device)
    return F.binary_cross_entropy_with_logits(logits, target, pos_weight=present)
