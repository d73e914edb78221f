"""What to do after a look: nothing, train a challenger, or wait, each with its reason. A pure function of the plan and of what is known.

A training has a price (`renew.cost`), whatever asks for it. The calendar begins with what the ageing test found and then follows what trainings have gained:
where a model loses s a window by its age, a training every sqrt(2 cost / s) windows costs least. An alarm is answered once the harm has cost as much as a
training does, so that trainings never cost more than the harm that they answer. Each training in a row that gained less than its price doubles what an alarm
has to show, and how long a forecast has to wait.

Source: the square-root rule: Harris 1913, "How many parts to make at once". Waiting until as much is lost as the remedy costs: Karlin, Manasse, Rudolph and
Sleator 1988, "Competitive snoopy caching" (the ski-rental rule). Measured in benchmarks/life/regret.py.
"""

import math
from collections.abc import Sequence
from typing import Literal, NamedTuple

from thuja.life.forecast import Forecast
from thuja.life.ledger import Event
from thuja.life.plan import Plan
from thuja.life.sequential import Comparison
from thuja.life.states import Standings

Reason = Literal["alarm", "forecast", "calendar", "new rows", "nothing", "frozen", "cooling down", "challenge"]


class Gain(NamedTuple):
    """What a training has gained, as rows have shown that the old and the new model both answered."""

    age: float
    """Windows between the two trainings."""
    loss: float
    """The old model's mean loss less the new one's."""


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
    harm: float = math.inf
    """What the present spell of harm has cost so far, in windows of answers that are all wrong (`spell`); inf: it has not been counted."""
    gains: tuple[Gain, ...] = ()
    """Of the trainings so far, the oldest first."""


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
    every = _rhythm(plan, known)
    due = known.trained + every
    age = known.now - known.trained
    if known.frozen:
        return Decision(False, "frozen", f"nothing is learned from what comes in: {known.frozen}", due)
    if known.challenged:
        return Decision(False, "challenge", "a challenger is being tried", due)
    if age < renew.cool_down:
        return Decision(False, "cooling down", f"trained {age / 86400:.1f} days ago; at least {renew.cool_down / 86400:.1f} lie between two trainings", due)
    patience = 2.0 ** min(fruitless(renew.cost, known.gains), 60)
    enough = renew.cost * patience
    if known.alarm and renew.on_alarm and known.harm >= enough:
        return Decision(True, "alarm", "an alarm of harm has not been answered", due)
    early = known.forecast.quantiles[0] * window if known.forecast is not None and known.forecast.quantiles is not None else math.inf
    if renew.on_forecast and early <= renew.lead and age >= renew.cool_down * patience:
        return Decision(True, "forecast", f"one in ten such models ends within {early / 86400:.1f} days, and a new one takes {renew.lead / 86400:.1f}", due)
    if known.now >= due:
        return Decision(True, "calendar", f"{age / 86400:.1f} days since the last training; the calendar says {every / 86400:.1f}", due)
    if renew.on_new_rows is not None and known.new_rows >= renew.on_new_rows:
        return Decision(True, "new rows", f"{known.new_rows:,} labelled rows since the last training", due)
    if known.alarm and renew.on_alarm:
        return Decision(False, "nothing", f"an alarm waits until the harm has cost as much as a training: {known.harm:.2f} of {enough:.2f} windows", due)
    return Decision(False, "nothing", "no reason to train", due)


def rhythm(ageing: float, cost: float, gains: Sequence[Gain]) -> float:
    """Windows between trainings that cost least, as far as is known: `ageing` (what the ageing test found; inf: never) counts as one training that gained what
    such a rhythm promises; each real one is added. A rhythm at most doubles with each training, as it does where nothing was gained in all."""
    every = ageing
    age, total = (ageing, 2 * cost / ageing) if math.isfinite(ageing) else (0.0, 0.0)
    for gain in gains:
        age, total = age + gain.age, total + gain.loss
        best = math.sqrt(2 * cost * age / total) if total > 0 else math.inf
        longest = 2 * max(every, gain.age)
        every = max(1.0, min(best, longest))
    return every


def fruitless(cost: float, gains: Sequence[Gain]) -> int:
    """How many of the last trainings in a row have not been worth their price: the gain of each, had it lasted as long as the model before it served."""
    count = 0
    while count < len(gains) and gains[-1 - count].loss * gains[-1 - count].age < cost:
        count += 1
    return count


def spell(losses: Sequence[float], claim: float) -> float:
    """What the present spell of harm has cost: the largest sum of the losses above `claim` from some window on until now. NaN windows are unknown."""
    total = 0.0
    for loss in losses:
        total = max(0.0, total + (0.0 if math.isnan(loss) else loss - claim))
    return total


def gained(events: Sequence[Event], now: Standings, window: float) -> tuple[Gain, ...]:
    """What each training has gained against the version that it was made to follow, as far as the two have been compared."""
    last = {event.version: event for event in events if event.kind == "comparison"}
    found: list[Gain] = []
    for name, event in last.items():
        version, parent = now.versions[name], now.versions.get(str(now.versions[name].facts.get("parent", "")))
        better = Comparison.parse(event.body["trial"]["better"])
        if parent is not None and better.rows:
            apart = float(version.facts.get("trained", version.born)) - float(parent.facts.get("trained", parent.born))
            found.append(Gain(max(1.0, apart / window), better.mean))
    return tuple(found)


def _rhythm(plan: Plan, known: Known) -> float:
    """Seconds between trainings by the calendar."""
    match plan.renew.calendar:
        case "never":
            return math.inf
        case "auto":
            return rhythm(known.calendar, plan.renew.cost, known.gains) * plan.harm.window
        case seconds:
            return float(seconds)
