import numpy as np

from thuja.metrics import METRICS, Outputs
from thuja.metrics.metric import ratio, sums_by_cell


def some_outputs(rows=40, classes=3, seed=0):
    rng = np.random.default_rng(seed)
    if classes == 0:
        target = rng.normal(size=rows)
        return Outputs(target, {"value": (target + rng.normal(size=rows)).astype(np.float32)})
    probability = rng.dirichlet(np.ones(classes), rows).round(2)
    return Outputs(rng.integers(0, classes, rows), {"probability": probability}, names=tuple("abcdef"[:classes]))


def usable(outputs):
    return [m for m in METRICS.values() if m.needs in outputs.arrays]


def test_a_weight_counts_a_row_that_many_times():
    for classes in (0, 2, 3):
        outputs = some_outputs(classes=classes)
        weight = np.random.default_rng(1).integers(0, 4, 40)
        repeated = outputs.take(np.repeat(np.arange(40), weight))
        for metric in usable(outputs):
            np.testing.assert_allclose(metric.value(outputs, weight), metric.value(repeated), rtol=1e-10, err_msg=metric.name)


def test_many_weightings_at_once_equal_one_at_a_time():
    for classes in (0, 2, 3):
        outputs = some_outputs(classes=classes)
        weights = np.random.default_rng(2).integers(0, 3, (5, 40)).astype(float)
        for metric in usable(outputs):
            np.testing.assert_allclose(metric.prepare(outputs)(weights), [metric.value(outputs, w) for w in weights], rtol=1e-12, err_msg=metric.name)


def test_no_rows_is_nan_for_every_metric():
    for classes in (0, 2, 3):
        nothing = some_outputs(classes=classes).take(np.zeros(0, int))
        assert all(np.isnan(m.value(nothing)) for m in usable(nothing))


def test_better_follows_the_direction_and_beats_nan():
    assert METRICS["accuracy"].better(0.9, 0.8)
    assert not METRICS["accuracy"].better(0.8, 0.8)
    assert METRICS["rmse"].better(0.8, 0.9)
    assert METRICS["rmse"].better(0.8, float("nan"))
    assert not METRICS["rmse"].better(float("nan"), 0.8)


def test_take_keeps_groups_and_names():
    outputs = some_outputs()._replace(group=np.arange(40) // 2)
    part = outputs.take(np.array([3, 1]))
    assert part.group.tolist() == [1, 0]
    assert part.names == ("a", "b", "c")
    assert part.target.tolist() == [outputs.target[3], outputs.target[1]]


def test_ratio_fills_where_the_denominator_is_zero():
    np.testing.assert_array_equal(ratio(np.array([1.0, 2.0]), np.array([0.0, 4.0])), [np.nan, 0.5])
    np.testing.assert_array_equal(ratio(np.array([1.0, 2.0]), np.array([0.0, 4.0]), 0.0), [0.0, 0.5])


def test_sums_by_cell():
    np.testing.assert_array_equal(sums_by_cell(np.array([[1.0, 2.0, 4.0], [0.0, 1.0, 0.0]]), np.array([2, 0, 2]), 3), [[2, 0, 5], [1, 0, 0]])
