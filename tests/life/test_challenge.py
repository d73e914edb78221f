"""Challenges: the better one wins, the worse and the broken one goes at once, and equals are not told apart by luck."""

import math

import numpy as np
import pytest

from thuja.life.challenge import ONE_CLASS, Minute, begun, gates, one_class, verdict
from thuja.life.plan import Challenge

PLAN = Challenge(step=60.0, fewest=200, most=5000)
GOOD, LAST = Minute(100, 0, 5.0), len(PLAN.canary) - 1


def lived(trial, minutes, champion=GOOD, challenger=GOOD):
    for _ in range(minutes):
        trial = trial.after_minute(PLAN, champion, challenger)
    return trial


def labelled(trial, gain, rows, seed=0, disagreement=0.2):
    rng = np.random.default_rng(seed)
    kinds = rng.choice([0, 1, 2], p=[1 - disagreement, (disagreement + gain) / 2, (disagreement - gain) / 2], size=rows)
    for part in np.array_split(kinds, max(1, rows // 100)):
        trial = trial.after_labels((part == 1).astype(float), (part == 2).astype(float))
    return trial


def test_shares_grow_step_by_step_while_nothing_is_wrong():
    trial = begun(PLAN).at_share(-1, 0.0)
    for place in range(len(PLAN.canary)):
        assert verdict(PLAN, trial, trial.since + 59, younger=True).verdict == "wait"
        assert verdict(PLAN, lived(trial, 3), trial.since + 60, younger=True).verdict == "next share"
        trial = trial.at_share(place, trial.since + 60)
    assert verdict(PLAN, trial, trial.since + 60, younger=True).verdict == "wait"  # at the last share, labels decide


@pytest.mark.parametrize(("gain", "younger", "expected"), [
    (0.06, False, "promote"), (0.06, True, "promote"), (-0.08, True, "roll back"), (0.0, False, "send back")])
def test_labels_decide_at_the_last_share(gain, younger, expected):
    trial = labelled(begun(PLAN).at_share(LAST, 0.0), gain, 5000, disagreement=0.1)
    said = verdict(PLAN, trial, 1e6, younger=younger)
    assert said.verdict == expected and said.words
    assert gates(PLAN, trial)["comparison"].passed == (gain > 0)


def test_a_younger_equal_is_taken_and_an_older_equal_is_not():
    plan = PLAN.model_copy(update={"margin": 0.05})
    trial = labelled(begun(plan).at_share(LAST, 0.0), 0.0, 3000, disagreement=0.1)
    assert verdict(plan, trial, 1e6, younger=True).words.startswith("younger, and not worse by 0.05")
    assert verdict(plan, trial, 1e6, younger=False).verdict == "wait"


def test_equals_are_hardly_ever_promoted_for_being_better():
    promoted = [verdict(PLAN, labelled(begun(PLAN).at_share(LAST, 0.0), 0.0, 2000, seed), 1e6, younger=False).verdict == "promote" for seed in range(100)]
    assert np.mean(promoted) <= 0.05


@pytest.mark.parametrize(("minute", "why"), [
    (Minute(100, 9, 5.0), "9 of 100 answers failed in a minute"),
    (Minute(100, 0, 12.0), "p99 of 12 ms, 2.4 times the champion's"),
])
def test_three_bad_minutes_in_a_row_end_a_canary(minute, why):
    trial = begun(PLAN).at_share(1, 0.0)
    assert verdict(PLAN, lived(trial, 2, challenger=minute), 30.0, younger=True).verdict == "wait"
    assert verdict(PLAN, lived(lived(trial, 2, challenger=minute), 1), 30.0, younger=True).verdict == "wait"
    assert verdict(PLAN, lived(trial, 3, challenger=minute), 30.0, younger=True) == ("roll back", why)
    assert verdict(PLAN, lived(begun(PLAN), 3, challenger=minute), 30.0, younger=True).verdict == "send back"
    both = lived(trial, 5, champion=Minute(100, 9, 12.0), challenger=minute)
    assert verdict(PLAN, both, 30.0, younger=True).verdict == "wait"  # what is bad for both is not the challenger's fault


def test_what_no_version_may_answer_ends_it_at_once():
    trial = begun(PLAN).at_share(0, 0.0).after_minute(PLAN, GOOD, Minute(1, 0, 5.0, broken="an answer that is not finite"))
    assert verdict(PLAN, trial, 1.0, younger=True) == ("roll back", "an answer that is not finite")
    many = ["a", "b"] * ONE_CLASS
    assert one_class(["a"] * ONE_CLASS, many) == f"'a' for {ONE_CLASS} answers in a row"
    assert not one_class(many, many) and not one_class(["a"] * ONE_CLASS, ["a"] * ONE_CLASS) and not one_class(["a"], many)


def test_silent_minutes_say_nothing():
    trial = lived(begun(PLAN), 10, challenger=Minute(3, 3, math.nan))
    assert trial == begun(PLAN) and gates(PLAN, trial)["latency"].found == "not measured"
