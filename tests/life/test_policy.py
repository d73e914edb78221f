"""The policy: every reason to train, everything that forbids it, and the order between them."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from thuja.life.forecast import Forecast
from thuja.life.ledger import Event
from thuja.life.plan import YEAR, Harm, Plan, Renew
from thuja.life.policy import Gain, Known, decide, fruitless, gained, rhythm, spell
from thuja.life.sequential import Comparison
from thuja.life.states import Standings, Version

DAY = 86400.0
QUIET = Known(now=30 * DAY, trained=0.0, alarm=False, forecast=None, calendar=math.inf, new_rows=0, frozen="", challenged=False)
SOON = Forecast("forecast", "", (0.5, 4.0, 9.0), 0.2, 2)
LATER = Forecast("forecast", "", (5.0, 9.0, 20.0), 0.01, 2)


@pytest.mark.parametrize(("known", "plan", "reason"), [
    (QUIET, Plan(), "nothing"),
    (QUIET._replace(alarm=True), Plan(), "alarm"),
    (QUIET._replace(alarm=True), Plan(renew=Renew(on_alarm=False)), "nothing"),
    (QUIET._replace(forecast=SOON), Plan(), "forecast"),
    (QUIET._replace(forecast=LATER), Plan(), "nothing"),
    (QUIET._replace(forecast=Forecast("hazard only", "", None, 0.3, 2)), Plan(), "nothing"),
    (QUIET._replace(calendar=29.0), Plan(), "calendar"),
    (QUIET._replace(calendar=31.0), Plan(), "nothing"),
    (QUIET._replace(calendar=31.0), Plan(renew=Renew(calendar=10 * DAY)), "calendar"),
    (QUIET._replace(calendar=1.0), Plan(renew=Renew(calendar="never")), "nothing"),
    (QUIET._replace(new_rows=500), Plan(renew=Renew(on_new_rows=500)), "new rows"),
    (QUIET._replace(alarm=True, frozen="temperature: stuck"), Plan(), "frozen"),
    (QUIET._replace(alarm=True, challenged=True), Plan(), "challenge"),
    (QUIET._replace(alarm=True, now=6 * DAY), Plan(), "cooling down"),
    (QUIET._replace(alarm=True, harm=0.19), Plan(), "nothing"),
    (QUIET._replace(alarm=True, harm=0.21), Plan(), "alarm"),
    (QUIET._replace(alarm=True, harm=0.21, gains=(Gain(10.0, 0.001),)), Plan(), "nothing"),
    (QUIET._replace(alarm=True, harm=0.41, gains=(Gain(10.0, 0.001),)), Plan(), "alarm"),
    (QUIET._replace(forecast=SOON, gains=(Gain(10.0, 0.001),)), Plan(), "forecast"),
    (QUIET._replace(forecast=SOON, gains=(Gain(10.0, 0.001),) * 3), Plan(), "nothing"),
    (QUIET._replace(calendar=29.0, gains=(Gain(29.0, -0.01),)), Plan(), "nothing"),
])
def test_reasons(known, plan, reason):
    found = decide(plan, known)
    assert found.reason == reason and found.words
    assert found.retrain == (reason in ("alarm", "forecast", "calendar", "new rows"))


@given(st.builds(QUIET._replace, now=st.floats(0, 1e9), alarm=st.booleans(), calendar=st.one_of(st.just(math.inf), st.floats(1, 400)),
                 frozen=st.sampled_from(["", "broken"]), challenged=st.booleans(), new_rows=st.integers(0, 10**6)))
def test_nothing_is_trained_while_something_is_broken_or_too_soon(known):
    found = decide(Plan(), known)
    if known.frozen or known.challenged or known.now < Plan().renew.cool_down:
        assert not found.retrain


def test_the_budget_becomes_a_threshold():
    assert Plan().threshold == pytest.approx(365.25)
    assert Plan(harm=Harm(window=3600.0, false_alarms_a_year=2)).threshold == pytest.approx(YEAR / 3600 / 2)
    assert Plan(harm=Harm(window=YEAR)).threshold == 2


@pytest.mark.parametrize("wrong", [{"alone": ["replace"]}, {"harm": {"margin": 0}}, {"tell": [{"kind": "pigeon"}]}, {"audit": {"per_window": -1}},
                                   {"rhythm": 1}])
def test_a_plan_that_makes_no_sense_is_refused(wrong):
    with pytest.raises(ValidationError):
        Plan.model_validate(wrong)


def test_the_rhythm_follows_what_trainings_have_gained():
    assert rhythm(10.0, 0.2, ()) == 10 and rhythm(math.inf, 0.2, ()) == math.inf
    slope = 2 * 0.2 / 10**2  # what a rhythm of 10 promises, a window
    assert rhythm(10.0, 0.2, [Gain(10.0, 10 * slope)] * 3) == pytest.approx(10)
    assert rhythm(10.0, 0.2, [Gain(10.0, 10 * slope * 15)] * 40) == pytest.approx(10 / 15**0.5, rel=0.05)
    assert rhythm(10.0, 0.2, [Gain(10.0, -1.0), Gain(20.0, 0.0)]) == 40  # nothing was gained: it doubles with each
    assert rhythm(math.inf, 0.2, [Gain(8.0, 0.0)]) == math.inf and rhythm(math.inf, 0.02, [Gain(8.0, 0.04)]) == pytest.approx(8**0.5)
    assert rhythm(10.0, 0.2, [Gain(1.0, 1e9)]) == 1


@given(st.one_of(st.just(math.inf), st.floats(1, 400)), st.floats(0.01, 5), st.lists(st.builds(Gain, st.floats(1, 300), st.floats(-1, 1)), max_size=8))
def test_a_rhythm_is_never_shorter_than_a_window_and_a_dear_training_never_makes_it_shorter(ageing, cost, gains):
    assert rhythm(ageing, cost, gains) >= 1
    assert 0 <= fruitless(cost, gains) <= len(gains)


def test_a_spell_of_harm_is_counted_from_where_it_began():
    assert spell([0.1, 0.1, 0.1], 0.2) == 0
    assert spell([0.1] * 50 + [0.5, math.nan, 0.4], 0.2) == pytest.approx(0.5)
    assert spell([0.9, 0.0, 0.0, 0.0, 0.0], 0.2) == 0


def test_gains_are_read_from_the_comparisons_in_the_ledger():
    better = Comparison().after(np.array([1.0, 1.0, 0.0, 0.0]), np.array([0.0, 1.0, 0.0, 0.0]))
    versions = {name: Version(name, "", "RETIRING", 0.0, 0.0, facts) for name, facts in
                {"1": {"trained": 0.0}, "2": {"trained": 20 * DAY, "parent": "1"}, "3": {"trained": 30 * DAY, "parent": "2"}, "4": {}}.items()}
    events = [Event(place, 0.0, "comparison", name, {"trial": {"better": bet.plain()}}, (), "policy", "", "")
              for place, (name, bet) in enumerate([("2", Comparison()), ("2", better), ("3", Comparison()), ("4", better)], 1)]
    assert gained(events, Standings(versions), 2 * DAY) == (Gain(10.0, 0.25),)
