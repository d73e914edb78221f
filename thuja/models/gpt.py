"""A decoder-only transformer: every place reads itself and the places before it, and says what comes next.

Source: Radford et al. 2019 (GPT-2) for the arrangement; rotary places, Su et al. 2021, arXiv 2104.09864; RMS norm before each branch, Zhang and Sennrich 2019,
arXiv 1910.07467; queries and keys normed, Henry et al. 2020, arXiv 2010.04245 (QK-norm); squared ReLU, So et al. 2021, arXiv 2109.08668; SwiGLU, Shazeer 2020,
arXiv 2002.05202; tied embeddings, Press and Wolf 2016, arXiv 1608.05859. Differs: a vector for the run of tokens that ends at a place is added to the token's
own (hashed, as in `thuja.blocks.embedding.NgramBag`): what a small network would need a layer to gather is there at once; the last matrix of each branch
starts at zero, so that a fresh layer is the identity.
"""

from typing import Annotated, Literal, Self

import torch
from pydantic import BaseModel, ConfigDict, Field, NonNegativeInt, PositiveFloat, PositiveInt, model_validator
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.functional import pad

from thuja.blocks.cache import begun, readable, written
from thuja.blocks.embedding import MODULUS, PRIME, Embedding
from thuja.blocks.normalisation import RMSNorm
from thuja.blocks.position import Rotary, turned

Share = Annotated[float, Field(ge=0, lt=1)]
Angles = tuple[Tensor, Tensor]


class GPT(BaseModel):
    """Sizes of the transformer."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    kind: Literal["gpt"] = "gpt"
    dim: PositiveInt = 192
    """Numbers that stand for a token, in every layer."""
    depth: PositiveInt = 4
    """Layers."""
    heads: PositiveInt = 4
    """Attentions side by side; `dim / heads` must be even."""
    hidden: PositiveInt = 768
    """Width of the network on each place, usually four times `dim` (swiglu: 8/3)."""
    activation: Literal["relu2", "swiglu"] = "relu2"
    tied: bool = False
    """Whether the table that reads tokens also writes them."""
    dropout: Share = 0.0
    ngrams: PositiveInt = 4
    """Longest run of tokens that has a vector of its own; 1 for none."""
    buckets: NonNegativeInt = 8192
    """Vectors for runs of each length, shared by hash."""
    query_norm: bool = True
    """Whether queries and keys are normed."""
    input_norm: bool = True
    """Whether the sum of a token's vectors is normed."""
    rope_base: PositiveFloat = 10_000.0
    """How slowly the slowest pair of numbers turns from place to place."""
    epsilon: PositiveFloat = 1e-6
    """Of the norms."""

    @model_validator(mode="after")
    def _even(self) -> Self:
        if self.dim % (2 * self.heads):
            raise ValueError(f"dim must be a multiple of 2 * heads = {2 * self.heads}, not {self.dim}")
        return self

    def build(self, tokens: int, context: int) -> "GPTNet":
        """`tokens`: how many ids there are, 0 being padding. `context`: places that a place reads at most."""
        return GPTNet(self, tokens, context)


class Runs(nn.Module):
    """The sum of a vector for the runs of 2, 3 .. `longest` tokens that end at each place; runs share `buckets` vectors of each length by hash.

    The table asks for ten times the learning rate, since most runs come in few batches: worth some 0.15 nats after 70,000 characters.
    """

    def __init__(self, longest: int, buckets: int, dim: int) -> None:
        super().__init__()
        self.longest, self.buckets = longest, buckets
        self.table = nn.Embedding((longest - 1) * buckets, dim)
        nn.init.zeros_(self.table.weight)
        setattr(self.table.weight, "lr_scale", 10.0)  # noqa: B010  # a plain attribute that torch's types do not know

    def forward(self, ids: Tensor) -> Tensor:
        """int64 [B, longest - 1 + T], the places wanted and those before them (0 where there are none), to [B, T, dim]."""
        places = ids.shape[1] - self.longest + 1
        hashed = ids.narrow(1, self.longest - 1, places)
        total: Tensor | float = 0.0
        for back in range(1, self.longest):
            hashed = (hashed * PRIME + ids.narrow(1, self.longest - 1 - back, places) * 8191 + back) % MODULUS
            total = total + self.table(hashed % self.buckets + (back - 1) * self.buckets)
        assert isinstance(total, Tensor)
        return total


class CausalAttention(nn.Module):
    """Attention to what came before: over a whole row at once, or for one new place with the ring of those before it (`thuja.blocks.cache`)."""

    def __init__(self, settings: GPT) -> None:
        super().__init__()
        dim, heads = settings.dim, settings.heads
        self.heads, self.dropout = heads, settings.dropout
        self.inputs = nn.Linear(dim, 3 * dim, bias=False)
        self.output = nn.Linear(dim, dim, bias=False)
        self.query_norm, self.key_norm = (RMSNorm(dim // heads, settings.epsilon) if settings.query_norm else nn.Identity() for _ in range(2))
        nn.init.zeros_(self.output.weight)

    def split(self, x: Tensor, angles: Angles) -> tuple[Tensor, Tensor, Tensor]:
        """[B, T, dim] to queries and keys, normed and turned, and values: each [B, heads, T, dim / heads]."""
        query, key, value = self.inputs(x).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4).unbind(0)
        return turned(self.query_norm(query), *angles), turned(self.key_norm(key), *angles), value

    def forward(self, x: Tensor, angles: Angles, mask: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
        """[B, T, dim] to the same, with the keys and values [B, heads, T, dim / heads]; without a mask every place reads all before it."""
        query, key, value = self.split(x, angles)
        drop = self.dropout if self.training else 0.0
        read = functional.scaled_dot_product_attention(query, key, value, mask, drop, is_causal=mask is None)
        return self.output(read.transpose(1, 2).flatten(2)), key, value

    def step(self, x: Tensor, angles: Angles, place: Tensor, rings: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor, Tensor]:
        """One place [B, 1, dim] at `place`, int64 [B], with the rings of keys and values, to [B, 1, dim] and the rings with this place in them."""
        query, key, value = self.split(x, angles)
        keys, values = written(rings[0], key, place), written(rings[1], value, place)
        seen = readable(keys.shape[2], place)[:, None, None, :]
        read = functional.scaled_dot_product_attention(query, keys, values, seen)
        return self.output(read.transpose(1, 2).flatten(2)), keys, values


class Network(nn.Module):
    """The network on each place: one hidden layer, squared ReLU or SwiGLU."""

    def __init__(self, dim: int, hidden: int, activation: str) -> None:
        super().__init__()
        self.gated = activation == "swiglu"
        self.first = nn.Linear(dim, 2 * hidden if self.gated else hidden, bias=False)
        self.last = nn.Linear(hidden, dim, bias=False)
        nn.init.zeros_(self.last.weight)

    def forward(self, x: Tensor) -> Tensor:
        """[..., dim] to the same shape."""
        inside = self.first(x)
        if self.gated:
            gate, inside = inside.chunk(2, dim=-1)
            inside = functional.silu(gate) * inside
        else:
            inside = functional.relu(inside).square()
        outside: Tensor = self.last(inside)
        return outside


class Layer(nn.Module):
    """x + attention(norm(x)), then x + network(norm(x))."""

    def __init__(self, settings: GPT) -> None:
        super().__init__()
        s = settings
        self.attention_norm, self.network_norm = RMSNorm(s.dim, s.epsilon), RMSNorm(s.dim, s.epsilon)
        self.attention = CausalAttention(s)
        self.network = Network(s.dim, s.hidden, s.activation)
        self.dropout = nn.Dropout(s.dropout)

    def forward(self, x: Tensor, angles: Angles, mask: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
        """[B, T, dim] to the same, with keys and values."""
        read, keys, values = self.attention(self.attention_norm(x), angles, mask)
        return self._onward(x + self.dropout(read)), keys, values

    def step(self, x: Tensor, angles: Angles, place: Tensor, rings: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor, Tensor]:
        """One place [B, 1, dim] and the rings, and both after it."""
        read, keys, values = self.attention.step(self.attention_norm(x), angles, place, rings)
        return self._onward(x + read), keys, values

    def _onward(self, x: Tensor) -> Tensor:
        onward: Tensor = x + self.dropout(self.network(self.network_norm(x)))
        return onward


class GPTNet(nn.Module):
    """int64 ids [B, T], 0 at the end where there are none, to logits [B, T, tokens] of what follows each place."""

    def __init__(self, settings: GPT, tokens: int, context: int) -> None:
        super().__init__()
        s = self.settings = settings
        self.tokens, self.context = tokens, context
        self.embedding = Embedding(tokens, s.dim, std=0.02 if s.tied else 0.5)
        self.runs = Runs(s.ngrams, s.buckets, s.dim) if s.ngrams > 1 and s.buckets else None
        self.rotary = Rotary(s.dim // s.heads, s.rope_base)
        self.norm_in, self.norm_out = RMSNorm(s.dim, s.epsilon) if s.input_norm else nn.Identity(), RMSNorm(s.dim, s.epsilon)
        self.layers = nn.ModuleList(Layer(s) for _ in range(s.depth))
        self.dropout = nn.Dropout(s.dropout)
        self.head = nn.Linear(s.dim, tokens, bias=False)
        if s.tied:
            self.head.weight = self.embedding.table.weight
        else:
            nn.init.zeros_(self.head.weight)

    @property
    def memory(self) -> tuple[str, ...]:
        """Names of what is kept from step to step."""
        rings = [f"_{what}{layer}" for layer in range(self.settings.depth) for what in ("keys", "values")]
        return (*(["_before"] if self.runs is not None else []), *rings)

    def forward(self, ids: Tensor, mask: Tensor | None = None) -> Tensor:
        """Logits [B, T, tokens]. `mask`: bool [T, T], True where a place may read another (`thuja.blocks.cache.window`); None: all before it."""
        x, _ = self._read(ids, mask)
        logits: Tensor = self.head(self.norm_out(x))
        return logits

    def begin(self, ids: Tensor, lengths: Tensor) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Read prompts but for their last token: its place, int64 [B], and the memory before it. `lengths`: int64 [B], at most `context`."""
        place = lengths - 1
        _, rings = self._read(ids, None)
        memory = tuple(begun(ring, self.context) for ring in rings)
        if self.runs is None:
            return place, memory
        back = place.unsqueeze(1) + torch.arange(1 - self.settings.ngrams, 0, device=ids.device)
        before = ids.gather(1, back.clamp_min(0)) * (back >= 0)
        return place, (before, *memory)

    def step(self, ids: Tensor, place: Tensor, memory: tuple[Tensor, ...]) -> tuple[Tensor, tuple[Tensor, ...]]:
        """One token [B] at `place` [B]: logits [B, tokens] of the next one, and the memory with it."""
        left: list[Tensor] = []
        whole = ids.unsqueeze(1)
        if self.runs is not None:
            whole = torch.cat([memory[0], whole], dim=1)
            left, memory = [whole[:, 1:]], memory[1:]
        x = self._embedded(ids.unsqueeze(1), whole)
        cos, sin = self.rotary.angles(place[:, None, None])
        for layer, keys, values in zip(self.layers, memory[::2], memory[1::2], strict=True):
            assert isinstance(layer, Layer)
            x, keys, values = layer.step(x, (cos, sin), place, (keys, values))
            left += [keys, values]
        logits: Tensor = self.head(self.norm_out(x)).squeeze(1)
        return logits, tuple(left)

    def _read(self, ids: Tensor, mask: Tensor | None) -> tuple[Tensor, list[Tensor]]:
        """The last layer's vectors [B, T, dim], and the keys and values of every layer."""
        x = self._embedded(ids, pad(ids, (self.settings.ngrams - 1, 0)))
        angles = self.rotary.angles(torch.arange(ids.shape[1], device=ids.device))
        kept: list[Tensor] = []
        for layer in self.layers:
            x, keys, values = layer(x, angles, mask)
            kept += [keys, values]
        return x, kept

    def _embedded(self, ids: Tensor, whole: Tensor) -> Tensor:
        """[B, T, dim] for ids [B, T]; `whole` has the tokens before them too."""
        x = self.embedding(ids)
        if self.runs is not None:
            x = x + self.runs(whole)
        embedded: Tensor = self.dropout(self.norm_in(x))
        return embedded
