"""Which of the boxes that were found are right: the rules of COCO, applied once to each picture, so that metrics have nothing left to do but count.

Within a picture and a class, the surest box first, each takes the drawn box that it overlaps most and that nobody has taken, if by enough; at ten overlaps from
0.5 to 0.95, and four times over: for drawn boxes of any area, and for small, medium and large ones, where those of another area are ignored. Whoever is matched
to an ignored box, or to nothing while of another area, counts neither as right nor as wrong. Crowds and difficult objects are ignored, and may be
matched any number of times, by the share of the found box that lies in them.

Source: `COCOeval.evaluateImg` of pycocotools (Lin et al.), area ranges and order of choice included; tests compare with faster-coco-eval. Differs: the area of
a drawn box is that of the box, where COCO takes that of its outline.
"""

from typing import NamedTuple

import numpy as np

OVERLAPS = np.linspace(0.5, 0.95, 10)
AREAS = {"all": (0.0, 1e10), "small": (0.0, 32.0**2), "medium": (32.0**2, 96.0**2), "large": (96.0**2, 1e10)}
"""In pixels of the picture as sent."""
CHUNK = 1 << 22
"""Comparisons held at once."""


class Found(NamedTuple):
    """What was found in each picture, the surest first."""

    box: np.ndarray
    """[rows, k, 4], left, top, right, bottom."""
    score: np.ndarray
    """[rows, k], 0 for an empty place."""
    label: np.ndarray
    """int [rows, k], from 0."""


class Drawn(NamedTuple):
    """What is in each picture, padded to the most."""

    box: np.ndarray
    """[rows, n, 4]."""
    label: np.ndarray
    """int [rows, n], from 0; -1 for an empty place."""
    ignore: np.ndarray
    """bool [rows, n]."""


def judged(found: Found, drawn: Drawn) -> np.ndarray:
    """uint32 [rows, areas, k]: for each found box, bit i says that it is right at the i-th overlap, bit 10 + i that it is ignored there."""
    rows, most = found.score.shape
    step = max(1, CHUNK // max(1, len(AREAS) * len(OVERLAPS) * max(1, drawn.label.shape[1])))
    parts = [_judged(Found(*(a[i : i + step] for a in found)), Drawn(*(a[i : i + step] for a in drawn))) for i in range(0, rows, step)]
    return np.concatenate(parts) if parts else np.zeros((0, len(AREAS), most), np.uint32)


def counted(drawn: Drawn, classes: int) -> np.ndarray:
    """int64 [rows, areas, classes]: how many boxes are to be found."""
    per_class = drawn.label[:, None, :, None] == np.arange(classes)
    return np.asarray((per_class & ~_ignored(drawn)[..., None]).sum(2), np.int64)


def overlaps(found: np.ndarray, drawn: np.ndarray, ignore: np.ndarray) -> np.ndarray:
    """Intersection over union of all pairs of a row, [rows, k, 4] and [rows, n, 4] to [rows, k, n]; with ignored ones, over the found box alone."""
    low = np.maximum(found[:, :, None, :2], drawn[:, None, :, :2])
    high = np.minimum(found[:, :, None, 2:], drawn[:, None, :, 2:])
    common = np.clip(high - low, 0, None).prod(-1)
    ours, theirs = _area(found)[:, :, None], _area(drawn)[:, None]
    union = np.where(ignore[:, None], ours, ours + theirs - common)
    share: np.ndarray = np.divide(common, union, out=np.zeros_like(common), where=union > 0)
    return share


def _area(box: np.ndarray) -> np.ndarray:
    return np.asarray((box[..., 2] - box[..., 0]) * (box[..., 3] - box[..., 1]))


def _outside(area: np.ndarray) -> np.ndarray:
    """bool [rows, areas, ...]: of another area."""
    low, high = (np.array([bounds[end] for bounds in AREAS.values()])[None, :, None] for end in (0, 1))
    return np.asarray((area[:, None] < low) | (area[:, None] > high))


def _ignored(drawn: Drawn) -> np.ndarray:
    """bool [rows, areas, n]."""
    return np.asarray(_outside(_area(drawn.box)) | drawn.ignore[:, None])


def _judged(found: Found, drawn: Drawn) -> np.ndarray:
    """All rows, areas and overlaps at once, one found box after the other."""
    rows, most = found.score.shape
    box, other = found.box.astype(np.float64), drawn.box.astype(np.float64)
    iou = overlaps(box, other, drawn.ignore)
    same = (found.label[:, :, None] == drawn.label[:, None]) & (found.score > 0)[:, :, None]
    ignored, outside = _ignored(drawn), _outside(_area(box))
    count = drawn.label.shape[1]
    taken = np.zeros((rows, len(AREAS), len(OVERLAPS), count), bool)
    least = np.minimum(OVERLAPS, 1 - 1e-10)[:, None]
    bits = np.uint32(1) << np.arange(len(OVERLAPS), dtype=np.uint32)
    out = np.zeros((rows, len(AREAS), most), np.uint32)
    if not count:
        lost = outside.transpose(0, 2, 1)[..., None] & np.ones(len(OVERLAPS), bool)
        return np.asarray((lost @ (bits << len(OVERLAPS))).transpose(0, 2, 1), np.uint32) if most else out
    for place in range(int((found.score > 0).sum(1).max(initial=0))):
        free = same[:, place, None, None] & (~taken | drawn.ignore[:, None, None]) & (iou[:, place, None, None] >= least)
        right = free & ~ignored[:, :, None]
        counts = right.any(-1)
        choice = np.where(np.where(counts[..., None], right, free), iou[:, place, None, None], -1.0)
        best = count - 1 - choice[..., ::-1].argmax(-1)  # the last of equals
        matched = free.any(-1)
        taken |= (np.arange(count) == best[..., None]) & matched[..., None]
        lost = np.where(matched, ~counts, outside[:, :, place, None])
        out[:, :, place] = (counts @ bits) + (lost @ (bits << len(OVERLAPS)))
    return out
