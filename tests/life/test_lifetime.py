"""Lifetimes: ends are found where they are, and the estimates equal what they are defined as."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from thuja.life.lifetime import Life, Weibull, first_end, survival, weibull

NAN = math.nan


@pytest.mark.parametrize(("values", "life"), [
    ([9, 9, 9], Life(3, False)),
    ([9, 1, 9, 1, 1, 9, 1, 1, 1, 9], Life(9, True)),
    ([1, 1, 1], Life(3, True)),
    ([1, 1, NAN, 1, 9], Life(4, True)),
    ([9, 9, NAN, NAN], Life(2, False)),
    ([], Life(0, False)),
])
def test_an_end_is_three_bad_windows_in_a_row(values, life):
    assert first_end(np.array(values, float), 5.0) == life
    assert first_end(-np.array(values, float), -5.0, higher_is_better=False) == life


def test_kaplan_and_meiers_staircase_by_hand():
    """Six lives; 3 and 7 are censored. After 2: 5/6; after 5: times 3/4; after 8: times 1/2... of those at risk."""
    lives = [Life(2, True), Life(3, False), Life(5, True), Life(7, False), Life(8, True), Life(9, False)]
    found = survival(lives)
    assert found.times.tolist() == [2, 5, 8]
    np.testing.assert_allclose(found.share, [5 / 6, 5 / 6 * 3 / 4, 5 / 6 * 3 / 4 / 2])
    assert [found.beyond(t) for t in (0, 1.9, 2, 4.9)] == [1, 1, 5 / 6, 5 / 6]
    assert math.isnan(found.beyond(9.5))
    assert found.quantile(0.5) == 8 and found.quantile(0.9) == math.inf
    assert found.quantile(0.5, given=5) == 8 and found.quantile(0.1) == 2
    assert ((found.low <= found.share) & (found.share <= found.high)).all()


@given(st.lists(st.floats(0.5, 50), min_size=1, max_size=40))
def test_without_censoring_it_is_the_share_that_lasted_longer(lengths):
    found = survival([Life(length, True) for length in lengths])
    for time in found.times:
        assert found.beyond(float(time)) == pytest.approx(np.mean(np.array(lengths) > time), abs=1e-9)


def test_an_interval_holds_the_truth_about_as_often_as_it_says():
    rng, held = np.random.default_rng(0), []
    for _ in range(300):
        true, seen = rng.weibull(1.5, 60) * 10, rng.uniform(2, 25, 60)
        found = survival([Life(min(a, b), a <= b) for a, b in zip(true, seen, strict=True)], level=0.9)
        place = np.searchsorted(found.times, 8.0, side="right") - 1
        held.append(found.low[place] <= math.exp(-(0.8**1.5)) <= found.high[place])
    assert 0.85 <= np.mean(held) <= 0.95


def test_a_weibull_is_found_again_and_is_not_sure_of_itself_from_three_lives():
    rng = np.random.default_rng(0)
    true, seen = rng.weibull(2.0, 4000) * 12, rng.uniform(4, 30, 4000)
    found = weibull([Life(min(a, b), a <= b) for a, b in zip(true, seen, strict=True)])
    assert found is not None
    assert found.shape == pytest.approx(2.0, abs=0.1) and found.scale == pytest.approx(12, abs=0.5)
    few = weibull([Life(10, True), Life(10.1, True), Life(9.9, True)])
    assert few is not None and few.shape < 6  # three equal lives are no law
    assert weibull([Life(3, True), Life(4, True), Life(5, False)]) is None


def test_what_is_left_is_counted_from_now():
    constant = Weibull(1.0, 10.0)
    assert constant.quantile(0.5, given=30) - 30 == pytest.approx(constant.quantile(0.5))  # no memory
    wear = Weibull(3.0, 10.0)
    assert wear.quantile(0.5, given=9) - 9 < wear.quantile(0.5)
    assert wear.beyond(wear.quantile(0.25)) == pytest.approx(0.75)
