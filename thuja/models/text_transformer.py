"""A transformer encoder over words, beside a linear model of n-grams, for texts where order over long distances matters and there are many rows.

Source: Vaswani et al. 2017, arXiv 1706.03762, in the pre-norm form with rotary places (see `thuja.blocks.transformer`). Differs: the mean and the largest value
over places stand for the text, in place of a special first word; words are dropped by reading them as their ending alone (as in `thuja.models.text_cnn`).
"""

from collections.abc import Sequence
from typing import Annotated, Literal, Self

import torch
from pydantic import BaseModel, ConfigDict, Field, PositiveInt, model_validator
from torch import Tensor, nn

from thuja.blocks.embedding import Embedding
from thuja.blocks.transformer import Encoder
from thuja.models.text_ngrams import TextNgrams

Share = Annotated[float, Field(ge=0, lt=1)]


class TextTransformer(BaseModel):
    """Sizes of the text transformer. Wants many rows: from random weights, below some hundred thousand, `text-cnn` is better and faster."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    kind: Literal["text-transformer"] = "text-transformer"
    dim: PositiveInt = 128
    """Numbers that stand for a word, in every layer."""
    depth: PositiveInt = 2
    """Layers."""
    heads: PositiveInt = 4
    """Attentions side by side; `dim / heads` must be even."""
    hidden: PositiveInt = 256
    """Width of the network on each word."""
    dropout: Share = 0.2
    word_dropout: Share = 0.1
    """Words read as their ending alone, so that rare words can be understood."""
    ngrams: TextNgrams = TextNgrams()
    """The linear part."""

    @model_validator(mode="after")
    def _even(self) -> Self:
        if self.dim % (2 * self.heads):
            raise ValueError(f"dim must be a multiple of 2 * heads = {2 * self.heads}, not {self.dim}")
        return self

    def build(self, endings: Sequence[int], classes: int) -> "TextTransformerNet":
        """`endings`: for each id, the one it is read as when its ending alone is known."""
        return TextTransformerNet(self, endings, classes)


class TextTransformerNet(nn.Module):
    """int64 word ids [B, T] and character ids [B, S], both 0 where there is nothing, to logits [B, classes]."""

    endings: Tensor

    def __init__(self, settings: TextTransformer, endings: Sequence[int], classes: int) -> None:
        super().__init__()
        s = self.settings = settings
        self.register_buffer("endings", torch.tensor(endings))
        self.words = Embedding(len(endings), s.dim)
        self.encoder = Encoder(s.dim, s.depth, s.heads, s.hidden, s.dropout)
        self.dropout = nn.Dropout(s.dropout)
        self.head = nn.Linear(2 * s.dim, classes)
        nn.init.normal_(self.head.weight, std=0.01)
        nn.init.zeros_(self.head.bias)
        self.ngrams = s.ngrams.build(endings, classes)

    def forward(self, words: Tensor, characters: Tensor) -> Tensor:
        """Logits [B, classes]. Every row has at least one word."""
        linear, mask = self.ngrams(words, characters), words != 0
        if self.training and self.settings.word_dropout:
            drop = torch.rand(words.shape, device=words.device) < self.settings.word_dropout
            words = torch.where(drop, self.endings[words], words)
        encoded = self.encoder(self.dropout(self.words(words)), mask)
        there = mask.unsqueeze(2)
        mean = (encoded * there).sum(1) / there.sum(1)
        largest = encoded.masked_fill(~there, torch.finfo(encoded.dtype).min).amax(1)
        logits: Tensor = self.head(self.dropout(torch.cat([mean, largest], dim=1))) + linear
        return logits
