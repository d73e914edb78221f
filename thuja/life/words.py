"""The board in plain words: the same facts for the terminal page and for the dashboard, section by section."""

from collections.abc import Callable
from typing import NamedTuple

from thuja.life.board import Ahead, Board, Tried
from thuja.life.fault import duration
from thuja.life.story import percent, when

PLANNING = "A planning estimate: how models like this one have ended, moved by what has been audited of this one."
"""What every forecast is called until a fleet of lives has shown that it beats its prior."""


class Fact(NamedTuple):
    """One line: what it is about, and what is so."""

    name: str
    words: str


class Section(NamedTuple):
    """Facts that belong together."""

    key: str
    title: str
    facts: tuple[Fact, ...]


def sections(board: Board) -> list[Section]:
    """Everything but the history, in the order in which people ask."""
    made = [Section("vital", "Vital signs", _vital(board)), Section("alarms", "Alarms", _alarms(board)), Section("ahead", "What is left", ahead(board.ahead)),
            Section("challenge", "Challenge", () if board.challenge is None else _challenge(board.challenge)), Section("labels", "Labels", _labels(board)),
            Section("moved", "What has moved", _moved(board)), Section("calendar", "Calendar", _calendar(board))]
    return [section for section in made if section.facts]


def loss(value: float | None) -> str:
    """A loss for people: 0 is right, 1 wholly wrong."""
    return "unknown" if value is None else f"{value:.3f}"


def odds(wealth: float) -> str:
    """Evidence as the odds of a fair bet.

    >>> odds(0.478), odds(57.3), odds(1e9)
    ('0.48 to 1', '57 to 1', 'over 1,000,000 to 1')
    """
    return "over 1,000,000 to 1" if wealth > 1e6 else f"{wealth:,.0f} to 1" if wealth >= 10 else f"{wealth:.2g} to 1"


def _vital(board: Board) -> tuple[Fact, ...]:
    vital, window = board.vital, board.vital.window
    if not vital.champion:
        return (Fact("Answers", "nobody" + (f"; version {vital.previous} can be gone back to" if vital.previous else "")),)
    back = f"; version {vital.previous} can be gone back to" if vital.previous else ""
    facts = [Fact("Answers", f"version {vital.champion} ({vital.standing}) since {when(vital.since or 0.0)}{back}")]
    if window is not None:
        refused = f", {vital.refusals:,} refused" if vital.refusals else ", none refused"
        facts.append(Fact("Requests", f"{window.requests:,} in the window until {when(window.end)}{refused}"))
    none = "no label in the last window" if board.labels.counted else "no label counts yet"
    audited = none if window is None or window.loss is None else f"{loss(window.loss)} on {window.labels:,} labels"
    claim = "" if vital.reference is None else f"; {loss(vital.reference)} before service ({vital.rows:,} rows), up to {loss(vital.claim)} is chance"
    facts.append(Fact("Loss, audited", audited + claim))
    if window is not None and window.estimated is not None:
        facts.append(Fact("Without labels", f"{loss(window.estimated)}, shown because {vital.estimate_why}"))
    else:
        facts.append(Fact("Without labels", f"not shown: {vital.estimate_why}"))
    facts.append(Fact("Faults", "; ".join(vital.faults) if vital.faults else "none in the last window" if window is not None else "nobody has looked yet"))
    facts.append(Fact("Learning", f"stopped: {vital.frozen}" if vital.frozen else "allowed"))
    if board.training is not None:
        facts.append(Fact("Training", f"on since {when(board.training)}"))
    return tuple(facts)


def _alarms(board: Board) -> tuple[Fact, ...]:
    alarms = board.alarms
    if not alarms.threshold:
        return ()
    budget = f"{number(alarms.a_year)} false a year at most, all streams together"
    allowed = alarms.a_year * alarms.years
    spent = f"{alarms.raised} in the last year, {alarms.ever} in {alarms.years:.1f} years of service, for which the budget allows {allowed:.1f} false ones"
    facts = [Fact("Budget", budget), Fact("Raised", spent), Fact("Statistic", f"{alarms.statistic:,.3g}; an alarm is raised at {alarms.threshold:,.4g}")]
    if alarms.last is not None:
        facts.append(Fact("Last alarm", f"{when(alarms.last)}, {'not answered by a training yet' if alarms.unanswered else 'answered by a training'}"))
    return tuple(facts)


def ahead(found: Ahead) -> tuple[Fact, ...]:
    """What is said of the rest of the champion's life."""
    facts = [Fact("State", found.state)]
    if found.days is not None:
        facts.append(Fact("Ends", "; ".join(f"{share} within {_days(days)}" for share, days in zip(("1 in 10", "half", "9 in 10"), found.days, strict=True))))
    if found.next_window is not None:
        facts.append(Fact("Next window", f"{percent(found.next_window)} chance of ending in it"))
    facts.append(Fact("Why", found.reason))
    facts.append(Fact("Evidence", f"tier {found.tier} of 3: {found.evidence}"))
    return (*facts, Fact("Note", PLANNING))


def _days(days: float | None) -> str:
    return "a time beyond what is looked at" if days is None else duration(days * 86400)


def _challenge(tried: Tried) -> tuple[Fact, ...]:
    steps = ", ".join(percent(share) for share in tried.shares)
    share = f"{percent(tried.share)} of the requests (steps: {steps})" if tried.standing == "CANARY" else "in the shade: it answers, and nobody sees it"
    by = "" if tried.better_by is None else f", better by {tried.better_by:+.4f} on average"
    facts = [Fact("Challenger", f"version {tried.version} ({tried.standing}) since {when(tried.since)}"), Fact("Share", share),
             Fact("Better", f"{odds(tried.better)} on {tried.rows:,} labelled pairs{by}; {odds(tried.needed)} is needed"),
             Fact("Not worse", f"{odds(tried.not_worse)}, which is enough for one that is younger"), Fact("Worse", odds(tried.worse))]
    slower = "" if tried.slower is None else f"; its p99 is {tried.slower:.2f} times the champion's"
    facts.append(Fact("Minutes", f"{tried.failures:,} of {tried.answers:,} answers failed; {tried.bad_minutes} bad minutes in a row{slower}"))
    facts.append(Fact("Now", f"{tried.words}{'; it waits for a person' if tried.waits else ''}"))
    return tuple(facts)


def _labels(board: Board) -> tuple[Fact, ...]:
    labels = board.labels
    asks = "the plan keeps no rows to ask about (record.inputs: full would)" if labels.waiting is None else f"{labels.waiting:,} questions wait for a person"
    facts = [Fact("Audit queue", asks), Fact("Counted", f"{labels.window:,} in the last window, {labels.counted:,} ever")]
    odd = [f"{count:,} {name}" for name, count in (("about other or unknown answers", labels.unknown), ("repeated", labels.repeated),
                                                    ("contradicting earlier ones", labels.contradicted), ("before their answer", labels.early)) if count]
    if odd:
        facts.append(Fact("Not counted", ", ".join(odd)))
    if labels.delay is not None and labels.slow is not None:
        facts.append(Fact("Delay", f"half come within {duration(labels.delay)}, 9 in 10 within {duration(labels.slow)}"))
    return tuple(facts)


def _moved(board: Board) -> tuple[Fact, ...]:
    if not board.moved:
        return ()
    facts = [Fact(name, f"distance {distance:.2f}; chance alone makes {noise:.2f}") for name, distance, noise in board.moved]
    return (Fact("Note", f"An explanation of what happened on {when(board.moved_at or 0.0)}, never an alarm."), *facts)


def _calendar(board: Board) -> tuple[Fact, ...]:
    facts = [Fact("Decision", board.decision)] if board.decision else []
    facts.append(Fact("Next training", "by the calendar: none" if board.due is None else f"by the calendar: {when(board.due)}"))
    left = "" if board.days_left is None else f" ({board.days_left:.0f} days left)" if board.days_left > 0 else " (past)"
    facts.append(Fact("Hard end", f"{board.ends}{left}" if board.ends else "none known"))
    facts += [Fact("Gap", f"{gap.lost:,} answers were not recorded from {when(gap.start)} to {when(gap.end)}: {gap.why}") for gap in board.gaps]
    return tuple(facts)


number: Callable[[float], str] = "{:g}".format
