"""Losses that torch has not. Every loss is a mean over rows, so that a batch cut into parts gives the same update.

Source: mixup, Zhang et al. 2017, arXiv 1710.09412 (the loss of its reference code); label smoothing, Szegedy et al. 2015, arXiv 1512.00567;
Bayesian personalised ranking, Rendle et al. 2009, arXiv 1205.2618 (eq. of section 4.1); sampled softmax with the correction of Bengio and Senecal 2008,
"Adaptive importance sampling to accelerate training of a neural probabilistic language model", as Yi et al. 2019 ("Sampling-bias-corrected neural modeling",
RecSys) write it.
"""

import torch
from torch import Tensor
from torch.nn import functional as F


def blended_cross_entropy(logits: Tensor, target: Tensor, partner: Tensor, share: Tensor, label_smoothing: float = 0.0) -> Tensor:
    """Cross-entropy of rows that are blends of two: `share` of the loss against `target`, the rest against `partner`; a scalar.

    Args:
        logits: float [B, classes].
        target, partner: int64 [B], the classes of the row and of what was blended into it.
        share: float [B], the row's own share of the blend, 0 to 1.

    Equal to the cross-entropy against blended one-hot targets, because the loss is linear in them.
    """
    own = F.cross_entropy(logits, target, label_smoothing=label_smoothing, reduction="none")
    other = F.cross_entropy(logits, partner, label_smoothing=label_smoothing, reduction="none")
    return (share * own + (1 - share) * other).mean()


def unsmoothed(probability: Tensor, label_smoothing: float) -> Tensor:
    """What a network trained with label smoothing believes about the true label: float [B, classes] to the same.

    Training against (1 - s) onehot + s / classes teaches q = (1 - s) p + s / classes, where p is the probability of the label. This solves for p; what
    falls below a tenth of the noise floor s / classes is set there, so that no class is ruled out. The order of the classes does not change.
    """
    floor = label_smoothing / probability.shape[1]
    raised = ((probability - floor) / (1 - label_smoothing)).clamp(min=floor / 10)
    return raised / raised.sum(dim=1, keepdim=True)


def bayesian_personalised_ranking(positive: Tensor, negative: Tensor) -> Tensor:
    """How surely something taken is put above something not taken: -log sigmoid of the difference of their scores, float [...] to the same.

    Args:
        positive, negative: float [...], the scores of the two.
    """
    return -F.logsigmoid(positive - negative)


def sampled_softmax(positive: Tensor, negative: Tensor, expected: Tensor, same: Tensor) -> Tensor:
    """Cross-entropy of a choice among very many, estimated with a few drawn ones in place of all others: float [M].

    Args:
        positive: float [M], the scores of what was chosen.
        negative: float [M, S], the scores of what was drawn.
        expected: float [S], how often each is expected among as many draws; its logarithm is taken off its score, so that those drawn often do not count more.
        same: bool [M, S], where a drawn one is the chosen one, which is left out.
    """
    corrected = (negative - expected.log()).masked_fill(same, float("-inf"))
    return torch.logsumexp(torch.cat([positive[:, None], corrected], dim=1), dim=1) - positive
