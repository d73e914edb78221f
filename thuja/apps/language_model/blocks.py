"""Batches of a language model: blocks of a stream of tokens, or whole conversations of about equal length; both pure in (seed, step)."""

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from thuja.codec import Column, Columns, Ragged
from thuja.core.seeds import mix
from thuja.data.order import indices
from thuja.task import Draw

POOL = 16
"""Batches whose rows are sorted by length before they are cut: padding is then little, and the order still random."""


def stream(columns: Columns, *, joined: bool) -> tuple[np.ndarray, np.ndarray]:
    """The tokens of all rows end to end, and which of them are scored. `joined`: without what is not scored, a second copy of what came before."""
    text, scored = ragged_of(columns["text"]), ragged_of(columns["scored"])
    if not joined:
        return text.values, scored.values
    there = np.asarray(scored.values) != 0
    return np.asarray(text.values)[there], np.ones(int(there.sum()), np.uint8)


def ragged_of(column: Column) -> Ragged:
    """The column, which is ragged."""
    assert isinstance(column, Ragged)
    return column


def packed(tokens: np.ndarray, scored: np.ndarray, context: int, draw: Draw) -> Iterator[dict[str, Tensor]]:
    """Blocks of `context` + 1 tokens (fewer where there are not as many), in random order. An epoch cuts the stream at places that are `context` apart, from a
    place that each epoch draws: every token is learned once (but for less than two blocks at the ends), each time in other company."""
    length = min(context, len(tokens) - 1)
    blocks = max(1, (len(tokens) - 1) // length - 1)
    room = len(tokens) - 1 - blocks * length
    reach = torch.arange(length + 1)
    values, flags = torch.from_numpy(np.asarray(tokens)), torch.from_numpy(np.asarray(scored))
    for step, index in enumerate(indices(blocks, draw.size, draw.seed, draw.start), draw.start):
        epochs = (step * draw.size + np.arange(draw.size)) // blocks
        first = np.array([mix(draw.seed, "phase", int(epoch)) % (room + 1) for epoch in epochs])
        places = torch.from_numpy(first + index * length).unsqueeze(1) + reach
        yield {"text": values[places].to(draw.device), "scored": flags[places].to(draw.device)}


def whole(columns: Columns, draw: Draw) -> Iterator[dict[str, Tensor]]:
    """Whole rows, padded with zeros to the longest of the batch; rows of a batch are about equally long."""
    text, scored = ragged_of(columns["text"]), ragged_of(columns["scored"])
    lengths = np.diff(text.offsets)
    pools = indices(len(lengths), draw.size * POOL, draw.seed, draw.start // POOL)
    for number, pool in enumerate(pools, draw.start // POOL):
        batches = pool[np.argsort(lengths[pool], kind="stable")].reshape(POOL, draw.size)
        order = np.random.default_rng(mix(draw.seed, "batches", number)).permutation(POOL)
        for place in order[draw.start % POOL if number == draw.start // POOL else 0 :]:
            parts = {"text": text.take(batches[place]), "scored": scored.take(batches[place])}
            yield {name: torch.from_numpy(part.padded()).to(draw.device) for name, part in parts.items()}
