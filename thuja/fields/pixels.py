"""What some pictures have in common, seen before anything is learned: their usual size, whether they are grey, mean and spread of their pixels. No torch."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from thuja.core.errors import DataError
from thuja.fields.image import Image

LARGEST = 64
"""Pixels along a side that `auto` gives a picture at most: twice the side takes four times as long."""
GREY = 6.0
"""Mean difference between colour channels up to which a picture counts as grey: JPEG leaves a few levels of colour in grey ones."""


def usual_shape(values: Sequence[Any], field: Image, least: int = 8) -> tuple[int, int]:
    """Height and width for `auto`: the median of each over some raw pictures, scaled down together until the longer is at most LARGEST, at least `least`.

    Raises: DataError when no picture can be read.
    """
    shapes, last = [], None
    for i, value in enumerate(values):
        try:
            shapes.append(field.decode(value, f"rows[{i}]").shape[:2])
        except DataError as error:
            last = error
    if last is not None and not shapes:
        raise last
    height, width = (float(v) for v in np.median(np.array(shapes), axis=0))
    shrink = min(1.0, LARGEST / max(height, width))
    return max(least, round(height * shrink)), max(least, round(width * shrink))


def all_grey(pictures: np.ndarray) -> bool:
    """Whether no picture of uint8 [N, H, W, 3] has colour."""
    parts = np.array_split(pictures, max(1, len(pictures) // 64))  # as floats they take four times their memory
    return all(bool(((part.max(axis=3).astype(np.float32) - part.min(axis=3)).mean(axis=(1, 2)) <= GREY).all()) for part in parts)


def spread(pictures: np.ndarray) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and standard deviation of each channel of uint8 [N, H, W, C], to 4 digits, which is far below their error."""
    mean = pictures.mean(axis=(0, 1, 2), dtype=np.float64)
    squares = sum(np.square(part - mean).sum(axis=(0, 1, 2)) for part in np.array_split(pictures, max(1, len(pictures) // 16)))  # whole, eight times as much
    std = np.sqrt(squares / np.prod(pictures.shape[:3]))
    return tuple(round(float(v), 4) for v in mean), tuple(round(float(v), 4) for v in std)
