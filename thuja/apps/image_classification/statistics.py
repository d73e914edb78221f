"""What is learned of training pictures before any weight: their size, whether they are grey, their mean and spread, and what neighbouring pixels share. No
torch."""

from typing import NamedTuple

import numpy as np

from thuja.core.errors import DataError
from thuja.fields import Image

LARGEST = 64
"""Pixels along a side that `auto` gives a picture at most: twice the side takes four times as long."""
GREY = 6.0
"""Mean difference between colour channels up to which a picture counts as grey: JPEG leaves a few levels of colour in grey ones."""


class PixelStatistics(NamedTuple):
    """Of uint8 pictures [N, H, W, C]."""

    mean: tuple[float, ...]
    std: tuple[float, ...]
    moments: tuple[tuple[float, ...], ...]
    """Second moments of standardised patches, C * patch**2 square, in the order channel, row, column; rounded to 6 digits, which is far below their error."""


def measure(pictures: np.ndarray, patch: int) -> PixelStatistics:
    """Mean, spread and patch moments of some pictures, uint8 [N, H, W, C]; at most about a million patches are looked at."""
    rows, height, width, channels = pictures.shape
    mean = pictures.mean(axis=(0, 1, 2), dtype=np.float64)
    squares = sum(np.square(part - mean).sum(axis=(0, 1, 2)) for part in np.array_split(pictures, max(1, rows // 16)))  # whole, eight times their memory
    std = np.sqrt(squares / (rows * height * width))
    edge = patch // 4
    total, count = np.zeros((channels * patch**2,) * 2), 0
    for part in np.array_split(pictures[: max(1, 1_000_000 // (height * width))], max(1, rows // 256)):
        if not len(part):
            continue
        standard = (part.astype(np.float32) - mean.astype(np.float32)) / np.maximum(std, 1.0).astype(np.float32)
        padded = np.pad(standard, ((0, 0), (edge, edge), (edge, edge), (0, 0)))  # the stem sees such edges too, and a picture smaller than a patch has one
        windows = np.lib.stride_tricks.sliding_window_view(padded, (patch, patch), axis=(1, 2))[:, ::2, ::2]
        flat = windows.reshape(-1, channels * patch**2)
        total += flat.T @ flat
        count += len(flat)
    moments = tuple(tuple(round(float(v), 6) for v in row) for row in total / count)
    return PixelStatistics(tuple(round(float(v), 4) for v in mean), tuple(round(float(v), 4) for v in std), moments)


def usual_shape(values: list[object], field: Image) -> tuple[int, int]:
    """Height and width for `auto`: the median of each over some raw pictures, scaled down together until the longer is at most LARGEST.

    Raises: DataError when no picture can be read.
    """
    shapes = []
    for i, value in enumerate(values):
        try:
            shapes.append(field.decode(value, f"rows[{i}]").shape[:2])
        except DataError as error:
            last = error
    if not shapes:
        raise last
    height, width = (float(v) for v in np.median(np.array(shapes), axis=0))
    shrink = min(1.0, LARGEST / max(height, width))
    return max(8, round(height * shrink)), max(8, round(width * shrink))


def all_grey(pictures: np.ndarray) -> bool:
    """Whether no picture of uint8 [N, H, W, 3] has colour."""
    parts = np.array_split(pictures, max(1, len(pictures) // 64))  # as floats they take four times their memory
    return all(bool(((part.max(axis=3).astype(np.float32) - part.min(axis=3)).mean(axis=(1, 2)) <= GREY).all()) for part in parts)
