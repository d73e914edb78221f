"""Self-attention over what was taken so far: at every place, a query for what comes next, matched with a vector for each item.

Source: Kang and McAuley 2018, arXiv 1808.09781 (SASRec): causal attention, the same vectors for items in and out. Differs: norm before each branch and rotary
places in place of added ones (as `thuja.blocks.transformer`), so that no longest place is learned; a bias for each item; the fading mean of the vectors of all
items taken is added to the answer of the attention (`taste`), which is what counts where there are few users; a share of the items read is left out at random
while training; no dropout of what a place may read, which would cost the fast kernel.
"""

from typing import Annotated, Literal, Self

import torch
from pydantic import BaseModel, ConfigDict, Field, PositiveInt, model_validator
from torch import Tensor, nn
from torch.nn import functional

from thuja.blocks.position import Rotary

Share = Annotated[float, Field(ge=0, lt=1)]


class SASRec(BaseModel):
    """Sizes of the network over histories."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    kind: Literal["sasrec"] = "sasrec"
    dim: PositiveInt = 64
    """Numbers that stand for an item, in every layer."""
    depth: PositiveInt = 1
    """Layers."""
    heads: PositiveInt = 2
    """Attentions side by side; `dim / heads` must be even."""
    hidden: PositiveInt = 128
    """Width of the network on each place."""
    dropout: Share = 0.5
    item_dropout: Share = 0.4
    """Items of a history that are not read, while training."""
    fading: Share = 0.98
    """What is left, after one more item, of an item's weight in the mean that is added; 0 adds the last item alone."""

    @model_validator(mode="after")
    def _even(self) -> Self:
        if self.dim % (2 * self.heads):
            raise ValueError(f"dim must be a multiple of 2 * heads = {2 * self.heads}, not {self.dim}")
        return self

    def build(self, items: int, users: int = 0) -> "SASRecNet":
        """A network for so many items; users have no vectors of their own here."""
        return SASRecNet(self, items)


class CausalLayer(nn.Module):
    """x + attention(norm(x)), then x + network(norm(x)), where each place reads from itself and the places before it."""

    def __init__(self, settings: SASRec) -> None:
        super().__init__()
        s, dim = settings, settings.dim
        self.heads = s.heads
        self.attention_norm, self.network_norm = nn.LayerNorm(dim), nn.LayerNorm(dim)
        self.inputs, self.output, self.rotary = nn.Linear(dim, 3 * dim), nn.Linear(dim, dim), Rotary(dim // s.heads)
        self.network = nn.Sequential(nn.Linear(dim, s.hidden), nn.GELU(), nn.Dropout(s.dropout), nn.Linear(s.hidden, dim))
        self.dropout = nn.Dropout(s.dropout)
        for layer in (self.output, self.network[-1]):
            nn.init.zeros_(layer.weight)  # type: ignore[arg-type]  # the last of the sequence is a Linear
            nn.init.zeros_(layer.bias)  # type: ignore[arg-type]

    def forward(self, x: Tensor, visible: Tensor) -> Tensor:
        """[B, T, dim], with visible bool [T, T] (or broadcast to [B, heads, T, T]) where a place may read another, to [B, T, dim]."""
        parts = self.inputs(self.attention_norm(x)).unflatten(-1, (3, self.heads, -1))
        query, key, value = parts.permute(2, 0, 3, 1, 4).unbind(0)
        read = functional.scaled_dot_product_attention(self.rotary(query), self.rotary(key), value, visible)
        x = x + self.dropout(self.output(read.transpose(1, 2).flatten(2)))
        added: Tensor = x + self.dropout(self.network(self.network_norm(x)))
        return added


class SASRecNet(nn.Module):
    """int64 ids of items [B, T], 0 where there is none (at the end only), to queries [B, T, dim]: that of place t has read the places up to t."""

    def __init__(self, settings: SASRec, items: int) -> None:
        super().__init__()
        s = self.settings = settings
        self.items = nn.Embedding(items + 1, s.dim)
        nn.init.normal_(self.items.weight, std=s.dim**-0.5)
        self.bias = nn.Parameter(torch.zeros(items + 1))
        self.layers = nn.ModuleList(CausalLayer(s) for _ in range(s.depth))
        self.norm = nn.LayerNorm(s.dim)
        nn.init.constant_(self.norm.weight, 0.3)
        self.dropout = nn.Dropout(s.dropout)
        self.taste = nn.Linear(s.dim, s.dim, bias=False)
        nn.init.eye_(self.taste.weight)

    def catalogue(self) -> tuple[Tensor, Tensor]:
        """A vector for each item, [items + 1, dim], and its bias; the first is of no item. The score of an item is its product with a query, plus its bias."""
        return self.items.weight, self.bias

    def forward(self, history: Tensor, user: Tensor | None = None) -> Tensor:
        """Queries [B, T, dim]; `user` is not looked at."""
        read = (history != 0).unsqueeze(2)
        if self.training and self.settings.item_dropout:
            read = read & (torch.rand(read.shape, device=history.device) >= self.settings.item_dropout)
        x = self.items(history) * read
        bag = fading_mean(x, self.settings.fading)
        place = torch.arange(history.shape[1], device=history.device)
        visible = place[:, None] >= place[None, :]
        x = self.dropout(x * self.settings.dim**0.5)
        for layer in self.layers:
            x = layer(x, visible)
        queries: Tensor = self.norm(x) + self.taste(self.dropout(bag * self.settings.dim**0.5))
        return queries


def fading_mean(x: Tensor, fading: float) -> Tensor:
    """At each place, the mean of the vectors up to there, an item one place earlier counting `fading` times as much: [B, T, dim] to the same."""
    place = torch.arange(x.shape[1], device=x.device)
    age = (place[:, None] - place[None, :]).to(x.dtype)
    weight = torch.where(age >= 0, fading ** age.clamp_min(0), torch.zeros_like(age))
    return (weight / weight.sum(1, keepdim=True)) @ x
