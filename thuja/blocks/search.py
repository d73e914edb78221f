"""Beam search as tensors: of all ways to go on, the few likeliest are followed at once. With one beam it is greedy search.

All rows are searched together, and beams are an axis after them. A hypothesis is finished when it chooses the end; its score is the sum of the logarithms of
its tokens' probabilities, the end included, divided by their number to the power of `penalty` (0: short texts win; 1: the mean). A row is done when as many
hypotheses as there are beams have finished, or at its longest; the best of them is the answer. A finished hypothesis takes no beam from those that go on.

Source: Graves 2012, arXiv 1211.3711, section 2 (beam search over sequences); Sutskever et al. 2014, arXiv 1409.3215, section 3.2; division by the length to a
power: Wu et al. 2016, arXiv 1609.08144, section 7. Differs: the length itself, not (5 + length) / 6; the end of the search is that of fairseq.
"""

from typing import NamedTuple

import torch
from torch import Tensor

NOTHING = -1e9
"""A score below all others; infinities are refused at the edge of a program."""


class Beams(NamedTuple):
    """B rows with K hypotheses each that are still being made, and the best that is finished."""

    tokens: Tensor
    """int64 [B, K, T]: chosen so far, 0 where there is none."""
    scores: Tensor
    """float [B, K], falling: sums of log-probabilities."""
    best: Tensor
    """int64 [B, T]: the finished hypothesis of the highest score, without the end, filled with 0."""
    best_score: Tensor
    """float [B]; NOTHING while there is none."""
    finished: Tensor
    """int64 [B]: hypotheses that have ended."""
    done: Tensor
    """bool [B]."""


class Rule(NamedTuple):
    """How a search is made."""

    beams: int
    end: int
    """The token that ends a hypothesis."""
    penalty: float = 1.0


def begin(probability: Tensor, limit: Tensor, rule: Rule) -> tuple[Beams, Tensor]:
    """The first tokens.

    Args:
        probability: [B, V], logarithms, of the first token; NOTHING for what may never be chosen.
        limit: int64 [B], most tokens, the end included.
    Returns: the hypotheses, and int64 [B, K] zeros: which beam each comes from, as in `advance`.
    """
    none = limit.new_zeros(limit.shape[0], 1)
    score = probability.new_full((1,), NOTHING).expand(limit.shape[0])
    empty = Beams(none[:, None, :0], probability.new_zeros(1, 1).expand(limit.shape[0], 1), none[:, :0], score, none[:, 0], limit < 1)
    return advance(empty, probability[:, None], limit, rule)


def advance(beams: Beams, probability: Tensor, limit: Tensor, rule: Rule) -> tuple[Beams, Tensor]:
    """One more token for every hypothesis.

    Args: probability: [B, K, V], logarithms, of the next token after each beam; V is at least twice the number of beams.
    Returns: the hypotheses, and int64 [B, K]: the beam from which each of them goes on, by which caches are put in order (`follow`). Rows that were done
        keep their answer.
    """
    size, words = rule.beams, probability.shape[2]
    total = (beams.scores[:, :, None] + probability).flatten(1)
    score, index = total.topk(2 * size, dim=1)  # every beam ends in one way only, so that enough go on
    parent, token = index // words, index % words
    ends = token == rule.end
    length = (beams.tokens[:, 0] != 0).sum(1) + 1
    divisor = length.to(score.dtype) ** rule.penalty

    final = (score / divisor[:, None]).masked_fill(~ends | (score < NOTHING / 2), NOTHING)[:, :size]
    final_score, final_place = final.max(dim=1)
    final_parent = parent.gather(1, final_place[:, None])
    better = (final_score > beams.best_score) & ~beams.done
    ended = follow(beams.tokens, final_parent)[:, 0]
    best = torch.where(better[:, None], ended, beams.best)
    best_score = torch.where(better, final_score, beams.best_score)
    finished = beams.finished + torch.where(beams.done, 0, (final > NOTHING / 2).sum(1))

    scores, place = score.masked_fill(ends, NOTHING).topk(size, dim=1)
    parent, token = parent.gather(1, place), token.gather(1, place)
    tokens = torch.cat([follow(beams.tokens, parent), token[:, :, None]], dim=2)
    cut = (length >= limit) & (best_score < NOTHING / 2) & ~beams.done  # at its longest without an end: what there is
    best = torch.where(cut[:, None], tokens[:, 0], torch.cat([best, torch.zeros_like(best_score, dtype=torch.int64)[:, None]], dim=1))
    best_score = torch.where(cut, scores[:, 0] / divisor, best_score)
    done = beams.done | (finished >= size) | (length >= limit)
    return Beams(tokens, scores, best, best_score, finished, done), parent


def follow(kept: Tensor, parent: Tensor) -> Tensor:
    """What is kept for each beam, [B, K, ...], for those that go on: [B, M, ...], where `parent` int64 [B, M] says of which beam each is the heir."""
    first = torch.arange(kept.shape[0], device=kept.device)[:, None] * kept.shape[1]
    return kept.flatten(0, 1)[first + parent]
