"""Bets: they are fair while the claim holds, whatever the losses are, and the figures that are promised come out."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import beta

from thuja.life.sequential import GAINS, WEIGHTS, Comparison, Detector, log_growth, stakes, together, upper_bound

claims = st.floats(0.001, 0.999)


@given(claims)
def test_no_stake_can_lose_everything_and_every_bet_is_fair(claim):
    stake = stakes(claim)
    assert (stake > 0).all() and (1 + stake * (0 - claim) > 0).all()
    assert len(stake) == len(GAINS) == len(WEIGHTS)
    wealth_right, wealth_wrong = (np.exp(log_growth(np.array([x]), claim, stake)) for x in (0.0, 1.0))
    np.testing.assert_allclose((1 - claim) * wealth_right + claim * wealth_wrong, 1, rtol=1e-9)


@settings(max_examples=30)
@given(claims, st.lists(st.floats(0, 1), min_size=1, max_size=30), st.randoms())
def test_the_order_of_rows_does_not_matter_and_batches_add_up(claim, losses, random):
    mixed = list(losses)
    random.shuffle(mixed)
    one, other = Detector(claim).after(np.array(losses)), Detector(claim).after(np.array(mixed))
    np.testing.assert_allclose(one.log_statistics, other.log_statistics, rtol=1e-9, atol=1e-9)
    assert Detector(claim).after(np.array([])) == Detector(claim)


@pytest.mark.parametrize(("wrong", "rows"), [(0, 10), (3, 40), (150, 1000), (40, 40)])
def test_the_upper_bound_is_clopper_and_pearsons(wrong, rows):
    expected = 1.0 if wrong == rows else beta.ppf(0.9, wrong + 1, rows - wrong)
    assert upper_bound(wrong / rows, rows, 0.9) == pytest.approx(expected, abs=1e-9)
    assert upper_bound(0.3, 0) == 1.0
    assert upper_bound(0.3, 100, share=False) == pytest.approx(0.3 + math.sqrt(math.log(10) / 200))


def alarms(claim, rate, batches, threshold, *, seed, lives=100):
    """The batch of the first alarm of each life (batches + 1: none), rows drawn 100 at a time."""
    rng, found = np.random.default_rng(seed), []
    for _ in range(lives):
        detector = Detector(claim)
        for number in range(1, batches + 2):
            if detector.statistic >= threshold or number == batches + 1:
                break
            detector = detector.after((rng.random(100) < rate).astype(float))
        found.append(detector.batches if detector.statistic >= threshold else batches + 1)
    return np.array(found)


def test_alarms_come_late_when_nothing_is_wrong_and_soon_when_something_is():
    """At the claim itself, the worst that is still fine: one alarm in 100 batches on average at most. Five points worse: found within some ten batches."""
    calm = alarms(0.15, 0.15, 100, 100, seed=0)
    assert np.minimum(calm, 100).mean() > 80 and (calm <= 50).mean() < 0.3
    harm = alarms(0.156, 0.20, 100, 1000, seed=1)
    assert np.median(harm) <= 11 and harm.max() < 40


def test_several_streams_share_a_budget():
    assert together([]) == 0.0
    assert together([4.0, 0.0]) == 2.0


def test_a_comparison_rewards_the_better_one_only():
    rng = np.random.default_rng(0)
    wins = dict.fromkeys((0.0, 0.02), 0)
    for gain in wins:
        for _ in range(40):
            both, comparison = rng.random((10_000, 1)), Comparison()
            champion, challenger = (both[:, 0] < 0.05 + gain / 2).astype(float), (both[:, 0] > 0.95 + gain / 2).astype(float)
            for start in range(0, 10_000, 500):
                comparison = comparison.after(champion[start : start + 500], challenger[start : start + 500])
                if comparison.wealth >= 20:
                    wins[gain] += 1
                    break
    assert wins[0.0] <= 2 and wins[0.02] >= 36
    assert comparison.rows > 0 and comparison.mean == pytest.approx(0.02, abs=0.02)


def test_not_worse_by_a_margin():
    same = Comparison(margin=-0.02)
    losses = np.random.default_rng(0).integers(0, 2, 2000).astype(float)
    assert same.after(losses, losses).wealth > 20
    worse = np.clip(losses + (np.arange(2000) % 20 == 0), 0, 1)
    assert same.after(losses, worse).wealth < 1
