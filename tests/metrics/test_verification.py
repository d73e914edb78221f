import itertools

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score, roc_curve

from thuja.core.seeds import stream
from thuja.metrics import METRICS, Outputs, Sampling, intervals, paired, verification
from thuja.metrics.verification import pairs_of, ranks

NAMES = ("eer", "tar_far_1e2", "tar_far_1e3", "pair_roc_auc")


def made_up(people: int = 8, each: int = 6, spread: float = 0.9, seed: int = 0) -> Outputs:
    """People as random directions, pictures around them."""
    rng = stream(seed, "people")
    person = np.repeat(np.arange(people), each)
    vectors = rng.standard_normal((people, 10))[person] + spread * rng.standard_normal((people * each, 10))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    order = rng.permutation(len(person))
    person, vectors = person[order], vectors[order]
    return Outputs(np.array([f"p{i}" for i in person], object), {"embedding": vectors.astype(np.float32), "rank": ranks(vectors, person)})


def all_pairs(outputs: Outputs) -> tuple[np.ndarray, np.ndarray, list[tuple[int, int]]]:
    """Genuine and score of every pair, written the long way."""
    pairs = list(itertools.combinations(range(len(outputs.target)), 2))
    vectors = outputs.arrays["embedding"].astype(np.float64)
    return (np.array([outputs.target[i] == outputs.target[j] for i, j in pairs]), np.array([float(vectors[i] @ vectors[j]) for i, j in pairs]), pairs)


def test_the_area_and_the_curve_are_those_of_scikit_learn() -> None:
    outputs = made_up()
    genuine, score, _ = all_pairs(outputs)
    assert METRICS["pair_roc_auc"].value(outputs) == pytest.approx(roc_auc_score(genuine, score), abs=1e-9)
    false, true, _ = roc_curve(genuine, score, drop_intermediate=False)
    for name, rate in (("1e2", 0.01), ("1e3", 0.001)):
        assert METRICS[f"tar_far_{name}"].value(outputs) == pytest.approx(true[false <= rate].max(), abs=1e-9)
        least = METRICS[f"threshold_far_{name}"].value(outputs)
        assert ((score >= least) & ~genuine).sum() / (~genuine).sum() <= rate
        assert ((score >= least) & genuine).sum() / genuine.sum() == pytest.approx(METRICS[f"tar_far_{name}"].value(outputs))
    nearest = np.argmin(np.abs(false - (1 - true)))
    assert METRICS["eer"].value(outputs) == pytest.approx((false[nearest] + 1 - true[nearest]) / 2, abs=0.01)
    assert 0.02 < METRICS["eer"].value(outputs) < 0.4, "a case in which something is wrong"


def test_a_pair_weighs_the_product_of_its_rows() -> None:
    outputs = made_up(people=5, each=4)
    weight = stream(1, "weights").integers(0, 4, len(outputs.target)).astype(float)
    genuine, score, pairs = all_pairs(outputs)
    each = np.array([weight[i] * weight[j] for i, j in pairs])
    assert METRICS["pair_roc_auc"].value(outputs, weight) == pytest.approx(roc_auc_score(genuine, score, sample_weight=each), abs=1e-9)
    false, true, _ = roc_curve(genuine, score, sample_weight=each, drop_intermediate=False)
    assert METRICS["tar_far_1e2"].value(outputs, weight) == pytest.approx(true[false <= 0.01].max(), abs=1e-9)


@pytest.mark.parametrize("name", [*NAMES, "rank_1", "rank_5", "threshold_far_1e2"])
def test_many_weightings_at_once_are_those_one_by_one(name, monkeypatch) -> None:
    outputs = made_up()
    weights = stream(2, "weights").integers(0, 3, (40, len(outputs.target))).astype(float)
    prepared = METRICS[name].prepare(outputs)
    alone = [float(prepared(weight[None])[0]) for weight in weights]
    assert np.allclose(prepared(weights), alone, equal_nan=True)
    monkeypatch.setattr(verification, "HELD", 1)
    assert np.allclose(METRICS[name].prepare(outputs)(weights), alone, equal_nan=True)


def test_perfect_and_hopeless() -> None:
    perfect = Outputs(np.array(["a", "a", "b", "b"], object), {"embedding": np.array([[1, 0], [1, 0], [0, 1], [0, 1]], float), "rank": np.ones(4, int)})
    assert [METRICS[name].value(perfect) for name in NAMES] == [0, 1, 1, 1]
    constant = perfect._replace(arrays={"embedding": np.tile([[1.0, 0.0]], (4, 1)), "rank": ranks(np.tile([[1.0, 0.0]], (4, 1)), perfect.target)})
    assert [METRICS[name].value(constant) for name in NAMES] == [0.5, 0, 0, 0.5], "a network that answers the same to everything tells nobody apart"
    assert METRICS["rank_1"].value(constant) == 0


def test_undefined_where_nothing_can_be_compared() -> None:
    single = made_up(people=6, each=1)
    one = made_up(people=1, each=5)
    for name in NAMES:
        found = intervals([METRICS[name]], single)[name]
        assert np.isnan(found.value) and found.note == "no two pictures of one person, or no two people"
        assert np.isnan(METRICS[name].value(one))
    found = intervals([METRICS["rank_1"]], single)["rank_1"]
    assert np.isnan(found.value) and found.note == "nobody has a picture to be found by"


def test_ranks_are_those_of_people_not_of_pictures() -> None:
    vectors = np.array([[1, 0], [0.6, 0.8], [0.9, 0.436], [0.9, 0.436], [0, 1.0]])
    #  a's other picture is at 0.6; both of b's are at 0.9 and count once; c is at 0
    assert ranks(vectors, np.array(["a", "a", "b", "b", "c"])).tolist()[0] == 2
    assert ranks(vectors, np.array(["a", "a", "b", "b", "c"])).tolist()[2:] == [1, 1, 0], "c has no other picture to be found by"
    many = made_up(people=30, each=5, seed=4)
    whole = ranks(many.arrays["embedding"], many.target)
    assert np.array_equal(whole, ranks(many.arrays["embedding"], many.target, block=7))
    score = many.arrays["embedding"] @ many.arrays["embedding"].T
    np.fill_diagonal(score, -np.inf)
    for i in range(0, 150, 17):
        best = {name: score[i, many.target == name].max() for name in set(many.target)}
        assert whole[i] == 1 + sum(value > best[many.target[i]] for value in best.values())


def test_many_rows_are_sampled_and_the_sample_is_fixed(monkeypatch) -> None:
    outputs = made_up(people=40, each=8)
    exact = {name: METRICS[name].value(outputs) for name in NAMES}
    monkeypatch.setattr(verification, "MOST_PAIRS", 900)
    pairs, again = pairs_of(outputs), pairs_of(outputs)
    assert np.array_equal(pairs.first, again.first) and np.array_equal(pairs.second, again.second)
    assert int(pairs.genuine.sum()) == 900 and int((~pairs.genuine).sum()) == 900
    assert len({tuple(sorted(pair)) for pair in zip(pairs.first.tolist(), pairs.second.tolist(), strict=True)}) == 1800
    assert all((outputs.target[i] == outputs.target[j]) == g for i, j, g in zip(pairs.first, pairs.second, pairs.genuine, strict=True))
    assert METRICS["eer"].value(outputs) == pytest.approx(exact["eer"], abs=0.03)
    monkeypatch.setattr(verification, "MOST_PAIRS", 1200)
    assert int(pairs_of(outputs).genuine.sum()) == 40 * 28, "all genuine pairs where they are few"


def test_an_interval_over_whole_people_and_a_paired_difference() -> None:
    good, bad = made_up(people=20, seed=3, spread=0.5), made_up(people=20, seed=3, spread=1.2)
    assert np.array_equal(good.target, bad.target)
    good, bad = good._replace(group=good.target), bad._replace(group=bad.target)
    sampling = Sampling(resamples=200)
    found = intervals([METRICS["eer"]], good, sampling)["eer"]
    assert found.low <= found.value <= found.high and found.method == "bootstrap of groups, 200 draws"
    gap = paired([METRICS["eer"]], good, bad, sampling)["eer"]
    assert gap.high < 0, "the better one is better on the same people"
