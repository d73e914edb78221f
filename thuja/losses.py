"""Losses that torch has not. Every loss is a mean over rows, so that a batch cut into parts gives the same update.

Source: mixup, Zhang et al. 2017, arXiv 1710.09412 (the loss of its reference code); label smoothing, Szegedy et al. 2015, arXiv 1512.00567;
connectionist temporal classification, Graves et al. 2006, "Connectionist temporal classification: labelling unsegmented sequence data", ICML;
Bayesian personalised ranking, Rendle et al. 2009, arXiv 1205.2618 (eq. of section 4.1); sampled softmax with the correction of Bengio and Senecal 2008,
"Adaptive importance sampling to accelerate training of a neural probabilistic language model", as Yi et al. 2019 ("Sampling-bias-corrected neural modeling",
RecSys) write it; soft Dice, Milletari et al. 2016, arXiv 1606.04797 (V-Net), without the squares, for each class of each row.
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


def pixel_cross_entropy(logits: Tensor, target: Tensor, ignored: int, weight: Tensor | None = None) -> Tensor:
    """Cross-entropy of every pixel: the mean over the known pixels of a row, then over rows; a row without any counts as zero.

    Args:
        logits: float [B, classes, H, W].
        target: int64 [B, H, W]; `ignored` where the class is not known.
        weight: float [classes], how much a pixel of each class counts; about 1 on average over all pixels.
    """
    losses = F.cross_entropy(logits, target, weight=weight, ignore_index=ignored, reduction="none")
    return (losses.flatten(1).sum(1) / (target != ignored).flatten(1).sum(1).clamp(min=1)).mean()


def soft_dice(logits: Tensor, target: Tensor, ignored: int, first: int = 0) -> Tensor:
    """One minus the Dice overlap of probabilities and truth: of each class of each row, the mean over the classes that the row has, then over rows.

    Args: as `pixel_cross_entropy`; first: classes before this one do not count (the background).

    Classes that are rare in a picture count as much as large ones, which cross-entropy does not give them. A class that a row has not got is left out: there
    the overlap is 0 whatever is answered, and cross-entropy teaches it.
    """
    known, classes = target != ignored, logits.shape[1]
    place = torch.where(known, target, 0)
    probability = logits.softmax(dim=1) * known[:, None]
    cell = (place + classes * torch.arange(len(place), device=place.device)[:, None, None]).flatten()
    nothing = probability.new_zeros(len(place) * classes)
    both = nothing.index_add(0, cell, probability.gather(1, place[:, None]).flatten()).view(-1, classes)[:, first:]
    there = nothing.index_add(0, cell, known.flatten().to(nothing.dtype)).view(-1, classes)[:, first:]
    overlap = (2 * both + 1) / (probability.sum((2, 3))[:, first:] + there + 1)
    had = (there > 0).to(overlap.dtype)
    return (((1 - overlap) * had).sum(1) / had.sum(1).clamp(min=1)).mean()


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


def pinball(answer: Tensor, target: Tensor, level: float) -> Tensor:
    """The loss of a quantile, elementwise: what lies above it costs `level` a unit, what lies below costs 1 - `level`. Least at the quantile of that level.

    Source: Koenker and Bassett 1978, "Regression quantiles", Econometrica 46(1).
    """
    over = target - answer
    return torch.maximum(level * over, (level - 1) * over)


def mean_of_known(losses: Tensor, known: Tensor) -> Tensor:
    """The mean over rows of the mean over the places of a row where `known` [B, T] (bool) is true; a row without any counts as zero."""
    counts = known.sum(1).clamp_min(1)
    return (torch.where(known, losses, 0).sum(1) / counts).mean()


def ctc(log_probability: Tensor, frames: Tensor, target: Tensor) -> Tensor:
    """Connectionist temporal classification: minus the log-probability of the target, summed over all ways to spread it over the frames; nats a token, scalar.

    Args:
        log_probability: float [B, F, tokens]; token 0 is the blank, which stands for "nothing new".
        frames: int64 [B], frames of each row that count.
        target: int64 [B, S], 0 beyond the end of a row.

    Each row is divided by its own number of tokens, then the mean is over rows. A target that does not fit into its frames gives 0, not infinity.
    """
    lengths = (target != 0).sum(1)
    rows = F.ctc_loss(log_probability.transpose(0, 1), target, frames, lengths, reduction="none", zero_infinity=True)
    return (rows / lengths.clamp(min=1)).mean()
