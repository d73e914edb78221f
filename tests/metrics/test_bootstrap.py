import numpy as np
import pytest
from scipy.stats import norm

from thuja.metrics import METRICS, Outputs, Sampling, interval, intervals, paired
from thuja.metrics import bootstrap as module
from thuja.metrics.bootstrap import bounds, draws, number_of_draws, wilson

QUICK = Sampling(resamples=400)


def binary(rng, rows, shift=1.2):
    target = rng.integers(0, 2, rows)
    score = 1 / (1 + np.exp(-(rng.normal(size=rows) + shift * (target - 0.5) * 2)))
    return Outputs(target, {"probability": np.stack([1 - score, score], axis=1)})


def numbers(rng, rows):
    target = rng.normal(size=rows)
    return Outputs(target, {"value": target + rng.normal(size=rows)})


def covered(metric, make, truth, sets, seed=0):
    """How often the interval holds the truth, over `sets` simulated data sets."""
    hits = 0
    for i in range(sets):
        estimate = interval(METRICS[metric], make(np.random.default_rng([seed, i])), Sampling(resamples=400, seed=i))
        hits += estimate.low <= truth <= estimate.high
    return hits / sets


CASES = [
    ("accuracy", lambda rng: binary(rng, 100), norm.cdf(1.2)),
    ("roc_auc", lambda rng: binary(rng, 150), norm.cdf(2.4 / np.sqrt(2))),
    ("rmse", lambda rng: numbers(rng, 150), 1.0),
]


@pytest.mark.parametrize(("metric", "make", "truth"), CASES)
def test_intervals_cover_the_truth(metric, make, truth):
    assert 0.90 <= covered(metric, make, truth, 200) <= 0.99


@pytest.mark.slow
@pytest.mark.parametrize(("metric", "make", "truth"), CASES)
def test_intervals_cover_the_truth_as_often_as_they_say(metric, make, truth):
    assert 0.93 <= covered(metric, make, truth, 3000, seed=1) <= 0.975


def clustered(rng, groups=40, size=8):
    """Whole groups are right or wrong together."""
    right = np.repeat(rng.random(groups) < 0.8, size)
    return Outputs(np.zeros(groups * size, int), {"probability": np.where(right[:, None], [0.9, 0.1], [0.1, 0.9])}, group=np.repeat(np.arange(groups), size))


def test_rows_that_belong_together_are_drawn_together():
    outputs = clustered(np.random.default_rng(0))
    with_groups = interval(METRICS["accuracy"], outputs, QUICK)
    without = interval(METRICS["accuracy"], outputs._replace(group=None), QUICK)
    assert with_groups.method == "bootstrap of groups, 400 draws"
    assert without.method == "Wilson"
    assert (with_groups.high - with_groups.low) == pytest.approx(np.sqrt(8) * (without.high - without.low), rel=0.15)


def test_cluster_intervals_cover_and_plain_ones_would_not():
    both = np.zeros(2)
    for i in range(150):
        outputs = clustered(np.random.default_rng([2, i]))
        for which, kind in enumerate((outputs, outputs._replace(group=None))):
            estimate = interval(METRICS["accuracy"], kind, Sampling(resamples=300, seed=i))
            both[which] += estimate.low <= 0.8 <= estimate.high
    assert both[0] / 150 >= 0.88
    assert both[1] / 150 <= 0.70


def test_draws_are_a_function_of_the_seed_alone(monkeypatch):
    first = np.concatenate(list(draws(50, None, QUICK)))
    monkeypatch.setattr(module, "CHUNK", 50 * 7)
    second = np.concatenate(list(draws(50, None, QUICK)))
    np.testing.assert_array_equal(first, second)
    assert first.shape == (400, 50)
    assert (first.sum(axis=1) == 50).all()
    assert (np.concatenate(list(draws(50, None, QUICK._replace(seed=1)))) != first).any()


def test_huge_data_get_fewer_draws():
    assert number_of_draws(60_000, Sampling()) == 1000
    assert number_of_draws(10_000_000, Sampling()) == 200
    assert number_of_draws(10_000_000, Sampling(resamples=50)) == 50


def test_one_metric_alone_and_among_others_has_the_same_interval():
    outputs = binary(np.random.default_rng(3), 200)
    names = ("f1", "roc_auc", "log_loss")
    together = intervals([METRICS[n] for n in names], outputs, QUICK)
    assert all(together[n] == interval(METRICS[n], outputs, QUICK) for n in names)


def test_bootstrap_agrees_with_wilson_where_both_apply():
    outputs = binary(np.random.default_rng(4), 500)
    closed = interval(METRICS["accuracy"], outputs)
    drawn = interval(METRICS["accuracy"], outputs._replace(group=np.arange(500)))
    assert drawn.low == pytest.approx(closed.low, abs=0.006)
    assert drawn.high == pytest.approx(closed.high, abs=0.006)


def test_a_paired_difference_is_narrower_than_two_intervals_suggest():
    rng = np.random.default_rng(5)
    first = numbers(rng, 400)
    second = first._replace(arrays={"value": first.arrays["value"] + rng.normal(size=400) * 0.1})
    difference = paired([METRICS["rmse"]], first, second, QUICK)["rmse"]
    alone = interval(METRICS["rmse"], first, QUICK)
    assert difference.value == METRICS["rmse"].value(first) - METRICS["rmse"].value(second)
    assert difference.high - difference.low < 0.3 * (alone.high - alone.low)
    assert difference.method == "paired bootstrap of rows, 400 draws"


def test_paired_with_itself_has_no_spread_and_says_so():
    first = numbers(np.random.default_rng(6), 50)
    difference = paired([METRICS["rmse"]], first, first, QUICK)["rmse"]
    assert difference.value == 0
    assert np.isnan(difference.low)
    assert difference.note == "every draw gives the same value, so its spread is unknown"


def test_undefined_is_nan_with_a_note():
    outputs = Outputs(np.ones(20, int), {"probability": np.tile([0.3, 0.7], (20, 1))})
    estimate = interval(METRICS["roc_auc"], outputs, QUICK)
    assert np.isnan(estimate[:3]).all()
    assert estimate.note == "needs rows of every class and of another"


def test_a_class_too_rare_to_be_drawn_gives_no_interval():
    target = np.r_[1, np.zeros(30, int)]
    score = np.linspace(0.9, 0.1, 31)
    estimate = interval(METRICS["roc_auc"], Outputs(target, {"probability": np.stack([1 - score, score], axis=1)}), QUICK)
    assert estimate.value == 1.0
    assert np.isnan([estimate.low, estimate.high]).all()
    assert estimate.note == "too few rows of some class for an interval"


def test_bounds_correct_for_bias_and_hold_the_value():
    drawn = np.random.default_rng(7).normal(1.0, 1.0, 20_000)
    low, high, _ = bounds(1.0, drawn, 0.95)
    assert (low, high) == (pytest.approx(1 - 1.96, abs=0.05), pytest.approx(1 + 1.96, abs=0.05))
    low, high, _ = bounds(0.5, drawn, 0.95)  # draws lie half a spread above: the interval moves twice as far down
    assert (low, high) == (pytest.approx(0 - 1.96, abs=0.15), pytest.approx(0 + 1.96, abs=0.05))
    assert bounds(-9.0, drawn, 0.95)[0] == -9.0


def test_wilson_without_trials_is_unknown_and_never_leaves_the_unit_interval():
    assert np.isnan(wilson(0, 0, 0.95)).all()
    assert wilson(0, 5, 0.95)[0] == pytest.approx(0, abs=1e-12)
    assert 0.99 < wilson(500, 500, 0.95)[0] < wilson(500, 500, 0.95)[1] <= 1.0
