"""What is left of a life: the prior where a path says nothing, sooner where it rises, and how similar models went to their end."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from thuja.life.ageing import Cut, went
from thuja.life.lifetime import Life
from thuja.life.path import POINTS, SHAPES, WANDERS, Seen, posterior, ways_of

HORIZON = 400
LIVES = [Life(float(length), True) for length in (12, 16, 20, 24, 28, 32, 38, 44, 52, 64)] + [Life(80.0, False)] * 2


def walk(rise, windows, seed=0, rows=200, start=0.1, **more):
    """Audited losses whose truth rises by so much a window."""
    rng = np.random.default_rng(seed)
    loss = rng.binomial(rows, np.clip(start + rise * np.arange(1, windows + 1), 0, 1)) / rows
    return Seen(loss, np.full(windows, rows), start + 0.05, start, 5000)._replace(**more)


def test_a_path_of_no_rows_to_speak_of_leaves_the_prior():
    nothing = posterior(LIVES, 10, walk(0.0, 10)._replace(rows=np.full(10, 1e-6)), HORIZON)
    other = posterior(LIVES, 10, walk(0.02, 10)._replace(rows=np.full(10, 1e-6)), HORIZON)
    assert nothing.chance == pytest.approx(other.chance, abs=0.02) and nothing.chance.sum() == pytest.approx(1)
    alive = [life for life in LIVES if life.length > 10]
    assert nothing.quantile(0.5) == pytest.approx(np.median([life.length for life in alive]) - 10, rel=0.35)


def test_the_steeper_the_sooner_and_about_when_the_way_is_over():
    """From 0.1 to 0.15 at 0.0025 a window takes 20 windows, and two more bad ones make an end; twelve have been seen."""
    middles = [np.median([posterior(LIVES, 12, walk(rise, 12, seed, rows=2000), HORIZON).quantile(0.5) for seed in range(8)])
               for rise in (0.0, 0.0015, 0.0025, 0.004)]
    assert middles == sorted(middles, reverse=True) and 5 <= middles[2] <= 0.75 * middles[0] and middles[0] > 1.5 * middles[3]


def test_two_bad_windows_make_the_third_likely():
    bad = walk(0.0, 20)
    loss = bad.loss.copy()
    loss[-2:] = 0.4
    assert posterior(LIVES, 20, bad._replace(loss=loss), HORIZON).chance[0] > 3 * posterior(LIVES, 20, bad, HORIZON).chance[0]


def steady(rng, windows, shape):
    """A model that ended: its measured windows up to the end, on a way of this shape (0: a jump)."""
    share = np.arange(1, windows + 8) / (windows - 2.5)
    true = 0.1 + 0.05 * (np.where(share > 1, 1.6, 0.0) if shape == 0 else share**shape)
    return Cut(0.0, np.concatenate([[0.1], rng.binomial(2000, np.minimum(true, 1)) / 2000]))


@pytest.mark.parametrize("shape", [0, 1.0])
def test_how_models_end_is_learned_from_those_that_have(shape):
    rng = np.random.default_rng(3)
    cuts = [steady(rng, int(rng.integers(20, 60)), shape) for _ in range(12)]
    paths = went(cuts, 0.05)
    assert len(paths) >= 10
    ways = ways_of(paths)
    assert ways.shape == (len(WANDERS), len(SHAPES)) and ways.sum() == pytest.approx(1) and (ways > 0).all()
    assert (ways[:, 0].sum() > 0.6) == (shape == 0) and ways[:3].sum() > 0.5  # little wander
    assert ways_of([]) == pytest.approx(ways_of([walk(0.0, 4)]), abs=0.2)


def test_a_season_that_others_had_makes_a_rise_less_alarming():
    seasons = np.zeros((len(WANDERS), len(SHAPES)))
    seasons[-1] = 1 / len(SHAPES)
    wear = np.zeros_like(seasons)
    wear[0, 2] = 1.0
    rising = walk(0.003, 12, 1)
    assert posterior(LIVES, 12, rising, HORIZON, seasons).quantile(0.5) > 1.3 * posterior(LIVES, 12, rising, HORIZON, wear).quantile(0.5)


def test_ways_of_another_kind_are_not_used():
    assert posterior(LIVES, 12, walk(0.0, 12), HORIZON, np.ones((2, 2))).chance == pytest.approx(posterior(LIVES, 12, walk(0.0, 12), HORIZON).chance)


@settings(max_examples=60, deadline=None)
@given(age=st.integers(6, 400), seed=st.integers(0, 9), gaps=st.floats(0, 0.9), start=st.sampled_from([math.nan, 0.0, 0.01, 0.3, 0.99]),
       floor=st.floats(0.001, 1.2), ended=st.integers(0, 12), level=st.floats(0, 1))
def test_whatever_comes_it_is_a_distribution(age, seed, gaps, start, floor, ended, level):
    rng = np.random.default_rng(seed)
    loss = np.where(rng.random(age) < gaps, math.nan, rng.binomial(50, level, age) / 50)
    loss[-1] = level
    seen = Seen(loss, np.where(np.isnan(loss), 0, 50), floor, start, 0 if math.isnan(start) else 500)
    lives = [Life(float(rng.integers(1, 200)), place < ended) for place in range(12)]
    found = posterior(lives, age, seen, HORIZON)
    assert np.isfinite(found.chance).all() and (found.chance >= 0).all() and found.chance.sum() == pytest.approx(1)
    low, middle, high = (found.quantile(part) for part in (0.1, 0.5, 0.9))
    assert 0 <= low <= middle <= high


def test_long_paths_are_averaged():
    from thuja.life.path import _points

    seen = walk(0.0001, 390)
    times, loss, rows = _points(390, seen)
    assert len(times) <= POINTS and rows.sum() == 390 * 200 and np.average(loss, weights=rows) == pytest.approx(seen.loss.mean())
    assert times[0] >= 1 and times[-1] <= 390
