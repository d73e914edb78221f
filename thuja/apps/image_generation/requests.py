"""Rows as a generator is learned from and asked: pictures with their classes, and a seed and a strength of guidance beside them. No torch."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from thuja.apps.image_generation.codec import GUIDANCE, SEED
from thuja.codec import Rows
from thuja.core import digest
from thuja.data.rows import Subset, in_batches

STRIDE = 0x9E3779B1
"""Odd, so that no two of 2**32 places have the same seed, and far from round, so that the order of rows (often by class) cannot be seen in it."""
STRENGTHS = (None, 1.0, 3.0)
"""What requests say of guidance, in turn."""


class Requests:
    """The rows of a source, each with a seed of its own, made of its place. `known` are the training rows, with which what was made is compared.

    Seeds and strengths are of kind "other", since what the checks of columns look for means nothing here.
    """

    def __init__(self, source: Any, known: Any, *, strengths: tuple[float | None, ...] = (None,), without: tuple[str, ...] = ()) -> None:
        """`strengths` are asked for in turn; columns `without` are left out."""
        self.source, self.known, self._strengths, self._without = source, known, strengths, without
        kept = tuple(name for name in source.names if name not in without and name not in (SEED, GUIDANCE))
        self.names: tuple[str, ...] = (*kept, SEED, GUIDANCE)
        self.kinds = {name: source.kinds[name] for name in kept} | {SEED: "other", GUIDANCE: "other"}
        self.bad: tuple[Any, ...] = tuple(source.bad)

    def __len__(self) -> int:
        return len(self.source)

    def take(self, index: np.ndarray, names: tuple[str, ...] = ()) -> Rows:
        names = names or self.names
        there = tuple(name for name in names if name in self.source.names and name not in (SEED, GUIDANCE))
        rows: dict[str, Any] = dict(self.source.take(index, there)) if there else {}
        rows |= {SEED: [int(i) * STRIDE % 2**32 for i in index], GUIDANCE: [self._strengths[int(i) % len(self._strengths)] for i in index]}
        return {name: rows[name] for name in names}

    def batches(self, size: int = 1024) -> Iterator[Rows]:
        return in_batches(self, size)

    def ids(self, index: np.ndarray) -> list[str]:
        found: list[str] = self.source.ids(index)
        return found

    def hashes(self, index: np.ndarray, names: tuple[str, ...]) -> np.ndarray:
        """Of the row at rest: two rows are copies when their pictures are, whatever their seeds."""
        own: np.ndarray = self.source.hashes(index, tuple(name for name in names if name in self.source.names) or self.source.names)
        return own

    def fingerprint(self) -> str:
        return digest.of_data(["image-generation", list(self._strengths), list(self._without), self.source.fingerprint()])


def known_to(source: Any) -> Any:
    """The training rows behind some rows of `Requests`."""
    while isinstance(source, Subset):
        source = source.source
    assert isinstance(source, Requests)
    return source.known
