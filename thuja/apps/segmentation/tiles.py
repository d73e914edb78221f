"""A picture of any size as overlapping tiles of one size, and tiles as a picture again. numpy only.

A network with convolutions alone sees no further than its reach. A tile's answer is right wherever its border is the picture's own, or further away than
that reach: each tile *owns* such pixels, and every pixel of the picture has one owner. So tiles give what the whole picture would give, seams included,
provided that tiles begin where the network halves the picture (`align`) and the overlap is twice the reach (`halo`).
"""

from typing import NamedTuple

import numpy as np

VOID = 255
"""In encoded masks: a pixel that is neither learned nor judged."""


class Grid(NamedTuple):
    """How pictures are cut."""

    height: int
    """Of a tile; like `width` and `halo` a multiple of `align`, and both are greater than twice `halo`."""
    width: int
    halo: int
    """Pixels at an inner border of a tile that it does not own."""
    align: int

    def starts(self, length: int, tile: int) -> np.ndarray:
        """Where tiles of this length begin along an axis of the picture; the last ends with the picture, which is filled up to a multiple of `align`."""
        padded = max(tile, -(-length // self.align) * self.align)
        step = tile - 2 * self.halo
        return np.append(np.arange(0, padded - tile, step), padded - tile) if padded > tile else np.zeros(1, np.int64)

    def owned(self, length: int, tile: int) -> np.ndarray:
        """Of each tile along an axis: its first own pixel and the one after its last, in the picture, [tiles, 2]."""
        starts = self.starts(length, tile)
        seams = starts[1:] + self.halo
        return np.stack([np.append(0, seams), np.append(seams, length)], axis=1)


def cut(picture: np.ndarray, grid: Grid, fill: int | None = None) -> np.ndarray:
    """The tiles of a picture [H, W, ...], row by row: [tiles, height, width, ...]. Beyond the picture it is mirrored, or with `fill` that number."""
    down, across = grid.starts(picture.shape[0], grid.height), grid.starts(picture.shape[1], grid.width)
    more = [(0, int(down[-1]) + grid.height - picture.shape[0]), (0, int(across[-1]) + grid.width - picture.shape[1])]
    if any(after for _, after in more):
        wide = more + [(0, 0)] * (picture.ndim - 2)
        picture = np.pad(picture, wide, "symmetric") if fill is None else np.pad(picture, wide, constant_values=fill)
    return np.stack([picture[y : y + grid.height, x : x + grid.width] for y in down for x in across])


def owners(shape: tuple[int, int], grid: Grid) -> np.ndarray:
    """What each tile of a picture [H, W] owns: int64 [tiles, 4], top, bottom, left, right within the tile."""
    rows = grid.owned(shape[0], grid.height) - grid.starts(shape[0], grid.height)[:, None]
    columns = grid.owned(shape[1], grid.width) - grid.starts(shape[1], grid.width)[:, None]
    return np.array([(*row, *column) for row in rows for column in columns], np.int64)


def joined(tiles: np.ndarray, shape: tuple[int, int], grid: Grid) -> np.ndarray:
    """The picture [H, W, ...] of its tiles [at least as many, height, width, ...], each pixel from its owner."""
    out = np.empty((*shape, *tiles.shape[3:]), tiles.dtype)
    rows, columns = grid.owned(shape[0], grid.height), grid.owned(shape[1], grid.width)
    places = [(*row, *column) for row in rows for column in columns]
    for tile, (top, bottom, left, right), (first, last, low, high) in zip(tiles, places, owners(shape, grid), strict=False):
        out[top:bottom, left:right] = tile[first:last, low:high]
    return out


def fitting(length: int, halo: int, align: int, most: int) -> int:
    """The length of a tile for which pictures of this length are cut into few tiles of at most `most` pixels with little waste.

    >>> fitting(180, 56, 8, 512), fitting(960, 56, 8, 512), fitting(64, 56, 8, 512)
    (184, 400, 120)
    """
    most = max(most, 4 * halo, align)
    length = max(length, 2 * halo + align)
    count = 1
    while -(-(length + 2 * halo * (count - 1)) // count) > most:
        count += 1
    return int(-(-(length + 2 * halo * (count - 1)) // (count * align)) * align)
