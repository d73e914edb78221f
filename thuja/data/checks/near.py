"""Rows of two parts that are nearly the same: a picture saved again or scaled, a text with another full stop.

Source: difference hash (dHash), N. Krawetz, "Kind of like that" (2013), with horizontal and vertical differences (128 bits), the nearest hash checked against
the pixels; MinHash: A. Broder, "On the resemblance and containment of documents" (1997). Deviation: bits are compared by a matrix product, exactly, with no
index in between; where that would take longer than a few seconds, an even sample of the held-out rows is looked at and said so.
"""

from collections.abc import Iterator

import numpy as np

from thuja.codec import Ragged
from thuja.data.checks.finding import Finding, Looked, ids, share, tolerated
from thuja.data.checks.shingles import nearest_texts
from thuja.data.rows import Source, places

PAIRS = 1_000_000_000
"""Pairs of pictures compared at most."""
PIXELS = 1 << 21
"""Looked at together: 8 MB as numbers."""
BITS_APART = 12
"""Of 128: hashes further apart are not looked at again."""
DIFFERENCE = 8.0
"""Root mean square difference of grey levels (0..255), at up to 32 x 32 pixels, below which two pictures are nearly the same. Saving a picture again as
JPEG changes it by 2 to 7; the nearest of all training digits of MNIST is at least 10 from any test digit."""


def near_duplicates(looked: Looked) -> Iterator[Finding]:
    """Test rows with a near twin among the training rows; exact ones are another check's."""
    if "test" not in looked.parts:
        return
    for name in looked.inputs:
        column = looked.encoded["train"].columns.get(name)
        if isinstance(column, np.ndarray) and column.dtype == np.uint8 and column.ndim == 4:
            yield from _finding(looked, *nearest_pictures(looked.encoded["test"].columns[name], column), "pictures", looked.encoded)  # type: ignore[arg-type]
        elif looked.parts["train"].kinds[name] == "text" and not looked.is_table and not (isinstance(column, Ragged) and column.values.ndim > 1):  # no prose
            yield from _finding(looked, *nearest_texts(_texts(looked.parts["test"], name), _texts(looked.parts["train"], name)), "texts", None)


def _finding(looked: Looked, at: np.ndarray, twin: np.ndarray, seen: int, what: str, encoded: dict[str, "object"] | None) -> Iterator[Finding]:
    test, train = looked.parts["test"], looked.parts["train"]
    if encoded is not None:
        at, twin = looked.encoded["test"].kept[at], looked.encoded["train"].kept[twin]
    near = test.hashes(at, looked.inputs) != train.hashes(twin, looked.inputs)
    at, twin = at[near], twin[near]
    if len(at):
        sampled = "" if seen == len(test) else f" (looked at {seen:,} of {len(test):,})"
        yield Finding(
            "near-duplicates", "block" if len(at) > tolerated(seen) else "warn", len(at), ids(test, at),
            f"{share(len(at), seen)} test {what} are nearly the same as a training one{sampled}: {ids(test, at)[0]} and {ids(train, twin)[0]}.",
            "Look at a few; then remove them from one part, or keep what belongs together in one part (data.group).",
        )


def nearest_pictures(held: np.ndarray, known: np.ndarray) -> tuple[np.ndarray, np.ndarray, int]:
    """Pictures of `held` (uint8 [rows, height, width, channels]) with a near twin in `known`.

    Returns: their places, the places of the twins, and how many of `held` were looked at.
    """
    look = np.unique(np.linspace(0, len(held) - 1, min(len(held), max(PAIRS // max(len(known), 1), 100))).astype(np.int64))
    ours = dhash(held, look)
    twin, agree = np.zeros(len(look), np.int64), np.full(len(look), -np.inf, np.float32)
    for chunk in places(len(known), 8192):  # hashes and products of all rows at once would be 2.5 KB a row
        theirs = dhash(known, chunk).T
        for part in places(len(look), 512):
            product = ours[part] @ theirs
            best = product.argmax(1)
            most = product[np.arange(len(part)), best]
            twin[part] = np.where(most > agree[part], chunk[best], twin[part])
            agree[part] = np.maximum(most, agree[part])
    apart = (ours.shape[1] - agree) / 2
    close = np.flatnonzero(apart <= BITS_APART)
    kept = close[differences(held, look[close], known, twin[close]) < DIFFERENCE]
    return look[kept], twin[kept], len(look)


def dhash(pictures: np.ndarray, index: np.ndarray) -> np.ndarray:
    """128 signs (-1, 1) a picture, float32 `[rows, 128]`: whether grey rises to the right and downwards on a 9 x 9 grid of means."""
    parts = []
    for chunk in places(len(index), at_once(pictures)):
        grid = pooled(pictures[index[chunk]], 9, 9)
        right, down = np.diff(grid[:, :8, :], axis=2), np.diff(grid[:, :, :8], axis=1)
        parts.append(np.where(np.concatenate([right.reshape(len(grid), -1), down.reshape(len(grid), -1)], 1) > 0, 1, -1).astype(np.float32))
    return np.concatenate(parts)


def at_once(pictures: np.ndarray) -> int:
    """How many of uint8 `[rows, height, width, channels]` are looked at together: large ones few at a time, lest memory grow with their size."""
    return max(1, min(1024, PIXELS // max(1, pictures[0].size if len(pictures) else 1)))


def pooled(pictures: np.ndarray, height: int, width: int) -> np.ndarray:
    """Mean grey levels on a grid: float32 `[rows, height, width]`."""
    grey = pictures.mean(3, dtype=np.float32) if pictures.shape[3] > 1 else pictures[:, :, :, 0].astype(np.float32)
    grid: np.ndarray = np.matmul(np.matmul(_means(grey.shape[1], height), grey), _means(grey.shape[2], width).T)
    return grid


def _means(size: int, cells: int) -> np.ndarray:
    """The matrix `[cells, size]` that averages `size` values into equal cells, values on a border counted in part."""
    edges = np.linspace(0, size, cells + 1)
    low, high = edges[:-1, None], edges[1:, None]
    at = np.arange(size)[None, :]
    overlap = np.clip(np.minimum(high, at + 1) - np.maximum(low, at), 0, None)
    means: np.ndarray = (overlap / overlap.sum(1, keepdims=True)).astype(np.float32)
    return means


def differences(held: np.ndarray, ours: np.ndarray, known: np.ndarray, theirs: np.ndarray) -> np.ndarray:
    """Root mean square differences of grey levels, float `[pairs]`, between `held[ours]` and `known[theirs]`, on a grid of at most 32 x 32."""
    size = min(32, held.shape[1], known.shape[1]), min(32, held.shape[2], known.shape[2])
    parts = places(len(ours), at_once(held))
    found = [np.sqrt(np.mean((pooled(held[ours[part]], *size) - pooled(known[theirs[part]], *size)) ** 2, axis=(1, 2))) for part in parts]
    return np.concatenate(found) if found else np.zeros(0)


def _texts(source: Source, name: str) -> list[str]:
    return [value or "" for index in places(len(source), 8192) for value in source.take(index, (name,))[name]]
