"""The transformer decoder: each place reads from the places before it, then from what the encoder made of the source, then thinks for itself.

In training all places are computed at once, and a causal mask hides what comes later. While a text is being made there is one new place at a time: keys and
values of the earlier ones are kept (`Cache`), so that a step costs one place, not all of them; several hypotheses (beams) of one row share its memory.

Source: Vaswani et al. 2017, arXiv 1706.03762, section 3.1 and 3.2.3 (decoder, cross-attention, causal mask); layer norm before each branch: Xiong et al. 2020,
arXiv 2002.04745. Differs: GELU in place of ReLU, and last matrices that start at zero, as in `thuja.blocks.transformer`.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from thuja.blocks.attention import attention


class Memory(NamedTuple):
    """What one layer keeps of the source: computed once, read at every step."""

    keys: Tensor
    """[B, heads, S, dim / heads]."""
    values: Tensor
    mask: Tensor
    """bool [B, S], True where there is something."""


class Cache(NamedTuple):
    """What one layer keeps of the places before: [B, K, heads, T, dim / heads] each, for K beams."""

    keys: Tensor
    values: Tensor


def causal_mask(places: int) -> Tensor:
    """bool [places, places]: True where a place (row) may read (column): itself and what is before it.

    >>> causal_mask(3).int().tolist()
    [[1, 0, 0], [1, 1, 0], [1, 1, 1]]
    """
    return torch.ones(places, places, dtype=torch.bool).tril()


class CausalAttention(nn.Module):
    """Self-attention that reads backwards only."""

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        assert dim % heads == 0, (dim, heads)
        self.heads = heads
        self.inputs = nn.Linear(dim, 3 * dim)
        self.output = nn.Linear(dim, dim)

    def forward(self, x: Tensor) -> Tensor:
        """[B, T, dim] to the same shape, all places at once. What is padded at the end changes nothing before it."""
        query, key, value = self.inputs(x).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4).unbind(0)
        read = functional.scaled_dot_product_attention(query, key, value, is_causal=True)
        mixed: Tensor = self.output(read.transpose(1, 2).flatten(2))
        return mixed

    def step(self, x: Tensor, cache: Cache, there: Tensor) -> tuple[Tensor, Cache]:
        """One new place for each beam: [B, K, dim] to the same shape, and the longer cache; `there` bool [B, K, T + 1], the new place included."""
        query, key, value = self.inputs(x).unflatten(-1, (3, self.heads, 1, -1)).unbind(2)  # each [B, K, heads, 1, dim / heads]
        cache = Cache(torch.cat([cache.keys, key], dim=3), torch.cat([cache.values, value], dim=3))
        read = attention(query, cache.keys, cache.values, there[:, :, None, None, :])
        mixed: Tensor = self.output(read.flatten(2))
        return mixed, cache


class CrossAttention(nn.Module):
    """Attention whose queries come from the text that is made, keys and values from the source."""

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        assert dim % heads == 0, (dim, heads)
        self.heads = heads
        self.query = nn.Linear(dim, dim)
        self.memory = nn.Linear(dim, 2 * dim)
        self.output = nn.Linear(dim, dim)

    def remember(self, encoded: Tensor, mask: Tensor) -> Memory:
        """Keys and values of what the encoder made: [B, S, dim], with mask bool [B, S]; each row needs at least one place."""
        keys, values = self.memory(encoded).unflatten(-1, (2, self.heads, -1)).permute(2, 0, 3, 1, 4).unbind(0)
        return Memory(keys, values, mask)

    def forward(self, x: Tensor, memory: Memory) -> Tensor:
        """[B, T, dim] to the same shape. The T places do not see each other: they may as well be beams."""
        read = functional.scaled_dot_product_attention(self._queries(x), memory.keys, memory.values, memory.mask[:, None, None, :])
        mixed: Tensor = self.output(read.transpose(1, 2).flatten(2))
        return mixed

    def weights(self, x: Tensor, memory: Memory) -> Tensor:
        """How much each place reads from each of the source: [B, heads, T, S], sums over S are 1."""
        scores = self._queries(x) @ memory.keys.mT * memory.keys.shape[-1] ** -0.5
        shares: Tensor = scores.masked_fill(~memory.mask[:, None, None, :], float("-inf")).softmax(-1)
        return shares

    def _queries(self, x: Tensor) -> Tensor:
        queries: Tensor = self.query(x).unflatten(-1, (self.heads, -1)).transpose(1, 2)
        return queries


class DecoderLayer(nn.Module):
    """x + self-attention(norm(x)), then x + cross-attention(norm(x)), then x + network(norm(x))."""

    def __init__(self, dim: int, heads: int, hidden: int, dropout: float = 0.1) -> None:
        super().__init__()
        self.norms = nn.ModuleList(nn.LayerNorm(dim) for _ in range(3))
        self.attention, self.cross = CausalAttention(dim, heads), CrossAttention(dim, heads)
        last = nn.Linear(hidden, dim)
        self.network = nn.Sequential(nn.Linear(dim, hidden), nn.GELU(), nn.Dropout(dropout), last)
        self.dropout = nn.Dropout(dropout)
        for layer in (self.attention.output, self.cross.output, last):
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)

    def forward(self, x: Tensor, memory: Memory) -> Tensor:
        """[B, T, dim] to the same shape, all places at once."""
        return self._rest(x + self.dropout(self.attention(self.norms[0](x))), memory)

    def step(self, x: Tensor, memory: Memory, cache: Cache, there: Tensor) -> tuple[Tensor, Cache]:
        """One new place for each beam: [B, K, dim] to the same shape, and the longer cache."""
        read, cache = self.attention.step(self.norms[0](x), cache, there)
        return self._rest(x + read, memory), cache

    def _rest(self, x: Tensor, memory: Memory) -> Tensor:
        x = x + self.dropout(self.cross(self.norms[1](x), memory))
        added: Tensor = x + self.dropout(self.network(self.norms[2](x)))
        return added


class Decoder(nn.Module):
    """`depth` layers and a last norm."""

    def __init__(self, dim: int, depth: int, heads: int, hidden: int, dropout: float = 0.1) -> None:
        super().__init__()
        self.layers = nn.ModuleList(DecoderLayer(dim, heads, hidden, dropout) for _ in range(depth))
        self.norm = nn.LayerNorm(dim)

    def remember(self, encoded: Tensor, mask: Tensor) -> list[Memory]:
        """What every layer keeps of the source: [B, S, dim], with mask bool [B, S]."""
        return [layer.cross.remember(encoded, mask) for layer in self._layers()]

    def forward(self, x: Tensor, memory: list[Memory]) -> Tensor:
        """[B, T, dim] to the same shape, all places at once, each blind to those after it."""
        for layer, kept in zip(self.layers, memory, strict=True):
            x = layer(x, kept)
        normed: Tensor = self.norm(x)
        return normed

    def step(self, x: Tensor, memory: list[Memory], caches: list[Cache], there: Tensor) -> tuple[Tensor, list[Cache]]:
        """One new place for each of K beams: [B, K, dim] to the same shape, and the longer caches.

        Args: there: bool [B, K, T + 1], which places of the caches and the new one are any.
        """
        longer = []
        for layer, kept, cache in zip(self._layers(), memory, caches, strict=True):
            x, cache = layer.step(x, kept, cache, there)
            longer.append(cache)
        return self.norm(x), longer

    def empty(self, rows: Tensor, beams: int) -> list[Cache]:
        """Caches of no places, for as many rows as `rows` [B, ...] has."""
        layer = self._layers()[0].attention
        nothing = rows.new_zeros(rows.shape[0], beams, layer.heads, 0, layer.output.in_features // layer.heads)
        return [Cache(nothing, nothing) for _ in self.layers]

    def _layers(self) -> list[DecoderLayer]:
        return [layer for layer in self.layers if isinstance(layer, DecoderLayer)]
