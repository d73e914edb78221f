"""What is said of the rest of a life: a date where one can be given, a rate or nothing where not, and nothing that the data do not carry."""

import json
import math

import numpy as np
import pytest

from thuja.life.forecast import prior, updated
from thuja.life.lifetime import Life
from thuja.life.path import Seen

NAN = math.nan
WEAR = [Life(length, True) for length in (18, 20, 21, 23, 24, 25, 26, 28, 30, 33)]


def seen(loss, rows=400, floor=0.2):
    loss = np.asarray(loss, float)
    return Seen(loss, np.where(np.isnan(loss), 0, rows), floor)


def test_the_prior_says_when_similar_models_ended():
    found = prior(WEAR, 0)
    assert (found.state, found.tier) == ("forecast", 0) and found.quantiles == (18, 24, 30)
    later = prior(WEAR, 22)
    assert later.quantiles[1] < found.quantiles[1] and later.quantiles[0] >= 1
    assert found.next_window < 0.01 < later.next_window
    assert json.loads(json.dumps(found.plain(), allow_nan=False))["quantiles"] == [18, 24, 30]


@pytest.mark.parametrize(("lives", "state"), [
    (WEAR[:4], "abstain"),
    ([Life(50, False)] * 10, "no end in sight"),
    ([Life(50, False)] * 10 + [Life(5, True)] * 2, "hazard only"),
    ([Life(2000, False)] * 30 + [Life(1000, True)] * 3, "no end in sight"),
])
def test_no_date_without_grounds(lives, state):
    found = prior(lives, 0)
    assert found.state == state and found.quantiles is None and found.reason
    assert updated(lives, 20, seen([0.1] * 20)).state == state
    json.dumps(found.plain(), allow_nan=False)


def test_few_audited_windows_leave_the_prior_as_it_is():
    assert updated(WEAR, 3, seen([0.1, 0.11, 0.1])) == prior(WEAR, 3)
    assert updated(WEAR, 3, seen([NAN] * 20 + [0.1])) == prior(WEAR, 3)


def path(slope, windows, seed, rows=400):
    rng = np.random.default_rng(seed)
    return rng.binomial(rows, np.clip(0.1 + slope * np.arange(windows), 0, 1)) / rows


def test_a_model_that_falls_fast_ends_sooner_than_one_that_stands():
    falling = [updated(WEAR, 10, seen(path(0.008, 10, seed))).quantiles[1] for seed in range(10)]
    standing = [updated(WEAR, 10, seen(path(0.0, 10, seed))).quantiles[1] for seed in range(10)]
    assert np.median(falling) < np.median(standing) - 1


def test_sudden_ends_get_a_rate_and_no_date():
    rng = np.random.default_rng(0)
    lives = [Life(float(length), True) for length in np.ceil(rng.exponential(40, 24))]
    sudden = np.zeros((6, 4))
    sudden[1, 0] = 1.0
    found = updated(lives, 30, seen(path(0.0, 30, 1)), ways=sudden)
    assert found.state == "hazard only" and found.quantiles is None and 0.005 < found.next_window < 0.06 and "without warning" in found.reason


def test_a_forecast_is_the_same_every_time():
    assert updated(WEAR, 10, seen(path(0.008, 10, 0))) == updated(WEAR, 10, seen(path(0.008, 10, 0)))


def test_a_model_that_has_outlived_all_others_is_said_to_have():
    lives = [Life(length, True) for length in (8.0, 9.0, 10.0, 10.5, 11.0, 12.0, 12.5, 13.0)]
    assert prior(lives, 10.0).state == "forecast"
    old = prior(lives, 40.0)
    assert (old.state, old.quantiles) == ("abstain", None)
    assert old.reason == "it has outlived all 8 similar models, the oldest of 13 windows"
