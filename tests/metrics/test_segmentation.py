import numpy as np
import pytest

from thuja.metrics import METRICS, Outputs, intervals
from thuja.metrics.segmentation import class_iou


def outputs(pairs, classes=3, judged=(0, 1, 2)):
    """Of (truth, answer) masks."""
    confusion = np.array([np.bincount(np.ravel(t) * classes + np.ravel(a), minlength=classes**2) for t, a in pairs], float)
    square = confusion.reshape(-1, classes, classes)
    right = np.diagonal(square, axis1=1, axis2=2)
    overlap = np.stack([right, square.sum(1) - right, square.sum(2) - right], 2)[:, list(judged)]
    arrays = {"confusion": confusion, "overlap": overlap.reshape(len(pairs), -1), "surface": np.array([[1.0, 2.0]] * len(pairs)),
              "objects": np.array([[3.0, 1.0, 1.0]] * len(pairs))}
    return Outputs(square.sum(2), arrays)


def masks(seed=0, rows=6, classes=3):
    rng = np.random.default_rng(seed)
    return [(rng.integers(0, classes, 200), rng.integers(0, classes, 200)) for _ in range(rows)]


def test_they_are_those_of_scikit_learn_over_all_pixels():
    from sklearn.metrics import accuracy_score, f1_score, jaccard_score

    pairs = masks()
    truth, answer = (np.concatenate(side) for side in zip(*pairs, strict=True))
    found = outputs(pairs)
    assert METRICS["miou"].value(found) == pytest.approx(jaccard_score(truth, answer, average="macro"))
    assert METRICS["f1_pixels"].value(found) == pytest.approx(f1_score(truth, answer, average="macro"))
    assert METRICS["pixel_accuracy"].value(found) == pytest.approx(accuracy_score(truth, answer))
    each = [f1_score(t, a, average="macro") for t, a in pairs]
    assert METRICS["dice"].value(found) == pytest.approx(np.mean(each))
    foreground = outputs(pairs, judged=(1, 2))
    assert METRICS["f1_pixels"].value(foreground) == pytest.approx(f1_score(truth, answer, average="macro", labels=[1, 2]))


@pytest.mark.parametrize("name", ["miou", "dice", "f1_pixels", "pixel_accuracy", "surface_distance", "hausdorff_95", "object_f1"])
def test_a_weight_is_a_number_of_copies(name):
    pairs = masks(rows=5)
    weights = np.array([2, 0, 1, 3, 1])
    repeated = [pair for pair, count in zip(pairs, weights, strict=True) for _ in range(count)]
    assert METRICS[name].value(outputs(pairs), weights) == pytest.approx(METRICS[name].value(outputs(repeated)))


def test_a_class_that_is_nowhere_does_not_count():
    pairs = [(np.array([0, 0, 1, 1]), np.array([0, 0, 1, 0]))]
    found = outputs(pairs)
    iou = class_iou(found.arrays["confusion"], np.ones((1, 1)))[0]
    assert iou[:2] == pytest.approx([2 / 3, 1 / 2])
    assert np.isnan(iou[2])
    assert METRICS["miou"].value(found) == pytest.approx(7 / 12)


def test_cases_without_anything_are_left_out_and_nothing_at_all_is_unknown():
    empty, half = (np.zeros(4, int), np.zeros(4, int)), (np.array([1, 1, 0, 0]), np.array([1, 0, 0, 0]))
    assert METRICS["dice"].value(outputs([empty, half], judged=(1,))) == pytest.approx(2 / 3)
    found = outputs([empty], judged=(1,))
    found.arrays["surface"][:] = np.nan
    assert all(np.isnan(METRICS[name].value(found)) for name in ("dice", "f1_pixels", "surface_distance", "hausdorff_95"))


def test_intervals_are_over_patients():
    pairs = masks(rows=4)
    found = outputs(pairs)
    rows = intervals([METRICS["miou"]], found)["miou"]
    groups = intervals([METRICS["miou"]], found._replace(group=np.array(["a", "a", "b", "b"])))["miou"]
    assert groups.method.startswith("bootstrap of groups")
    assert rows.low <= rows.value <= rows.high
