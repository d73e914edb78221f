"""What is exported: the graph that recommends, and the one that says at which place the right item would have come."""

from typing import Any

import torch
from torch import Tensor, nn

from thuja.apps.recommendation.codec import FORBIDDEN


class Scorer(nn.Module):
    """Scores of all items for a history: those of the network, or of popularity where nothing is known."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model

    def forward(self, history: Tensor, user: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """int64 [B, T] and [B] to scores float32 [B, items + 1] and what they rest on, int64 [B]: 0 popularity, 1 the history, 2 the user."""
        queries = self.model.net(history, user)
        place = torch.arange(history.shape[1], device=history.device)
        last = ((history != 0).sum(1) - 1).clamp_min(0)
        query = (queries * (place == last[:, None]).unsqueeze(2)).sum(1)
        vectors, bias = self.model.net.catalogue()
        scores = (query @ vectors.T + bias).float()
        basis = (history != 0).any(1).long()
        if user is not None:
            basis = torch.where(user != 0, torch.full_like(basis, 2), basis)
        return torch.where((basis == 0)[:, None], self.model.popularity, scores), basis


class Predict(nn.Module):
    """The best items that may be recommended, with their scores."""

    def __init__(self, model: Any, top: int, score: str) -> None:
        super().__init__()
        self.scorer, self.top, self.score = Scorer(model), top, score

    def forward(self, history: Tensor, seen: Tensor, only: Tensor, limited: Tensor, unknown: Tensor, user: Tensor | None = None) -> tuple[Tensor, ...]:
        """Lists of ids int64 [B, any], `limited` and `unknown` int64 [B] to `item` int64 [B, top], `score` float32 [B, top], `basis` and `ignored` [B]."""
        scores, basis = self.scorer(history, user)
        if self.score == "probability":
            scores = scores[:, 1:].softmax(1)
            scores = torch.cat([torch.zeros_like(scores[:, :1]), scores], dim=1)
        elif self.score == "rating":
            model = self.scorer.model
            liked = torch.where((basis == 0)[:, None], model.net.catalogue()[1], scores)  # of an unknown user without a history: what all think of the item
            scores = model.rating(liked + model.net.level(user)[:, None])
        scores = without(scores, seen)
        outside = (listed(scores, only) == 0) & (limited != 0)[:, None]
        best, item = scores.masked_fill(outside, FORBIDDEN).topk(self.top, dim=1)
        return item, best, basis, unknown + 0


class Rank(nn.Module):
    """The place of the item that was taken next, among everything not seen and among negatives, and the first items."""

    def __init__(self, model: Any, top: int) -> None:
        super().__init__()
        self.scorer, self.top = Scorer(model), top

    def forward(self, history: Tensor, seen: Tensor, target: Tensor, negatives: Tensor, user: Tensor | None = None) -> tuple[Tensor, Tensor, Tensor]:
        """Lists of ids int64 [B, any] and `target` int64 [B, 1] to `rank`, `sampled` int64 [B] and `top` int64 [B, top], as `ranks.ranked` has them.

        A tie counts against the right item; one that must not be recommended, or is in no catalogue, comes last.
        """
        scores, _ = self.scorer(history, user)
        scores = without(scores, seen)
        own = scores.gather(1, target)
        rank = torch.where(own[:, 0] > FORBIDDEN / 2, (scores >= own).sum(1), torch.full_like(target[:, 0], scores.shape[1]))
        there = negatives != 0
        above = ((scores.gather(1, negatives) >= own) & there).sum(1)
        best, item = scores.topk(self.top, dim=1)
        return rank, torch.where(there.any(1), above + 1, torch.zeros_like(above)), torch.where(best > FORBIDDEN / 2, item, torch.zeros_like(item))


def listed(scores: Tensor, ids: Tensor) -> Tensor:
    """1 where an item is among the ids [B, any], else 0: float [B, items + 1]."""
    return torch.zeros_like(scores).scatter(1, ids, torch.ones_like(ids, dtype=scores.dtype))


def without(scores: Tensor, seen: Tensor) -> Tensor:
    """Scores with those of what was seen, and of no item at all (place 0), forbidden."""
    first = torch.zeros_like(seen[:, :1])
    return scores.masked_fill(listed(scores, torch.cat([first, seen], dim=1)) != 0, FORBIDDEN)
