"""What to do after a look: nothing, train a challenger, or wait, each with its reason. A pure function of the plan and of what is known."""

import math
from typing import Literal, NamedTuple

from thuja.life.forecast import Forecast
from thuja.life.plan import Plan

Reason = Literal["alarm", "forecast", "calendar", "new rows", "nothing", "frozen", "cooling down", "challenge"]


class Known(NamedTuple):
    """What the decision rests on; times in seconds."""

    now: float
    trained: float
    """When the newest version was trained: since then the world has gone on."""
    alarm: bool
    """An alarm that no training has answered yet."""
    forecast: Forecast | None
    calendar: float
    """Windows between trainings as the ageing test would have them; inf: never."""
    new_rows: int
    """Labelled rows since the last training."""
    frozen: str
    """Why nothing may be trained; empty when it may."""
    challenged: bool
    """Whether a challenger is being tried already."""


class Decision(NamedTuple):
    """What is to be done. "Nothing" is one too, and is written down with its reason."""

    retrain: bool
    reason: Reason
    words: str
    due: float
    """When the calendar asks next; inf where it never does."""


def decide(plan: Plan, known: Known) -> Decision:
    """The first reason that holds, in the order of urgency; what forbids a training comes before all of them."""
    renew, window = plan.renew, plan.harm.window
    every = _rhythm(plan, known.calendar)
    due = known.trained + every
    age = known.now - known.trained
    if known.frozen:
        return Decision(False, "frozen", f"nothing is learned from what comes in: {known.frozen}", due)
    if known.challenged:
        return Decision(False, "challenge", "a challenger is being tried", due)
    if age < renew.cool_down:
        return Decision(False, "cooling down", f"trained {age / 86400:.1f} days ago; at least {renew.cool_down / 86400:.1f} lie between two trainings", due)
    if known.alarm and renew.on_alarm:
        return Decision(True, "alarm", "an alarm of harm has not been answered", due)
    early = known.forecast.quantiles[0] * window if known.forecast is not None and known.forecast.quantiles is not None else math.inf
    if renew.on_forecast and early <= renew.lead:
        return Decision(True, "forecast", f"one in ten such models ends within {early / 86400:.1f} days, and a new one takes {renew.lead / 86400:.1f}", due)
    if known.now >= due:
        return Decision(True, "calendar", f"{age / 86400:.1f} days since the last training; the calendar says {every / 86400:.1f}", due)
    if renew.on_new_rows is not None and known.new_rows >= renew.on_new_rows:
        return Decision(True, "new rows", f"{known.new_rows:,} labelled rows since the last training", due)
    return Decision(False, "nothing", "no reason to train", due)


def _rhythm(plan: Plan, found: float) -> float:
    """Seconds between trainings by the calendar."""
    match plan.renew.calendar:
        case "never":
            return math.inf
        case "auto":
            return found * plan.harm.window
        case seconds:
            return float(seconds)
