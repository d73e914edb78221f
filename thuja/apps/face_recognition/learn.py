"""What is learned of training pictures before any weight: the usual shape, whether they are grey, mean and spread of their pixels, and what neighbouring
pixels have in common. No torch."""

from typing import NamedTuple

import numpy as np

from thuja.core.errors import DataError
from thuja.fields import Image

LARGEST = 64
"""Pixels of the longer side that `auto` gives a picture at most."""
GREY = 6.0
"""Mean difference between colour channels up to which a picture counts as grey."""


class Pixels(NamedTuple):
    """Of uint8 pictures [N, H, W, C]; see the codec's fields of these names."""

    mean: tuple[float, ...]
    std: tuple[float, ...]
    moments: tuple[tuple[float, ...], ...]


def usual_shape(values: list[object], field: Image) -> tuple[int, int]:
    """The median height and width of some raw pictures, scaled down together until the longer is at most LARGEST. Raises: DataError when none can be read."""
    shapes, error = [], DataError("rows", expected="pictures", found="none", fix="Check data.path.")
    for i, value in enumerate(values):
        try:
            shapes.append(field.decode(value, f"rows[{i}]").shape[:2])
        except DataError as why:
            error = why
    if not shapes:
        raise error
    height, width = (float(v) for v in np.median(np.array(shapes), axis=0))
    shrink = min(1.0, LARGEST / max(height, width))
    return max(16, round(height * shrink)), max(16, round(width * shrink))


def all_grey(pictures: np.ndarray) -> bool:
    """Whether no picture of uint8 [N, H, W, 3] has colour."""
    return all(float((p.max(axis=2).astype(np.float32) - p.min(axis=2)).mean()) <= GREY for p in pictures)


def measure(pictures: np.ndarray, patch: int) -> Pixels:
    """Mean and spread over all pixels, and second moments of patches of the pictures, each brought to mean 0 and variance 1 by itself."""
    values = pictures.astype(np.float32)
    mean, std = values.mean(axis=(0, 1, 2), dtype=np.float64), values.std(axis=(0, 1, 2), dtype=np.float64)
    channels = pictures.shape[3]
    total, count = np.zeros((channels * patch**2,) * 2), 0
    for part in np.array_split(values, max(1, len(values) // 128)):
        even = part - part.mean(axis=(1, 2, 3), keepdims=True)
        even /= np.maximum(even.std(axis=(1, 2, 3), keepdims=True), 1.0)
        windows = np.lib.stride_tricks.sliding_window_view(even, (patch, patch), axis=(1, 2))[:, ::2, ::2]
        flat = windows.reshape(-1, channels * patch**2)
        total += flat.T @ flat
        count += len(flat)
    moments = tuple(tuple(round(float(v), 6) for v in row) for row in total / count)
    return Pixels(tuple(round(float(v), 4) for v in mean), tuple(round(float(v), 4) for v in std), moments)
