"""What is learned of training pictures before any weight: their mean and spread, and what neighbouring pixels share. No torch."""

from typing import NamedTuple

import numpy as np


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
