"""A linear model of n-grams of words and characters: the simplest text model, and the wide half of the deeper ones.

Source: Joulin et al. 2016, arXiv 1607.01759 (fastText); runs of characters that cross words: Cavnar and Trenkle 1994, "N-gram-based text categorization".
Differs from fastText: no hidden layer, so that the model is convex; see also `thuja.blocks.embedding.NgramBag`.
"""

from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, PositiveInt
from torch import Tensor, nn

from thuja.blocks.embedding import NgramBag


class TextNgrams(BaseModel):
    """Sizes of the linear model. Trains in seconds; hard to beat where there are few rows."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    kind: Literal["text-ngrams"] = "text-ngrams"
    words: PositiveInt = 2
    """Longest run of words that has a weight of its own."""
    characters: PositiveInt = 6
    """Longest run of characters that has a weight of its own."""
    buckets: PositiveInt = 2**18
    """Weights, for each class, that runs of characters share by hash; runs of words have a quarter of it."""
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.3
    """Of runs."""

    def build(self, endings: Sequence[int], classes: int) -> "TextNgramsNet":
        """`endings`: as for the other text models; not used."""
        return TextNgramsNet(self, classes)


class TextNgramsNet(nn.Module):
    """int64 word ids [B, T] and character ids [B, S], both 0 where there is nothing, to logits [B, classes]."""

    def __init__(self, settings: TextNgrams, classes: int) -> None:
        super().__init__()
        self.words = NgramBag(settings.words, settings.buckets // 4, classes, settings.dropout)
        self.characters = NgramBag(settings.characters, settings.buckets, classes, settings.dropout)
        self.bias = nn.Parameter(self.words.table.weight.new_zeros(classes))

    def forward(self, words: Tensor, characters: Tensor) -> Tensor:
        """Logits [B, classes]."""
        logits: Tensor = self.words(words) + self.characters(characters) + self.bias
        return logits
