"""A vector for each user and each item: what a user thinks of an item is their product.

Source: Koren, Bell and Volinsky 2009, "Matrix factorization techniques for recommender systems", IEEE Computer 42(8), eq. 4 (biases and the product, for
ratings); Rendle et al. 2009, arXiv 1205.2618 (the same scores for things taken). Learned by gradients, not by alternating least squares: those are the
baseline beside it (`thuja.apps.recommendation.als`), solved exactly. Differs: a user without a vector is answered from what was taken, by the mean of the
items' second vectors (Kabbur et al. 2013, "FISM", KDD), which learns from rows whose user is hidden at random.
"""

from typing import Annotated, Literal

import torch
from pydantic import BaseModel, ConfigDict, Field, PositiveInt
from torch import Tensor, nn

Share = Annotated[float, Field(ge=0, lt=1)]


class MatrixFactorisation(BaseModel):
    """Sizes of the factors, and what they are learned for."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    kind: Literal["matrix-factorisation"] = "matrix-factorisation"
    dim: PositiveInt = 64
    """Numbers that stand for a user or an item."""
    dropout: Share = 0.3
    hidden_users: Share = 0.3
    """Rows whose user is hidden while training, so that users who are not known can be answered from their history."""

    def build(self, items: int, users: int = 0) -> "Factors":
        """Factors of so many items and users."""
        return Factors(self, items, users)


class Factors(nn.Module):
    """int64 ids of items [B, T] and users [B] (0: not known) to queries [B, T, dim]; that of a known user is the same at every place."""

    def __init__(self, settings: MatrixFactorisation, items: int, users: int) -> None:
        super().__init__()
        s = self.settings = settings
        self.items, self.read, self.users = nn.Embedding(items + 1, s.dim), nn.Embedding(items + 1, s.dim), nn.Embedding(users + 1, s.dim)
        for table in (self.items, self.read, self.users):
            nn.init.normal_(table.weight, std=0.1 * s.dim**-0.5)
        self.bias = nn.Parameter(torch.zeros(items + 1))
        self.user_bias = nn.Embedding(users + 1, 1)
        nn.init.zeros_(self.user_bias.weight)
        self.dropout = nn.Dropout(s.dropout)

    def catalogue(self) -> tuple[Tensor, Tensor]:
        """A vector for each item, [items + 1, dim], and its bias; the first is of no item. The score of an item is its product with a query, plus its bias."""
        return self.items.weight, self.bias

    def forward(self, history: Tensor, user: Tensor) -> Tensor:
        """Queries [B, T, dim]."""
        if self.training and self.settings.hidden_users:
            user = user * (torch.rand(user.shape, device=user.device) >= self.settings.hidden_users)
        there = (history != 0).unsqueeze(2).to(self.read.weight.dtype)
        bag = (self.read(history) * there).cumsum(1) / there.cumsum(1).clamp_min(1)
        known = (user != 0)[:, None, None]
        queries: Tensor = self.dropout(torch.where(known, self.users(user)[:, None], bag))
        return queries

    def level(self, user: Tensor) -> Tensor:
        """By how much each user's ratings are above the mean of all: float [B]; 0 for one who is not known."""
        found: Tensor = self.user_bias(user)[:, 0]
        return found
