"""The encoder whose weights many published checkpoints of texts hold, its last layer averaged over the tokens, and a head.

Source: BERT, Devlin et al. 2018, arXiv 1810.04805; RoBERTa, Liu et al. 2019, arXiv 1907.11692; DistilBERT, Sanh et al. 2019, arXiv 1910.01108; MiniLM, Wang
et al. 2020, arXiv 2002.10957; the mean over tokens, Reimers and Gurevych 2019, arXiv 1908.10084. Differs: the vector of the first kind of text is added to
those of the places once and for all; no pooler. That it is the same network is tested against the library transformers.
"""

from typing import Literal

import torch
from pydantic import NonNegativeInt, PositiveFloat, PositiveInt
from torch import Tensor, nn

from thuja.blocks.attention import SelfAttention
from thuja.blocks.initialisation import initialise, small_
from thuja.settings import Section, Share


class PretrainedText(Section):
    """An encoder whose weights and sizes come from the checkpoint that `parent` names; only what a spec may want to change is typed."""

    kind: Literal["pretrained"] = "pretrained"
    dropout: Share = 0.1
    tokens: NonNegativeInt = 0
    """Rows of the table of tokens; 0 until the checkpoint says it, as with all sizes below."""
    dim: PositiveInt = 1
    depth: PositiveInt = 1
    heads: PositiveInt = 1
    hidden: PositiveInt = 1
    places: PositiveInt = 1
    """Tokens of the longest text."""
    epsilon: PositiveFloat = 1e-12

    def build(self, classes: int) -> "PretrainedTextNet":
        """Fresh weights, for a checkpoint's to take the place of."""
        assert self.tokens, "the sizes come with the checkpoint"
        return PretrainedTextNet(self, classes)


class Embedded(nn.Module):
    """A vector for the token plus one for its place, normed."""

    def __init__(self, settings: PretrainedText) -> None:
        super().__init__()
        self.words = nn.Embedding(settings.tokens, settings.dim)
        self.places = nn.Embedding(settings.places, settings.dim)
        self.norm = nn.LayerNorm(settings.dim, settings.epsilon)
        self.dropout = nn.Dropout(settings.dropout)

    def forward(self, ids: Tensor) -> Tensor:
        """int64 [B, T], a token's number and 1, 0 where there is none, to [B, T, dim]."""
        places = torch.arange(ids.shape[1], device=ids.device)
        embedded: Tensor = self.dropout(self.norm(self.words((ids - 1).clamp_min(0)) + self.places(places)))
        return embedded


class PostNormLayer(nn.Module):
    """norm(x + attention(x)), then norm(x + network(x)): the first arrangement of a transformer's layer."""

    def __init__(self, settings: PretrainedText) -> None:
        super().__init__()
        s = settings
        self.attention = SelfAttention(s.dim, s.heads, s.dropout, rotary=False)
        self.attention_norm, self.network_norm = nn.LayerNorm(s.dim, s.epsilon), nn.LayerNorm(s.dim, s.epsilon)
        self.first, self.last = nn.Linear(s.dim, s.hidden), nn.Linear(s.hidden, s.dim)
        self.dropout = nn.Dropout(s.dropout)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """[B, T, dim], with mask bool [B, T] True where there is a token, to [B, T, dim]."""
        x = self.attention_norm(x + self.dropout(self.attention(x, mask)))
        changed: Tensor = self.network_norm(x + self.dropout(self.last(nn.functional.gelu(self.first(x)))))
        return changed


class PretrainedTextNet(nn.Module):
    """int64 ids [B, T], a token's number and 1, 0 at the end where there is none, to logits [B, classes]."""

    def __init__(self, settings: PretrainedText, classes: int) -> None:
        super().__init__()
        self.embedding = Embedded(settings)
        self.layers = nn.ModuleList(PostNormLayer(settings) for _ in range(settings.depth))
        self.dropout = nn.Dropout(settings.dropout)
        self.head = nn.Linear(settings.dim, classes)
        initialise(self.head, {nn.Linear: small_})

    def forward(self, ids: Tensor) -> Tensor:
        """Logits."""
        mask = ids != 0
        x = self.hidden(ids) * mask.unsqueeze(2)
        mean = x.sum(1) / mask.sum(1, keepdim=True).clamp_min(1)
        logits: Tensor = self.head(self.dropout(mean))
        return logits

    def hidden(self, ids: Tensor) -> Tensor:
        """The last layer's vectors [B, T, dim]."""
        mask = ids != 0
        x = self.embedding(ids)
        for layer in self.layers:
            x = layer(x, mask)
        assert isinstance(x, Tensor)
        return x
