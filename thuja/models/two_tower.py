"""Two towers: a network makes a vector of what a user took, the other side is a vector for each item, and their product is the score.

Source: Covington et al. 2016, "Deep neural networks for YouTube recommendations", RecSys, section 3.2 (the mean of item vectors, then layers); Yi et al. 2019,
"Sampling-bias-corrected neural modeling for large corpus item recommendations", RecSys (two towers). Differs: the item tower is a table, since items here have
no features; the mean fades, so that what was taken last counts more; a query is made at every place, as in SASRec, so that each history teaches as often as it
has items.
"""

from typing import Annotated, Literal

import torch
from pydantic import BaseModel, ConfigDict, Field, PositiveInt
from torch import Tensor, nn

from thuja.models.sasrec import fading_mean

Share = Annotated[float, Field(ge=0, lt=1)]


class TwoTower(BaseModel):
    """Sizes of the two towers."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    kind: Literal["two-tower"] = "two-tower"
    dim: PositiveInt = 64
    """Numbers that stand for an item or a user."""
    hidden: PositiveInt = 256
    """Width of the user's network."""
    dropout: Share = 0.5
    item_dropout: Share = 0.4
    """Items of a history that are not read, while training."""
    fading: Share = 0.98
    """What is left, after one more item, of an item's weight in the mean."""

    def build(self, items: int, users: int = 0) -> "TwoTowerNet":
        """A network for so many items; a user is what was taken."""
        return TwoTowerNet(self, items)


class TwoTowerNet(nn.Module):
    """int64 ids of items [B, T], 0 where there is none (at the end only), to queries [B, T, dim]: that of place t has read the places up to t."""

    def __init__(self, settings: TwoTower, items: int) -> None:
        super().__init__()
        s = self.settings = settings
        self.read, self.items = nn.Embedding(items + 1, s.dim), nn.Embedding(items + 1, s.dim)
        for table in (self.read, self.items):
            nn.init.normal_(table.weight, std=s.dim**-0.5)
        self.bias = nn.Parameter(torch.zeros(items + 1))
        self.tower = nn.Sequential(nn.LayerNorm(s.dim), nn.Linear(s.dim, s.hidden), nn.GELU(), nn.Dropout(s.dropout), nn.Linear(s.hidden, s.dim))
        self.shortcut = nn.Linear(s.dim, s.dim, bias=False)
        self.dropout = nn.Dropout(s.dropout)

    def catalogue(self) -> tuple[Tensor, Tensor]:
        """A vector for each item, [items + 1, dim], and its bias; the first is of no item. The score of an item is its product with a query, plus its bias."""
        return self.items.weight, self.bias

    def forward(self, history: Tensor, user: Tensor | None = None) -> Tensor:
        """Queries [B, T, dim]; `user` is not looked at."""
        there = (history != 0).unsqueeze(2)
        if self.training and self.settings.item_dropout:
            there = there & (torch.rand(there.shape, device=history.device) >= self.settings.item_dropout)
        bag = self.dropout(fading_mean(self.read(history) * there, self.settings.fading))
        queries: Tensor = self.tower(bag) + self.shortcut(bag)
        return queries
