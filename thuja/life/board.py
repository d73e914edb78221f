"""What people see of a deployment, as one plain value: vital signs, forecast, alarms with their budget, challenge, labels and history.

It is made of the events and of a few small counts, and computes nothing that a decision could rest on: the terminal page, the dashboard and `/life.json` show
this value, so they cannot disagree. A ledger or a reference that cannot be read is told of at the top, and what else is known is shown below.
"""

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

import numpy as np

from thuja.core.errors import ThujaError
from thuja.life.calls import Gap
from thuja.life.conduct import trial_of
from thuja.life.deployment import Deployment
from thuja.life.ends import WARNED, ends_at
from thuja.life.fault import Fault
from thuja.life.forecast import TIERS, Forecast, prior
from thuja.life.ledger import Event, last_of
from thuja.life.plan import YEAR, Plan
from thuja.life.states import SERVING, Standings
from thuja.life.story import Happened, story, when
from thuja.life.watch import ALL, Reference

SHOWN = 120
"""Newest windows that are shown one by one."""
LATEST = 1 << 20
"""Bytes of labels, the newest, from which their delay is read."""
SEARCHED = 64 << 20
"""Bytes of recorded answers, the newest, that are searched for gaps."""
Tone = Literal["good", "look", "bad"]


class Seen(NamedTuple):
    """One look at one window; None where something is not known."""

    version: str
    start: float
    end: float
    requests: int
    labels: int
    loss: float | None
    estimated: float | None
    """Without labels; only where it was trusted."""
    statistic: float
    alarm: bool
    fault: bool


@dataclass(frozen=True)
class Vital:
    """How it is now."""

    champion: str = ""
    standing: str = ""
    since: float | None = None
    previous: str = ""
    """What can be gone back to."""
    window: Seen | None = None
    """The last look."""
    refusals: int = 0
    reference: float | None = None
    """The loss before service, of `rows` rows."""
    rows: int = 0
    claim: float | None = None
    """The loss that would still be fine, chance considered."""
    floor: float | None = None
    """The loss above which the model is over."""
    estimate_why: str = ""
    faults: tuple[str, ...] = ()
    """Of the last window."""
    frozen: str = ""


@dataclass(frozen=True)
class Alarms:
    """The alarm with its budget."""

    a_year: float = 0.0
    """False ones that the plan allows."""
    threshold: float = 0.0
    statistic: float = 0.0
    raised: int = 0
    """In the last year."""
    ever: int = 0
    years: float = 0.0
    """Of service so far."""
    last: float | None = None
    unanswered: bool = False
    """Whether nothing has been trained since the last one."""


@dataclass(frozen=True)
class Ahead:
    """What is left of the champion's life: a planning estimate."""

    state: str = "abstain"
    reason: str = ""
    days: tuple[float | None, float | None, float | None] | None = None
    """When 10, 50 and 90 % of such models have ended, in days from `at`; None: not within what is looked ahead."""
    next_window: float | None = None
    tier: int = 0
    evidence: str = TIERS[0]
    at: float | None = None


@dataclass(frozen=True)
class Tried:
    """The challenge that is on."""

    version: str
    standing: str
    since: float
    share: float
    shares: tuple[float, ...]
    rows: int = 0
    """Paired and labelled."""
    better_by: float | None = None
    better: float = 0.0
    """Odds that it is better at all."""
    not_worse: float = 0.0
    """Odds that it is not worse by more than the margin, which is enough for one that is younger."""
    worse: float = 0.0
    """Odds that it is worse by more than the margin."""
    needed: float = 0.0
    answers: int = 0
    failures: int = 0
    bad_minutes: int = 0
    slower: float | None = None
    """Its p99 over the champion's, in the middle of the minutes at this share."""
    words: str = ""
    waits: bool = False
    """Whether it waits for a person."""


@dataclass(frozen=True)
class Labelled:
    """The labels, and the questions that wait."""

    waiting: int | None = None
    """In the audit queue; None where the plan keeps no rows to ask about."""
    window: int = 0
    """Counted in the last window."""
    counted: int = 0
    unknown: int = 0
    repeated: int = 0
    contradicted: int = 0
    early: int = 0
    delay: float | None = None
    """From answer to label, in seconds: half of the newest ones took at most so long."""
    slow: float | None = None
    """One in ten takes longer."""


class Member(NamedTuple):
    """One version in a line."""

    name: str
    standing: str
    since: float
    trained: float | None
    windows: int
    """In which it was looked at."""
    labels: int
    loss: float | None
    """The mean over those labels."""


@dataclass(frozen=True)
class Board:
    """Everything at once."""

    name: str
    now: float
    tone: Tone = "good"
    status: str = ""
    """The state of things in a sentence."""
    trouble: tuple[str, ...] = ()
    """What could not be read, and what to do about it."""
    owner: str = ""
    vital: Vital = field(default_factory=Vital)
    windows: tuple[Seen, ...] = ()
    alarms: Alarms = field(default_factory=Alarms)
    ahead: Ahead = field(default_factory=Ahead)
    challenge: Tried | None = None
    labels: Labelled = field(default_factory=Labelled)
    moved: tuple[tuple[str, float, float], ...] = ()
    """Field, distance, and what chance makes of so few rows: at the last alarm or fault, to explain it."""
    moved_at: float | None = None
    decision: str = ""
    """What the last look came to."""
    due: float | None = None
    """When the calendar asks for a training."""
    training: float | None = None
    """Since when one is on."""
    gaps: tuple[Gap, ...] = ()
    ends: str = ""
    """The hard end, as a date."""
    days_left: float | None = None
    versions: tuple[Member, ...] = ()
    history: tuple[Happened, ...] = ()

    def plain(self) -> dict[str, Any]:
        """As JSON data; named tuples become objects."""
        plain: dict[str, Any] = {one.name: _plain(getattr(self, one.name)) for one in dataclasses.fields(self)}
        return plain


def board(deployment: Deployment, now: float | None = None, waiting: int | None = None) -> Board:
    """The board at a time. `waiting`: how many questions are in the audit queue, from whoever keeps one (`life.queue`). Raises nothing for what is damaged."""
    now, name = deployment.clock() if now is None else now, deployment.path.resolve().name
    try:
        plan, events = deployment.plan, deployment.ledger.events()
        standings = deployment.standings()
    except ThujaError as error:
        return Board(name, now, "bad", "The record of this deployment cannot be read: nothing below can be trusted.", (str(error),))
    reference, trouble = _reference(deployment, standings)
    looks = [event for event in events if event.kind == "look"]
    seen = _seen(looks[-SHOWN:], events)
    last = looks[-1].body if looks else {}
    decision = last.get("decision", {})
    made = Board(
        name, now, trouble=trouble, owner=plan.owner, windows=seen, vital=_vital(standings, events, reference, plan, seen), alarms=_alarms(plan, events, now),
        ahead=_ahead(looks, standings, reference, plan), challenge=_tried(standings, events, plan), labels=_labelled(deployment, looks, waiting),
        decision=str(decision.get("words", "")), due=_due(plan, standings, reference, decision, events), training=_training(events),
        gaps=_gaps(deployment), ends=plan.ends, days_left=_days_left(plan, now), versions=_members(standings, looks), history=tuple(story(events)),
        **_moved(events))
    tone, status = _status(made)
    return dataclasses.replace(made, tone=tone, status=status)


def _reference(deployment: Deployment, standings: Standings) -> tuple[Reference | None, tuple[str, ...]]:
    if not standings.champion:
        return None, ()
    try:
        return deployment.reference(standings.champion), ()
    except ThujaError as error:
        return None, (str(error),)
    except (KeyError, TypeError) as error:
        return None, (f"The reference of version {standings.champion} makes no sense: {type(error).__name__} {error}",)


def _seen(looks: Sequence[Event], events: Sequence[Event]) -> tuple[Seen, ...]:
    first = looks[0].number if looks else 0
    alarms, faults = ({event.at for event in events[first:] if event.kind == kind} for kind in ("alarm", "fault"))
    return tuple(Seen(event.version, body["start"], body["end"], body["requests"], body["labels"], body["loss"], body["estimated"], body["statistic"],
                      event.at in alarms, event.at in faults) for event in looks for body in (event.body,))


def _vital(standings: Standings, events: Sequence[Event], reference: Reference | None, plan: Plan, seen: Sequence[Seen]) -> Vital:
    if not standings.champion:
        return Vital(previous=standings.previous, frozen=standings.frozen)
    champion = standings.versions[standings.champion]
    last = last_of(events, "look", champion.name)
    fault = None if last is None else next((event for event in events[last.number :] if event.kind == "fault"), None)
    known = None if last is None else last.body["memory"]["detectors"].get(ALL)
    loss = None if reference is None else reference.loss
    return Vital(
        champion.name, champion.standing, _answers_since(champion.name, events), standings.previous,
        window=next((one for one in reversed(seen) if one.version == champion.name), None), refusals=0 if last is None else last.body["refusals"],
        reference=loss, rows=0 if reference is None else reference.rows,
        claim=known[0] if known else None if reference is None else reference.claim(), floor=None if loss is None else min(1.0, loss + plan.harm.margin),
        estimate_why="nobody has looked yet" if last is None else last.body["why"],
        faults=tuple(str(Fault(**one)) for one in fault.body["faults"]) if fault else (), frozen=standings.frozen)


def _answers_since(version: str, events: Sequence[Event]) -> float | None:
    """Since when it has answered without a break: a watched champion is still one."""
    return next((event.at for event in reversed(events) if event.kind == "moved" and event.version == version
                 and event.body["to"] in SERVING and event.body["from"] not in SERVING), None)


def _alarms(plan: Plan, events: Sequence[Event], now: float) -> Alarms:
    raised = [event.at for event in events if event.kind == "alarm"]
    began = next((event.at for event in events if event.kind == "moved" and event.body["to"] == "CHAMPION"), now)
    last = last_of(events, "look")
    trained = max((float(event.body.get("trained", event.at)) for event in events if event.kind == "version"), default=now)
    return Alarms(plan.harm.false_alarms_a_year, plan.threshold, 0.0 if last is None else last.body["statistic"], sum(at > now - YEAR for at in raised),
                  len(raised), max(0.0, now - began) / YEAR, raised[-1] if raised else None, bool(raised and raised[-1] >= trained))


def _ahead(looks: Sequence[Event], standings: Standings, reference: Reference | None, plan: Plan) -> Ahead:
    last = looks[-1] if looks and looks[-1].version == standings.champion else None
    if last is not None:
        plain, at = last.body["forecast"], float(last.body["end"])
    elif reference is not None:
        plain, at = prior(reference.lives, 0.0).plain(), standings.versions[standings.champion].since
    else:
        return Ahead(reason="nobody answers yet" if not standings.champion else "what was known before service cannot be read")
    found = Forecast(**plain)
    first, middle, latest = (None if windows is None else windows * plan.harm.window / 86400 for windows in found.quantiles or (None, None, None))
    days = None if found.quantiles is None else (first, middle, latest)
    return Ahead(found.state, found.reason, days, found.next_window, found.tier, TIERS[found.tier], at)


def _tried(standings: Standings, events: Sequence[Event], plan: Plan) -> Tried | None:
    if not standings.beside:
        return None
    version, asked = standings.versions[standings.beside], plan.challenge
    made = Tried(version.name, version.standing, version.since, standings.share, tuple(map(float, asked.canary)), needed=1 / asked.false_promotions,
                 words="nothing has been compared yet")
    trial, comparison = trial_of(events, version.name), last_of(events, "comparison", version.name)
    if trial is None or comparison is None:
        return made
    body = comparison.body
    return dataclasses.replace(
        made, rows=trial.better.rows, better_by=trial.better.mean if trial.better.rows else None, better=trial.better.wealth,
        not_worse=trial.not_worse.wealth, worse=trial.worse.wealth, answers=trial.answers, failures=trial.failures, bad_minutes=trial.bad,
        slower=float(np.median(trial.slow)) if trial.slow else None, words=body["words"], waits=body["waits_for_a_person"])


def _labelled(deployment: Deployment, looks: Sequence[Event], waiting: int | None) -> Labelled:
    counts = {name: sum(event.body.get(f"{name}_labels", 0) for event in looks) for name in ("unknown", "repeated", "contradicted", "early")}
    delays = _delays(deployment)
    middle, slow = (float(np.quantile(delays, part)) for part in (0.5, 0.9)) if delays else (None, None)
    return Labelled(waiting, looks[-1].body["labels"] if looks else 0, sum(event.body["labels"] for event in looks), **counts, delay=middle, slow=slow)


def _delays(deployment: Deployment) -> list[float]:
    """From answer to label at most, of the newest labels. When the answer was given is read from its id, which names the file that it is in: the time at which
    that begins, so that labels are never said to be faster than they are."""
    span, read = deployment.calls.span, 0
    found: list[float] = []
    segments = deployment.labels.segments
    for number in reversed(segments.numbers()):
        read += segments.file(number).stat().st_size
        if read > LATEST and found:
            break
        for record in segments.of(number):
            head, dash, _ = record["call"].partition("-")
            if dash and len(head) <= 12 and head.isalnum():
                try:
                    found.append(max(0.0, record["at"] - int(head, 16) * span))
                except ValueError:
                    continue
    return found


def _moved(events: Sequence[Event]) -> dict[str, Any]:
    last = next((event for event in reversed(events) if event.kind in ("alarm", "fault")), None)
    if last is None:
        return {}
    return {"moved": tuple((one["field"], one["distance"], one["noise"]) for one in last.body.get("moved", ())), "moved_at": last.at}


def _due(plan: Plan, standings: Standings, reference: Reference | None, decision: dict[str, Any], events: Sequence[Event]) -> float | None:
    if decision:
        return None if decision.get("due") is None else float(decision["due"])
    every = plan.renew.calendar
    if every == "never" or not standings.champion or (every == "auto" and (reference is None or reference.calendar is None)):
        return None
    trained = max(float(version.facts.get("trained", version.born)) for version in standings.versions.values())
    return trained + (float(every) if every != "auto" else (reference.calendar or 0.0) * plan.harm.window if reference is not None else 0.0)


def _training(events: Sequence[Event]) -> float | None:
    last = last_of(events, "training")
    return last.at if last is not None and last.body["outcome"] == "began" else None


def _gaps(deployment: Deployment) -> tuple[Gap, ...]:
    """What was not recorded, as far as the newest files tell: only those in which a gap is named are read whole."""
    segments, read = deployment.calls.segments, 0
    found: list[Gap] = []
    for number in reversed(segments.numbers()):
        file = segments.file(number)
        read += file.stat().st_size
        if read > SEARCHED:
            break
        if b'{"gap":' in deployment.disk.read(file):
            found += [Gap(**record["gap"]) for record in segments.of(number) if "gap" in record]
    return tuple(found[:5])


def _days_left(plan: Plan, now: float) -> float | None:
    """Days until the last day is over, 0 or less when it is; None where there is no end."""
    end = ends_at(plan)
    return None if math.isinf(end) else (end - now) / 86400


def _members(standings: Standings, looks: Sequence[Event]) -> tuple[Member, ...]:
    labels: dict[str, list[float]] = {name: [0, 0, 0.0] for name in standings.versions}
    for event in looks:
        one = labels[event.version]
        one[0] += 1
        if event.body["loss"] is not None:
            one[1] += event.body["labels"]
            one[2] += event.body["labels"] * event.body["loss"]
    return tuple(Member(version.name, version.standing, version.since, version.facts.get("trained"), int(windows), int(rows), lost / rows if rows else None)
                 for version in reversed(list(standings.versions.values())) for windows, rows, lost in (labels[version.name],))


def _status(made: Board) -> tuple[Tone, str]:
    """The most urgent thing in a sentence."""
    vital, who = made.vital, f"Version {made.vital.champion}"
    if made.trouble:
        return "bad", "Something that this deployment rests on cannot be read."
    if not vital.champion:
        return "bad" if made.versions else "look", "Nobody answers." if made.versions else "Nothing has been deployed yet."
    if made.days_left is not None and made.days_left <= 0:
        return "bad", f"{who} must no longer answer: this deployment ended on {made.ends}."
    if vital.faults:
        return "bad", f"Something is broken: {vital.faults[0]}. Nothing is learned from it."
    if made.alarms.unanswered and made.challenge is not None:
        waits = " and waits for a person" if made.challenge.waits else ""
        return "bad" if waits else "look", f"{who} has become worse; version {made.challenge.version} challenges it{waits}."
    if made.alarms.unanswered:
        return "bad", f"{who} has become worse, and no new model has been trained since the alarm of {when(made.alarms.last or 0.0)}."
    if vital.frozen:
        return "look", "A fault is over, but not for long enough: nothing is learned yet."
    if made.challenge is not None and made.challenge.waits:
        return "look", f"The challenge of version {made.challenge.version} waits for a person."
    if vital.standing == "WATCH":
        return "look", f"{who} answers and is watched: it has raised an alarm."
    if made.challenge is not None:
        return "good", f"{who} answers; version {made.challenge.version} challenges it."
    if made.days_left is not None and made.days_left <= WARNED:
        return "look", f"{who} answers; this deployment ends on {made.ends}, in {made.days_left:.0f} days."
    if vital.window is None:
        return "good", f"{who} answers; nobody has looked yet."
    if not made.labels.counted:
        return "look", f"{who} answers; without labels nobody knows how well."
    return "good", f"{who} answers, and nothing says that it has become worse."


def _plain(value: Any) -> Any:
    if isinstance(value, tuple) and hasattr(value, "_asdict"):
        return {name: _plain(one) for name, one in value._asdict().items()}
    if dataclasses.is_dataclass(value):
        return {one.name: _plain(getattr(value, one.name)) for one in dataclasses.fields(value)}
    if isinstance(value, (tuple, list)):
        return [_plain(one) for one in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
