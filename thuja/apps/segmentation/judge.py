"""An answered mask beside the true one as a few plain numbers: counts of pixels, distances of borders, objects found. numpy; distances want scipy.

The distance of two borders: every border pixel of one has a distance to the nearest border pixel of the other; their mean over both is the average symmetric
surface distance, their 95th percentile the Hausdorff distance without outliers (Heimann et al. 2009, IEEE TMI 28(8); MICCAI's convention of pooling both
directions). Objects match where they share more than half of their union, which at most one other can (Caicedo et al. 2019, Nature Methods 16).
"""

from typing import Any

import numpy as np

from thuja.apps.segmentation.codec import SegmentationCodec
from thuja.apps.segmentation.tiles import VOID
from thuja.codec import Arrays, Columns, Ragged
from thuja.core.errors import DataError
from thuja.metrics import Outputs
from thuja.task import Source

MATCH = 0.5
"""Share of their union that two objects must have more than in common to be the same."""


def outputs(codec: SegmentationCodec, columns: Columns, answered: list[np.ndarray], source: Source | None) -> Outputs:
    """What metrics take. Args: answered: uint8 [height, width] of each row; source: the raw rows, from which single objects are read; without it, borders and
    objects are left out, as they take longer than the rest.

    Gives `confusion` [rows, classes, classes] (true class first) and `overlap` [rows, judged classes, 3] (right, added, missed), in pixels; with a source
    `surface` [rows, 2], the mean and the 95th percentile of the distances of borders in pixels, the mean over judged classes, NaN where neither has any; and
    where objects are told apart `objects` [rows, 3] (found, added, missed). The target is the number of pixels of each class, [rows, classes].
    """
    classes, judged = len(codec.names), list(codec.judged)
    truths = [codec.whole(tiles, size) for tiles, size in zip(_split(columns[codec.target]), np.asarray(columns[codec.size]), strict=True)]
    pairs = list(zip(truths, answered, strict=True))
    counts = np.array([confusion(*pair, classes) for pair in pairs]).reshape(-1, classes, classes)
    arrays: Arrays = {"confusion": counts.reshape(len(counts), -1), "overlap": _overlap(counts)[:, judged].reshape(len(counts), -1)}
    if source is not None:
        arrays["surface"] = np.array([_borders(*pair, judged) for pair in pairs]).reshape(-1, 2)
        if codec.instances:
            arrays["objects"] = np.array([matched(truth, codec.objects(mask)) for truth, mask in zip(_objects(codec, source), answered, strict=True)])
    return Outputs(counts.sum(axis=2), arrays, None, codec.names)


def _split(tiles: Any) -> list[np.ndarray]:
    assert isinstance(tiles, Ragged)
    return [tiles.values[low:high] for low, high in zip(tiles.offsets[:-1], tiles.offsets[1:], strict=True)]


def _objects(codec: SegmentationCodec, source: Source) -> list[np.ndarray]:
    """The true objects of every row: numbers in masks, 0 where there is none."""
    found = []
    for rows in source.batches(16):
        for value in rows[codec.target]:
            numbers = codec.mask.decode(value, codec.target)
            found.append(np.where(np.isin(numbers, codec.void), 0, numbers))
    return found


def confusion(truth: np.ndarray, answer: np.ndarray, classes: int) -> np.ndarray:
    """Pixels by true and answered class, float [classes, classes]; void ones are left out."""
    known = truth != VOID
    cells = truth[known].astype(np.int64) * classes + answer[known]
    return np.bincount(cells, minlength=classes * classes).reshape(classes, classes).astype(float)


def _overlap(counts: np.ndarray) -> np.ndarray:
    """Right, added and missed pixels of each class: [rows, classes, 3]."""
    right = np.diagonal(counts, axis1=1, axis2=2)
    return np.stack([right, counts.sum(axis=1) - right, counts.sum(axis=2) - right], axis=2)


def _borders(truth: np.ndarray, answer: np.ndarray, judged: list[int]) -> tuple[float, float]:
    known = truth != VOID
    found = np.array([surface((truth == one) & known, (answer == one) & known) for one in judged]).reshape(-1, 2)
    there = found[~np.isnan(found[:, 0])]
    return (float(there[:, 0].mean()), float(there[:, 1].mean())) if len(there) else (float("nan"), float("nan"))


def surface(one: np.ndarray, other: np.ndarray) -> tuple[float, float]:
    """Mean and 95th percentile of the distances between the borders of two regions, bool [height, width], in pixels.

    NaN where both are empty; the diagonal of the picture where one is: as far off as can be.
    """
    from scipy import ndimage

    if not one.any() and not other.any():
        return float("nan"), float("nan")
    if not one.any() or not other.any():
        far = float(np.hypot(*one.shape))
        return far, far
    (top, bottom), (left, right) = (np.flatnonzero((one | other).any(axis=axis))[[0, -1]] for axis in (1, 0))
    part = slice(top, bottom + 1), slice(left, right + 1)  # all borders lie in here
    borders = [region & ~ndimage.binary_erosion(region) for region in (one[part], other[part])]
    away = [ndimage.distance_transform_edt(~border) for border in borders]
    distances = np.concatenate([away[1][borders[0]], away[0][borders[1]]])
    return float(distances.mean()), float(np.percentile(distances, 95))


def matched(truth: np.ndarray, answer: np.ndarray) -> tuple[float, float, float]:
    """Objects found, added and missed; both [height, width], 0 for none."""
    if truth.shape != answer.shape:
        raise DataError("masks", expected="those that were encoded", found="others", fix="Start again: the data have changed.")
    true, true_sizes = np.unique(truth[truth > 0], return_counts=True)
    said, said_sizes = np.unique(answer[answer > 0], return_counts=True)
    both = (truth > 0) & (answer > 0)
    pairs, common = np.unique(np.stack([truth[both], answer[both]]).astype(np.int64), axis=1, return_counts=True)
    union = true_sizes[np.searchsorted(true, pairs[0])] + said_sizes[np.searchsorted(said, pairs[1])] - common
    found = float((common > MATCH * union).sum())
    return found, len(said) - found, len(true) - found
