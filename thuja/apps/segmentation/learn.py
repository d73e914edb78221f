"""What is learned of pictures and masks before any weight: which numbers there are and how often, the size of pictures, whether they are grey, whether up is
up. numpy only."""

from collections import Counter
from typing import NamedTuple

import numpy as np

from thuja.core.errors import DataError
from thuja.fields import Image, Mask
from thuja.task import Source

SAMPLE = 64
"""Training pictures, evenly spread, from which colour, mean and spread are learned."""
GREY = 6.0
"""Mean difference between colour channels up to which a picture counts as grey: JPEG leaves a few levels of colour in grey ones."""
MANY = 64
"""More numbers than this in masks are names of objects, not of classes."""
UPRIGHT = 0.15
"""Share of the pixels whose class would have to change for the upper half of the pictures to be like the lower one; from here on up is up."""


class Masks(NamedTuple):
    """What was seen in the training masks."""

    counts: dict[int, float]
    """Of each number: the sum over the masks of its share of the pixels."""
    deep: bool
    """Whether some mask has numbers above 255."""
    most: int
    """Most different numbers in one mask."""
    shape: tuple[int, int]
    """Median height and width."""
    halves: float
    """Share of the pixels whose class differs between upper and lower half."""


def masks(source: Source, column: str, field: Mask) -> Masks:
    """One pass over all training masks; those that cannot be read are counted later, where rows are encoded.

    Raises: DataError when none can be read.
    """
    shares: Counter[int] = Counter()
    upper: Counter[int] = Counter()
    shapes, most, error = [], 0, None
    for rows in source.batches(64):
        for value in rows[column]:
            try:
                numbers = field.decode(value, column)
            except DataError as caught:
                error = caught
                continue
            shapes.append(numbers.shape)
            counts, above = np.bincount(numbers.ravel()), np.bincount(numbers[: numbers.shape[0] // 2].ravel(), minlength=int(numbers.max()) + 1)
            there = np.flatnonzero(counts)
            most = max(most, len(there))
            shares.update(dict(zip(there.tolist(), (counts[there] / numbers.size).tolist(), strict=True)))
            upper.update(dict(zip(there.tolist(), (above[there] / numbers.size).tolist(), strict=True)))
    if not shapes:
        found = "none" if error is None else f"none that can be read (expected {error.expected}, found {error.found})"
        raise DataError(column, expected="masks", found=found, fix=error.fix if error else "Check data.path.")
    height, width = np.median(np.array(shapes, float), axis=0)
    halves = sum(abs(2 * upper[number] - shares[number]) for number in shares) / (2 * len(shapes))
    return Masks(dict(shares), max(shares) > 255, most, (int(height), int(width)), float(halves))


class Pixels(NamedTuple):
    """What was seen in some training pictures."""

    mean: tuple[float, ...]
    std: tuple[float, ...]
    grey: bool


def pixels(source: Source, column: str, field: Image) -> Pixels:
    """A look at up to SAMPLE pictures, as three channels. Raises: DataError when none can be read."""
    sums, squares, count, grey, error = np.zeros(3), np.zeros(3), 0, True, None
    for place in np.unique(np.linspace(0, len(source) - 1, min(SAMPLE, len(source))).astype(np.int64)):
        try:
            picture = field.model_copy(update={"channels": 3}).decode(source.take(np.array([place]))[column][0], column)
        except DataError as caught:
            error = caught
            continue
        flat = picture.reshape(-1, 3).astype(np.float64)
        sums, squares, count = sums + flat.sum(0), squares + (flat**2).sum(0), count + len(flat)
        grey = grey and float(np.ptp(flat, axis=1).mean()) <= GREY
    if not count:
        assert error is not None, "a source has rows"
        raise DataError(column, expected="pictures", found=f"none that can be read (expected {error.expected}, found {error.found})", fix=error.fix)
    mean, spread = sums / count, np.sqrt(np.maximum(squares / count - (sums / count) ** 2, 0))
    first, second = (tuple(round(float(v), 4) for v in values) for values in (mean, spread))
    return Pixels(first, second, grey)
