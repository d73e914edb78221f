"""The order of rows as a pure function of (seed, step), batches of similar length, and the default endless stream of batches."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import numpy as np

from thuja.codec import Columns, Ragged, count
from thuja.core.seeds import stream

if TYPE_CHECKING:
    from torch import Tensor


MANY = 50_000
"""Rows whose order takes about a millisecond to draw."""
POOL = 32
"""Batches that are drawn together, sorted by length and mixed again."""


def permutation(rows: int, seed: int, epoch: int) -> np.ndarray:
    """The order of one epoch: int64, each row once."""
    return stream(seed, "order", epoch).permutation(rows)


def indices(rows: int, size: int, seed: int, start: int = 0) -> Iterator[np.ndarray]:
    """Endless index batches of exactly `size` rows. Epochs follow each other without a gap: a batch may end one and begin the next, so that
    each row comes exactly once an epoch whatever the size."""
    assert rows > 0 and size > 0, (rows, size)
    position, epoch, order = start * size, -1, np.zeros(0, np.int64)
    orders = _orders(rows, seed, position // rows)
    while True:
        parts, need = [], size
        while need:
            if position // rows != epoch:
                epoch, order = position // rows, next(orders)
            part = order[position % rows : position % rows + need]
            parts.append(part)
            position, need = position + len(part), need - len(part)
        yield parts[0] if len(parts) == 1 else np.concatenate(parts)


def _orders(rows: int, seed: int, epoch: int) -> Iterator[np.ndarray]:
    """The orders of this epoch and all later ones. That of many rows is drawn while the epoch before it is under way: for a million it takes 30 ms."""
    if rows < MANY:
        while True:
            yield permutation(rows, seed, epoch)
            epoch += 1
    with ThreadPoolExecutor(1, "order") as thread:
        ahead = thread.submit(permutation, rows, seed, epoch)
        while True:
            order = ahead.result()
            epoch += 1
            ahead = thread.submit(permutation, rows, seed, epoch)
            yield order


def alike(lengths: np.ndarray, size: int, seed: int, start: int = 0, pool: int = POOL) -> Iterator[np.ndarray]:
    """Endless places of `size` rows of similar length from step `start` on, so that little of a batch is padding; each row once an epoch.

    Rows come in the usual order, `pool` batches at a time; these are sorted by length and cut, and come in an order of their own. Where one epoch ends and
    the next begins within a pool, their rows are mixed: at any step some rows have been seen once more than others.
    """
    together = max(1, min(pool, len(lengths) // size))
    number, skip = divmod(start, together)
    for place, rows in enumerate(indices(len(lengths), together * size, seed, number), number):
        batches = rows[np.argsort(lengths[rows], kind="stable")].reshape(together, size)
        for one in stream(seed, "alike", place).permutation(together)[skip:]:
            yield batches[one]
        skip = 0


def shuffled(columns: Columns, size: int, seed: int, start: int = 0, device: str = "cpu") -> Iterator["dict[str, Tensor]"]:
    """Endless batches of tensors gathered from encoded columns; ragged ones are padded with zeros to the longest row of the batch.

    `index_select` on a flat view is used because fancy indexing of uint8 pictures is about six times slower.
    """
    import torch  # data/ is read by the server too, which has no torch

    fixed = {n: torch.from_numpy(np.asarray(c)) for n, c in columns.items() if not isinstance(c, Ragged)}
    flat = {n: (t.flatten(1) if t.dim() > 2 else t, t.shape[1:]) for n, t in fixed.items()}
    ragged = {n: c for n, c in columns.items() if isinstance(c, Ragged)}
    for index in indices(count(columns), size, seed, start):
        rows = torch.from_numpy(index)
        batch = {n: t.index_select(0, rows) if len(shape) < 2 else t.index_select(0, rows).view(-1, *shape) for n, (t, shape) in flat.items()}
        for n, c in ragged.items():
            batch[n] = torch.from_numpy(c.take(index).padded())
        yield {n: t.to(device, non_blocking=True) for n, t in batch.items()} if device != "cpu" else batch
