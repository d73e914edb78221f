"""The hard end of a deployment: a licence, a consent or a law that runs out on a date. After it nothing may answer, however well it does."""

import datetime
import math

from thuja.life.plan import Plan

WARNED = 30
"""Days before the end from which on it is told of."""
DAY = 86400.0


def ends_at(plan: Plan) -> float:
    """The first second in which nothing may answer any more: that after the last day, in UTC; inf where there is no end.

    >>> ends_at(Plan(ends="1970-01-02")), ends_at(Plan())
    (172800.0, inf)
    """
    if not plan.ends:
        return math.inf
    last = datetime.datetime.combine(datetime.date.fromisoformat(plan.ends), datetime.time(), datetime.UTC)
    return last.timestamp() + DAY


def ended(plan: Plan, now: float) -> bool:
    """Whether the deployment must not answer any more."""
    return now >= ends_at(plan)


def ending(plan: Plan, now: float) -> str:
    """What people are to be warned of, from WARNED days before the end; empty before.

    >>> ending(Plan(ends="1970-01-02"), 0.5 * 86400), ending(Plan(ends="1970-01-02"), 3 * 86400), ending(Plan(ends="1971-01-01"), 0)
    ('it must not answer any more in 1.5 days, after 1970-01-02', 'it must not answer any more since 1970-01-02', '')
    """
    left = ends_at(plan) - now
    if left <= 0:
        return f"it must not answer any more since {plan.ends}"
    return f"it must not answer any more in {left / DAY:.1f} days, after {plan.ends}" if left <= WARNED * DAY else ""
