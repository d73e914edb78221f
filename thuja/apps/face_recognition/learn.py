"""What is learned of training pictures before any weight: mean and spread of their pixels, and what neighbouring pixels have in common. No torch."""

from typing import NamedTuple

import numpy as np


class Pixels(NamedTuple):
    """Of uint8 pictures [N, H, W, C]; see the codec's fields of these names."""

    mean: tuple[float, ...]
    std: tuple[float, ...]
    moments: tuple[tuple[float, ...], ...]


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
