"""Metrics of masks, from counts of pixels that each row brings with it: no metric opens a picture.

They are computed from `confusion` [rows, classes * classes] (pixels by true and answered class), `overlap` [rows, judged classes * 3] (right, added, missed),
`surface` [rows, 2] (mean and 95th percentile of the distances of borders, in pixels; NaN where nothing is there) and `objects` [rows, 3] (found, added,
missed).

Source: intersection over union, pooled over all pixels before the mean over classes, Everingham et al. 2015, IJCV 111 (PASCAL VOC); Dice 1945; Dice of every
case and then the mean, average symmetric surface distance and 95th percentile of the Hausdorff distance: Maier-Hein et al. 2024, "Metrics reloaded", Nature
Methods 21; F1 of objects at half of their union: Caicedo et al. 2019, Nature Methods 16.
"""

from collections.abc import Callable

import numpy as np

from thuja.metrics.metric import Metric, Outputs, Weighted, ratio


def class_iou(confusion: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Intersection over union of each class, pooled: [rows, classes * classes] and weights [draws, rows] to [draws, classes]; NaN for a class that is neither
    there nor answered."""
    classes = round(confusion.shape[1] ** 0.5)
    total = (weights @ confusion).reshape(-1, classes, classes)
    right = np.diagonal(total, axis1=1, axis2=2)
    return ratio(right, total.sum(axis=1) + total.sum(axis=2) - right)


def f1(counts: np.ndarray) -> np.ndarray:
    """Of right, added and missed in the last axis; NaN where all are 0. The same as Dice."""
    return ratio(2 * counts[..., 0], 2 * counts[..., 0] + counts[..., 1] + counts[..., 2])


def mean_of_known(values: np.ndarray) -> np.ndarray:
    """The mean over the last axis without NaN; NaN where all are."""
    known = ~np.isnan(values)
    return ratio(np.where(known, values, 0).sum(axis=-1), known.sum(axis=-1).astype(float))


def miou(outputs: Outputs) -> Weighted:
    """The mean over classes of `class_iou`."""
    confusion = np.asarray(outputs.arrays["confusion"], np.float64)
    return lambda weights: mean_of_known(class_iou(confusion, weights))


def pixel_accuracy(outputs: Outputs) -> Weighted:
    """Share of the pixels whose class is right, pooled."""
    confusion = np.asarray(outputs.arrays["confusion"], np.float64)
    classes = round(confusion.shape[1] ** 0.5)
    right, all_ = confusion[:, :: classes + 1].sum(axis=1), confusion.sum(axis=1)
    return lambda weights: ratio(weights @ right, weights @ all_)


def f1_pixels(outputs: Outputs) -> Weighted:
    """F1 of pixels, pooled over rows; the mean over the judged classes."""
    overlap = np.asarray(outputs.arrays["overlap"], np.float64)
    return lambda weights: mean_of_known(f1((weights @ overlap).reshape(len(weights), -1, 3)))


def dice_of_rows(outputs: Outputs) -> np.ndarray:
    """[rows]: the mean over judged classes that the row has or is said to have; NaN where there are none."""
    overlap = np.asarray(outputs.arrays["overlap"], np.float64)
    return mean_of_known(f1(overlap.reshape(len(overlap), -1, 3)))


def _mean_over_cases(of: Callable[[Outputs], np.ndarray]) -> Callable[[Outputs], Weighted]:
    """Rows without a value do not count."""

    def prepare(outputs: Outputs) -> Weighted:
        values = of(outputs)
        known = ~np.isnan(values)
        values, there = np.where(known, values, 0), known.astype(np.float64)
        return lambda weights: ratio(weights @ values, weights @ there)

    return prepare


def _surface(which: int) -> Callable[[Outputs], np.ndarray]:
    return lambda outputs: np.asarray(outputs.arrays["surface"], np.float64)[:, which]


def object_f1(outputs: Outputs) -> Weighted:
    """F1 of objects that share more than half of their union, pooled over rows."""
    objects = np.asarray(outputs.arrays["objects"], np.float64)
    return lambda weights: f1(weights @ objects)


EMPTY = "no row has anything to find"
METRICS = (
    Metric("miou", "Mean IoU of classes", "max", "confusion", miou, "no known pixel"),
    Metric("dice", "Dice, mean over cases", "max", "overlap", _mean_over_cases(dice_of_rows), EMPTY),
    Metric("f1_pixels", "F1 of pixels", "max", "overlap", f1_pixels, EMPTY),
    Metric("pixel_accuracy", "Accuracy of pixels", "max", "confusion", pixel_accuracy, "no known pixel", percent=True),
    Metric("surface_distance", "Distance of borders, mean over cases (pixels)", "min", "surface", _mean_over_cases(_surface(0)), EMPTY),
    Metric("hausdorff_95", "95 % of border distances, mean over cases (pixels)", "min", "surface", _mean_over_cases(_surface(1)), EMPTY),
    Metric("object_f1", "F1 of objects", "max", "objects", object_f1, "no object"),
)
