import numpy as np
import pytest

from thuja.metrics import METRICS, Outputs, intervals


def outputs(rank, **arrays):
    rank = np.array(rank)
    rows = len(rank)
    plain = {"rank": rank, "sampled": np.zeros(rows, int), "top": np.tile([1, 2], (rows, 1)), "catalogue": np.full(rows, 8), "popularity": np.ones(rows),
             "target_popularity": np.full(rows, 0.5)}
    return Outputs(np.array(["x"] * rows, object), plain | {name: np.array(array) for name, array in arrays.items()})


def value(name, found):
    return METRICS[name].value(found)


def test_hits_and_gains_by_hand():
    found = outputs([1, 2, 10, 11])
    assert value("hit_rate_10", found) == 0.75
    assert value("ndcg_10", found) == pytest.approx((1 + 1 / np.log2(3) + 1 / np.log2(11)) / 4)
    assert value("mrr", found) == pytest.approx((1 + 1 / 2 + 1 / 10 + 1 / 11) / 4)


def test_ndcg_is_that_of_scikit_learn():
    from sklearn.metrics import ndcg_score

    rng = np.random.default_rng(0)
    scores = rng.normal(size=(40, 30))
    target = rng.integers(30, size=40)
    truth = np.eye(30)[target]
    rank = (scores >= scores[np.arange(40), target][:, None]).sum(1)
    assert value("ndcg_10", outputs(rank)) == pytest.approx(ndcg_score(truth, scores, k=10))


def test_rows_without_negatives_do_not_count_among_them():
    found = outputs([1, 1, 1, 1], sampled=[0, 1, 3, 50])
    assert value("hit_rate_10_sampled", found) == pytest.approx(2 / 3)
    assert value("ndcg_10_sampled", found) == pytest.approx((1 + 1 / 2) / 3)
    assert METRICS["hit_rate_10_sampled"].proportion(found) == (2.0, 3.0)
    assert np.isnan(value("ndcg_10_sampled", outputs([1, 1])))


def test_coverage_and_popularity():
    found = outputs([1, 1, 1], top=[[1, 2], [2, 3], [0, 0]], popularity=[0.4, 0.2, 0.0], target_popularity=[0.1, 0.1, 0.1])
    assert value("coverage_10", found) == 3 / 8
    assert METRICS["coverage_10"].value(found, np.array([0, 1, 1])) == 2 / 8
    assert value("popularity_lift", found) == pytest.approx(2.0)
    assert np.isnan(value("popularity_lift", outputs([1], target_popularity=[0.0])))


def test_intervals_hold_the_value():
    rng = np.random.default_rng(0)
    found = outputs(rng.integers(1, 40, 300), sampled=rng.integers(1, 40, 300), top=rng.integers(1, 9, (300, 2)) * (rng.random((300, 1)) < 0.02))
    names = ("hit_rate_10", "ndcg_10", "mrr", "hit_rate_10_sampled", "ndcg_10_sampled", "coverage_10")
    for name, estimate in intervals([METRICS[n] for n in names], found).items():
        assert estimate.low <= estimate.value <= estimate.high, name
