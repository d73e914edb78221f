"""The last day counts whole, in UTC, and people are warned a month before."""

import pytest
from pydantic import ValidationError

from thuja.life.ends import DAY, ended, ending, ends_at
from thuja.life.plan import Plan


def test_the_last_day_counts_whole():
    plan = Plan(ends="1970-03-01")
    last = ends_at(plan)
    assert last == 60 * DAY and not ended(plan, last - 1) and ended(plan, last)
    assert not ended(Plan(), 1e12)


def test_a_warning_from_thirty_days_before():
    plan = Plan(ends="1970-03-01")
    assert ending(plan, 29.9 * DAY) == "" == ending(Plan(), 0)
    assert ending(plan, 30 * DAY) == "it must not answer any more in 30.0 days, after 1970-03-01"
    assert ending(plan, 60 * DAY) == "it must not answer any more since 1970-03-01"


@pytest.mark.parametrize("ends", ["soon", "2027-13-01", "31.12.2027"])
def test_what_is_no_date_is_refused(ends):
    with pytest.raises(ValidationError):
        Plan(ends=ends)
