"""Batches of recordings of similar length, so that little of a batch is padding: pure in (seed, step)."""

from collections.abc import Iterator

import numpy as np

from thuja.core.seeds import stream
from thuja.data.order import indices

POOL = 32
"""Batches that are drawn together, sorted by length and mixed again."""


def alike(lengths: np.ndarray, size: int, seed: int, start: int = 0) -> Iterator[np.ndarray]:
    """Endless places of `size` rows of similar length from step `start` on; each row once an epoch.

    Rows come in the usual order, a pool of batches at a time; a pool is sorted by length and cut, and its batches come in an order of their own. Where one
    epoch ends and the next begins within a pool, their rows are mixed: at any step some rows have been seen once more than others.
    """
    together = max(1, min(POOL, len(lengths) // size))
    pool, skip = divmod(start, together)
    for number, rows in enumerate(indices(len(lengths), together * size, seed, pool), pool):
        batches = rows[np.argsort(lengths[rows], kind="stable")].reshape(together, size)
        for place in stream(seed, "alike", number).permutation(together)[skip:]:
            yield batches[place]
        skip = 0
