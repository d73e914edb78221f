"""The policy: every reason to train, everything that forbids it, and the order between them."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from thuja.life.forecast import Forecast
from thuja.life.plan import YEAR, Harm, Plan, Renew
from thuja.life.policy import Known, decide

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
