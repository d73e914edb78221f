"""Metrics of detection: average precision as COCO defines it, over weighted pictures.

They are computed from `score` float [rows, k] (0 for an empty place), `label` int [rows, k], `judged` [rows, areas * k] (bits of `metrics.boxes.judged`) and
`truth` [rows, areas * classes] (how many boxes are to be found). Boxes are ranked over all pictures; the precision at a recall is the largest at that recall or
beyond, read at 101 recalls and averaged; then over overlaps; then over the classes that have a box. A picture that was drawn twice counts twice.

Source: `COCOeval.accumulate` and `summarize` of pycocotools (Lin et al. 2014, arXiv 1405.0312); tests compare with faster-coco-eval to 1e-6.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from thuja.metrics.boxes import AREAS, OVERLAPS
from thuja.metrics.metric import Metric, Outputs, Weighted, ratio

RECALLS = np.linspace(0.0, 1.0, 101)
LEVELS = len(OVERLAPS)


class Ranked(NamedTuple):
    """The boxes of one class, the surest first."""

    row: np.ndarray
    """int64 [n]: the picture of each."""
    score: np.ndarray
    bits: np.ndarray
    """uint32 [n], of one area."""
    truth: np.ndarray
    """float64 [rows]: how many boxes of the class are to be found in each picture."""


def ranked(outputs: Outputs, area: str = "all") -> list[Ranked]:
    """For each class, what was found of it. Of equal scores the earlier picture, and in it the earlier place, comes first."""
    score, label = np.asarray(outputs.arrays["score"]), np.asarray(outputs.arrays["label"])
    rows, most = score.shape
    place = list(AREAS).index(area)
    bits = np.asarray(outputs.arrays["judged"]).reshape(rows, len(AREAS), most)[:, place].astype(np.uint32)
    truth = np.asarray(outputs.arrays["truth"], np.float64).reshape(rows, len(AREAS), -1)[:, place]
    found = []
    for number in range(truth.shape[1]):
        row, column = np.nonzero((score > 0) & (label == number))
        order = np.argsort(-score[row, column], kind="stable")
        row, column = row[order], column[order]
        found.append(Ranked(row, score[row, column], bits[row, column], truth[:, number]))
    return found


def average_precision(boxes: Ranked, weights: np.ndarray, levels: Sequence[int]) -> np.ndarray:
    """[draws]: of one class, the mean over overlaps; NaN where a draw has no box to be found."""
    wanted = weights @ boxes.truth
    total = np.zeros(len(weights))
    for level in levels:
        counts, right = _bit(boxes.bits, LEVELS + level) == 0, _bit(boxes.bits, level) == 1
        row, right = boxes.row[counts], right[counts]
        drawn = weights[:, row]
        before, hits = np.cumsum(drawn, axis=1)[:, right], np.cumsum(drawn[:, right], axis=1)
        precision = ratio(hits, before, 0.0)
        best = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
        recall = ratio(hits, wanted[:, None], 0.0)
        ends = np.concatenate([best, np.zeros((len(weights), 1))], axis=1)
        places = np.stack([np.searchsorted(line, RECALLS, side="left") for line in recall])
        total += np.take_along_axis(ends, places, axis=1).mean(axis=1)
    return np.where(wanted > 0, total / len(levels), np.nan)


def _bit(bits: np.ndarray, place: int) -> np.ndarray:
    return np.asarray(bits >> np.uint32(place)) & np.uint32(1)


def mean_average_precision(levels: Sequence[int], area: str = "all") -> Callable[[Outputs], Weighted]:
    """A metric's `prepare`: the mean over the classes that have a box to be found."""

    def prepare(outputs: Outputs) -> Weighted:
        classes = ranked(outputs, area)

        def weighted(weights: np.ndarray) -> np.ndarray:
            values = np.stack([average_precision(boxes, weights, levels) for boxes in classes])
            known = ~np.isnan(values)
            return ratio(np.where(known, values, 0).sum(0), known.sum(0).astype(np.float64))

        return weighted

    return prepare


class Curve(NamedTuple):
    """How precision falls as recall rises, for one class."""

    recall: np.ndarray
    precision: np.ndarray
    """The largest at that recall or beyond."""


def precision_recall(boxes: Ranked, level: int = 0) -> Curve:
    """At every box that is right, over all pictures once."""
    counts, right = _bit(boxes.bits, LEVELS + level) == 0, _bit(boxes.bits, level) == 1
    right = right[counts]
    hits = np.cumsum(right)
    precision = (hits / np.arange(1, len(right) + 1))[right]
    return Curve(hits[right] / max(boxes.truth.sum(), 1.0), np.maximum.accumulate(precision[::-1])[::-1])


def recalled(level: int) -> Callable[[Outputs], Weighted]:
    """A metric's `prepare`: the share of drawn boxes that any found one matches, at one overlap, over all classes."""

    def prepare(outputs: Outputs) -> Weighted:
        classes = ranked(outputs)
        rows = len(outputs.arrays["score"])
        hits = sum((np.bincount(boxes.row, weights=_bit(boxes.bits, level), minlength=rows) for boxes in classes), np.zeros(rows))
        truth = sum((boxes.truth for boxes in classes), np.zeros(rows))
        return lambda weights: ratio(weights @ hits, weights @ truth)

    return prepare


NONE = "no box to be found"
METRICS = (
    Metric("map_50", "Mean average precision at overlap 0.5", "max", "judged", mean_average_precision((0,)), NONE),
    Metric("map_75", "Mean average precision at overlap 0.75", "max", "judged", mean_average_precision((5,)), NONE),
    Metric("map_50_95", "Mean average precision, overlaps 0.5 to 0.95", "max", "judged", mean_average_precision(range(LEVELS)), NONE),
    *(Metric(f"map_{area}", f"Mean average precision, {area} boxes", "max", "judged", mean_average_precision(range(LEVELS), area), f"no {area} box to be found")
      for area in AREAS if area != "all"),
    Metric("box_recall_50", "Boxes found at overlap 0.5", "max", "judged", recalled(0), NONE, percent=True),
)
