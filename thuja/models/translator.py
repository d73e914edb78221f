"""A text read by an encoder, and another written by a decoder that looks at it: the transformer as it was first described.

Source: Vaswani et al. 2017, arXiv 1706.03762; one table for the words of both languages and for the output: section 3.4 and Press and Wolf 2017,
arXiv 1608.05859. Differs: pre-norm and GELU, branches that start silent (see `thuja.blocks.transformer`); the encoder's attention turns its queries and keys by
place besides the sines that are added to both texts.
"""

from typing import Annotated, Literal, Self

import torch
from pydantic import BaseModel, ConfigDict, Field, PositiveInt, model_validator
from torch import Tensor, nn

from thuja.blocks.decoder import Cache, Decoder, Memory
from thuja.blocks.position import frequencies
from thuja.blocks.transformer import Encoder

Share = Annotated[float, Field(ge=0, lt=1)]


class Translator(BaseModel):
    """Sizes of the encoder and the decoder."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    kind: Literal["translator"] = "translator"
    dim: PositiveInt = 128
    """Numbers that stand for a token, in every layer."""
    depth: PositiveInt = 2
    """Layers of the encoder, and of the decoder."""
    heads: PositiveInt = 4
    """Attentions side by side; `dim / heads` must be even."""
    hidden: PositiveInt = 256
    """Width of the network on each token."""
    dropout: Share = 0.1

    @model_validator(mode="after")
    def _even(self) -> Self:
        if self.dim % (2 * self.heads):
            raise ValueError(f"dim must be a multiple of 2 * heads = {2 * self.heads}, not {self.dim}")
        return self

    def build(self, ids: int) -> "TranslatorNet":
        """`ids`: how many there are, padding (0) included."""
        return TranslatorNet(self, ids)


class TranslatorNet(nn.Module):
    """int64 [B, S] of one text and [B, T] of the other before each place, both 0 at the end where there is nothing, to states [B, T, dim]."""

    rate: Tensor

    def __init__(self, settings: Translator, ids: int) -> None:
        super().__init__()
        s = self.settings = settings
        self.register_buffer("rate", frequencies(s.dim), persistent=False)
        self.table = nn.Embedding(ids, s.dim)
        nn.init.normal_(self.table.weight, std=s.dim**-0.5)
        self.encoder = Encoder(s.dim, s.depth, s.heads, s.hidden, s.dropout)
        self.decoder = Decoder(s.dim, s.depth, s.heads, s.hidden, s.dropout)
        self.dropout = nn.Dropout(s.dropout)

    def embed(self, ids: Tensor, places: Tensor) -> Tensor:
        """Vectors of tokens at places: int64 of one shape, or broadcast, to [..., dim]."""
        angle = places[..., None].to(self.rate.dtype) * self.rate
        added = torch.cat([angle.sin(), angle.cos()], dim=-1)
        vectors: Tensor = self.dropout(self.table(ids) * self.settings.dim**0.5 + added.to(self.table.weight.dtype))
        return vectors

    def read(self, source: Tensor) -> list[Memory]:
        """What every layer of the decoder keeps of a text: int64 [B, S], no row without a token."""
        mask = source != 0
        encoded = self.encoder(self.embed(source, torch.arange(source.shape[1], device=source.device)), mask)
        return self.decoder.remember(encoded, mask)

    def forward(self, source: Tensor, before: Tensor) -> Tensor:
        """States [B, T, dim] after each of the tokens `before`, of which the first is the beginning."""
        states: Tensor = self.decoder(self.embed(before, torch.arange(before.shape[1], device=before.device)), self.read(source))
        return states

    def step(self, last: Tensor, place: Tensor, memory: list[Memory], caches: list[Cache], there: Tensor) -> tuple[Tensor, list[Cache]]:
        """The state [B, K, dim] after one more token of each beam, and the longer caches.

        Args: last: int64 [B, K]. place: int64 [B, 1], how many tokens came before it. there: bool [B, K, T + 1], see `Decoder.step`.
        """
        return self.decoder.step(self.embed(last, place), memory, caches, there)

    def logits(self, states: Tensor) -> Tensor:
        """[..., dim] to [..., ids]: how well each token's vector fits."""
        return states @ self.table.weight.T
