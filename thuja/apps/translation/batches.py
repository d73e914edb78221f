"""Batches of sentences of like length, so that little of them is padding, and of about as many tokens each, so that every update weighs the same."""

from collections.abc import Iterator

import numpy as np
import torch

from thuja.codec import Columns, Ragged, count
from thuja.core.seeds import stream
from thuja.task import Batch, Draw

WEIGHT = "weight"
"""The column that makes a mean over rows of unlike length a sum over tokens: rows of the batch, divided by rows a step."""
MIXED = 3.0
"""Tokens by which neighbours in length are shuffled, so that batches differ from epoch to epoch."""


def bucketed(columns: Columns, draw: Draw) -> Iterator[Batch]:
    """Endless batches, pure in (seed, step): each row once an epoch, on average `draw.size` rows a batch, fewer where they are long.

    `weight` float32 [rows] is the same for the rows of a batch, and 1 on average.
    """
    ragged = {name: column for name, column in columns.items() if isinstance(column, Ragged)}
    rows = count(columns)
    lengths = np.max([np.diff(column.offsets) for column in ragged.values()], axis=0)
    steps = max(1, round(rows / draw.size))
    epoch, groups = -1, list[np.ndarray]()
    step = draw.start
    while True:
        if step // steps != epoch:
            epoch = step // steps
            groups = _epoch(lengths, steps, stream(draw.seed, "order", epoch))
        index = groups[step % steps]
        batch = {name: torch.from_numpy(column.take(index).padded()) for name, column in ragged.items()}
        batch[WEIGHT] = torch.full((len(index),), len(index) * steps / rows)
        yield {name: tensor.to(draw.device, non_blocking=True) for name, tensor in batch.items()} if draw.device != "cpu" else batch
        step += 1


def _epoch(lengths: np.ndarray, steps: int, rng: np.random.Generator) -> list[np.ndarray]:
    """All rows in `steps` groups of neighbours in length with about as many tokens each, none empty, in any order."""
    rows = len(lengths)
    order = np.argsort(lengths + rng.uniform(0, MIXED, rows), kind="stable")
    total = np.cumsum(lengths[order])
    starts = np.searchsorted(total, np.arange(steps) * (total[-1] / steps))
    places = np.arange(steps)
    starts = np.minimum(np.maximum.accumulate(starts - places) + places, rows - steps + places)
    groups = np.split(order, starts[1:])
    return [groups[i] for i in rng.permutation(steps)]
