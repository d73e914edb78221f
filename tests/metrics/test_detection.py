"""Average precision, against faster-coco-eval."""

import contextlib
import io

import numpy as np
import pytest

from thuja.metrics import METRICS, Outputs, interval, paired
from thuja.metrics.boxes import AREAS, Drawn, Found, counted, judged
from thuja.metrics.detection import average_precision, precision_recall, ranked

CLASSES = 3


def case(seed: int, rows: int = 12, *, ties: bool = False, ignored: float = 0.0, size: float = 120) -> tuple[Found, Drawn]:
    """Drawn boxes of many sizes; found ones near them, beside them and anywhere, some of the wrong class."""
    rng = np.random.default_rng(seed)
    n, k = 9, 30
    corner, side = rng.uniform(0, 400, (rows, n, 2)), np.exp(rng.uniform(np.log(8), np.log(2 * size), (rows, n, 2)))
    label = np.where(np.arange(n) < rng.integers(0, n + 1, rows)[:, None], rng.integers(0, CLASSES, (rows, n)), -1)
    box = np.round(np.concatenate([corner, corner + side], -1), 2) * (label >= 0)[..., None]
    pick = rng.integers(0, n, (rows, k))
    near = np.take_along_axis(box, pick[..., None], 1) + rng.normal(0, 1, (rows, k, 4)) * rng.choice([0, 2, 8, 40], (rows, k, 1))
    near = np.concatenate([np.minimum(near[..., :2], near[..., 2:]), np.maximum(near[..., :2], near[..., 2:]) + 1], -1)
    names = np.where(rng.random((rows, k)) < 0.8, np.maximum(np.take_along_axis(label, pick, 1), 0), rng.integers(0, CLASSES, (rows, k)))
    score = rng.integers(1, 6, (rows, k)) / 6 if ties else rng.uniform(0.01, 1, (rows, k))
    score = -np.sort(-score, axis=1) * (np.arange(k) < rng.integers(0, k + 1, rows)[:, None])
    return Found(near, score, names), Drawn(box, label, (rng.random((rows, n)) < ignored) & (label >= 0))


def outputs(found: Found, drawn: Drawn) -> Outputs:
    rows = len(found.score)
    truth = counted(drawn, CLASSES)
    arrays = {"score": found.score, "label": found.label, "judged": judged(found, drawn).reshape(rows, -1), "truth": truth.reshape(rows, -1)}
    return Outputs(truth[:, 0], arrays)


def coco(found: Found, drawn: Drawn) -> np.ndarray:
    """What faster-coco-eval says: AP, AP50, AP75, small, medium, large."""
    from faster_coco_eval import COCO, COCOeval_faster

    annotations, results = [], []
    for row in range(len(found.score)):
        for box, label, ignore in zip(drawn.box[row], drawn.label[row], drawn.ignore[row], strict=True):
            if label >= 0:
                wh = box[2:] - box[:2]
                annotations.append({"id": len(annotations) + 1, "image_id": row + 1, "category_id": int(label) + 1, "bbox": [*box[:2], *wh],
                                    "area": float(wh.prod()), "iscrowd": int(ignore)})
        for box, score, label in zip(found.box[row], found.score[row], found.label[row], strict=True):
            if score > 0:
                results.append({"image_id": row + 1, "category_id": int(label) + 1, "bbox": [*box[:2], *(box[2:] - box[:2])], "score": float(score)})
    truth = {"images": [{"id": i + 1, "width": 640, "height": 480} for i in range(len(found.score))], "annotations": annotations,
             "categories": [{"id": i + 1, "name": str(i)} for i in range(CLASSES)]}
    with contextlib.redirect_stdout(io.StringIO()):
        reference = COCO(truth)
        evaluation = COCOeval_faster(reference, reference.loadRes(results), "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return np.asarray(evaluation.stats[:6], float)


NAMES = ("map_50_95", "map_50", "map_75", "map_small", "map_medium", "map_large")


@pytest.mark.parametrize(("seed", "options"), [(seed, {}) for seed in range(6)] + [
    (6, {"ties": True}), (7, {"ties": True, "rows": 40}), (8, {"ignored": 0.3}), (9, {"ignored": 0.3, "ties": True}), (10, {"size": 20}), (11, {"rows": 80})])
def test_equal_to_faster_coco_eval(seed: int, options: dict) -> None:
    found, drawn = case(seed, **options)
    ours = np.array([METRICS[name].value(outputs(found, drawn)) for name in NAMES])
    np.testing.assert_allclose(np.nan_to_num(ours, nan=-1), coco(found, drawn), atol=1e-6)


def test_a_weight_of_two_is_the_picture_twice() -> None:
    found, drawn = case(3, rows=10)
    weight = np.array([2, 0, 1, 3, 0, 1, 1, 2, 0, 1])
    index = np.repeat(np.arange(10), weight)
    repeated = outputs(Found(*(a[index] for a in found)), Drawn(*(a[index] for a in drawn)))
    for name in (*NAMES, "box_recall_50"):
        assert METRICS[name].value(outputs(found, drawn), weight) == pytest.approx(METRICS[name].value(repeated), abs=1e-12)


def test_perfect_wrong_and_empty() -> None:
    _, drawn = case(1)
    perfect = Found(drawn.box, np.where(drawn.label >= 0, 0.9, 0.0), np.maximum(drawn.label, 0))
    assert METRICS["map_50_95"].value(outputs(perfect, drawn)) == pytest.approx(1.0)
    assert METRICS["box_recall_50"].value(outputs(perfect, drawn)) == 1.0
    wrong = perfect._replace(box=perfect.box + 5000)
    assert METRICS["map_50"].value(outputs(wrong, drawn)) == 0.0
    nothing = perfect._replace(score=np.zeros_like(perfect.score))
    assert METRICS["map_50"].value(outputs(nothing, drawn)) == 0.0
    blank = Drawn(np.zeros((2, 0, 4)), np.zeros((2, 0), int), np.zeros((2, 0), bool))
    assert np.isnan(METRICS["map_50"].value(outputs(Found(*(a[:2] for a in perfect)), blank)))
    far = judged(Found(np.array([[[0.0, 0, 10, 10]]]), np.array([[0.5]]), np.array([[0]])), Drawn(*(a[:1] for a in blank)))
    assert far[0, :, 0].tolist() == [0, 0, 0b1111111111 << 10, 0b1111111111 << 10]  # of 100 pixels: wrong among all and the small, else ignored


def test_intervals_hold_the_value_and_pairs_cancel() -> None:
    found, drawn = case(5, rows=60)
    ours = outputs(found, drawn)
    estimate = interval(METRICS["map_50"], ours)
    assert estimate.low < estimate.value < estimate.high
    assert paired([METRICS["map_50"]], ours, ours)["map_50"].value == 0
    worse = outputs(found._replace(box=found.box + 6), drawn)
    gap = paired([METRICS["map_50"]], ours, worse)["map_50"]
    assert 0 < gap.low < gap.value < gap.high


def test_the_area_under_the_curve_is_about_the_average_precision() -> None:
    ours = outputs(*case(5, rows=200))
    for boxes in ranked(ours):
        curve = precision_recall(boxes)
        assert (np.diff(curve.precision) <= 0).all() and (np.diff(curve.recall) > 0).all()
        area = float(np.sum(np.diff(np.concatenate([[0], curve.recall])) * curve.precision))
        assert area == pytest.approx(float(average_precision(boxes, np.ones((1, 200)), (0,))[0]), abs=0.02)


def test_areas_are_those_of_coco() -> None:
    assert AREAS == {"all": (0, 1e10), "small": (0, 1024), "medium": (1024, 9216), "large": (9216, 1e10)}
