"""A convolutional network over words beside a linear model of n-grams, added before the softmax.

Source: Kim 2014, arXiv 1408.5882 (filters of several widths over word vectors, the largest answer of each); a wide linear model and a deep network trained as
one: Cheng et al. 2016, arXiv 1606.07792. Differs from Kim: vectors start at random; their sum over the root of their number joins the largest answers; words
are dropped (Iyyer et al. 2015, "Deep unordered composition rivals syntactic methods", ACL) by reading them as their ending alone, and whole columns of the
vectors by spatial dropout (Tompson et al. 2014, arXiv 1411.4280); no constraint on the norm of the last layer.
"""

from collections.abc import Sequence
from typing import Annotated, Literal

import torch
from pydantic import BaseModel, ConfigDict, Field, PositiveInt
from torch import Tensor, nn
from torch.nn.functional import pad

from thuja.blocks.embedding import Embedding
from thuja.models.text_ngrams import TextNgrams

Share = Annotated[float, Field(ge=0, lt=1)]


class TextCNN(BaseModel):
    """Sizes of the text CNN. Fast, and the best choice below some hundred thousand rows."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    kind: Literal["text-cnn"] = "text-cnn"
    embedding: PositiveInt = 64
    """Numbers that stand for a word."""
    widths: tuple[PositiveInt, ...] = (2, 3, 4)
    """Words that a filter sees at once."""
    filters: PositiveInt = 64
    """Of each width."""
    dropout: Share = 0.5
    """Of the features before the last layer."""
    word_dropout: Share = 0.1
    """Words read as their ending alone, so that rare words can be understood."""
    spatial_dropout: Share = 0.2
    """Of whole columns of the word vectors."""
    ngrams: TextNgrams = TextNgrams()
    """The linear part."""

    def build(self, endings: Sequence[int], classes: int) -> "TextCNNNet":
        """`endings`: for each id, the one it is read as when its ending alone is known."""
        return TextCNNNet(self, endings, classes)


class TextCNNNet(nn.Module):
    """int64 word ids [B, T] and character ids [B, S], both 0 where there is nothing, to logits [B, classes]."""

    endings: Tensor

    def __init__(self, settings: TextCNN, endings: Sequence[int], classes: int) -> None:
        super().__init__()
        s = self.settings = settings
        self.register_buffer("endings", torch.tensor(endings))
        self.words = Embedding(len(endings), s.embedding)
        self.filters = nn.ModuleList(nn.Conv1d(s.embedding, s.filters, width) for width in s.widths)
        self.spatial_dropout, self.dropout = nn.Dropout1d(s.spatial_dropout), nn.Dropout(s.dropout)
        self.head = nn.Linear(s.embedding + s.filters * len(s.widths), classes)
        nn.init.normal_(self.head.weight, std=0.01)
        nn.init.zeros_(self.head.bias)
        self.ngrams = s.ngrams.build(endings, classes)

    def forward(self, words: Tensor, characters: Tensor) -> Tensor:
        """Logits [B, classes]."""
        linear = self.ngrams(words, characters)
        if self.training and self.settings.word_dropout:
            drop = torch.rand(words.shape, device=words.device) < self.settings.word_dropout
            words = torch.where(drop, self.endings[words], words)
        logits: Tensor = self.head(self.dropout(self.features(words))) + linear
        return logits

    def features(self, words: Tensor) -> Tensor:
        """int64 [B, T] to [B, embedding + filters * widths]: the sum of the word vectors over the root of their number, and the largest answer of each filter.

        Words are padded so that a filter meets the first and last ones in every position. Answers are not negative, so those beyond the end of a short row are
        set to zero and can never be the largest.
        """
        vectors = self.spatial_dropout(self.words(words).transpose(1, 2))
        lengths = (words != 0).sum(1, keepdim=True)
        found = [vectors.sum(2) / lengths.clamp_min(1).to(vectors.dtype).sqrt()]
        for convolution in self.filters:
            assert isinstance(convolution, nn.Conv1d)
            margin = convolution.kernel_size[0] - 1
            answers = convolution(pad(vectors, (margin, margin))).relu()
            places = torch.arange(words.shape[1] + margin, device=words.device)
            inside = (places < lengths + margin).unsqueeze(1)
            found.append((answers * inside).amax(2))
        return torch.cat(found, dim=1)
