"""What happened, in words for people: a line an event, the newest first. What is said over and over (a wish that stands) is said once."""

import math
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

from thuja.life.fault import duration
from thuja.life.ledger import Event

MOMENT = 1.0
"""Seconds within which the steps of one version are one decision: only the last is told."""


class Happened(NamedTuple):
    """One line of the history."""

    number: int
    """Of the event."""
    at: float
    by: str
    version: str
    tone: str
    """good, bad, look (somebody should) or plain: a mark beside the words, never instead of them."""
    words: str


def when(at: float) -> str:
    """A moment for people, in UTC.

    >>> when(1700000000.0)
    '2023-11-14 22:13'
    """
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M") if math.isfinite(at) else "never"


def story(events: Sequence[Event], most: int = 40) -> list[Happened]:
    """The newest `most` things worth telling."""
    told: list[Happened] = []
    later: Event | None = None
    said = ""
    for event in reversed(events):
        tell = TOLD.get(event.kind, _other)
        tone, words, key = tell(event)
        passing = event.kind == "moved" and later is not None and later.kind == "moved" and later.version == event.version and later.at - event.at <= MOMENT
        later = event
        if not words or passing:
            continue
        if key and key == said:  # the same again: it began earlier
            told[-1] = told[-1]._replace(number=event.number, at=event.at)
            continue
        if len(told) == most:
            break
        said = key
        told.append(Happened(event.number, event.at, event.by, event.version, tone, words))
    return told


Line = tuple[str, str, str]
"""Tone, words, and what makes the same words worth saying only once (empty: say them every time)."""


def _version(event: Event) -> Line:
    why = _short(event.body.get("why", ""))
    return "plain", f"Version {event.version} was added" + (f": {why}." if why else "."), ""


def _moved(event: Event) -> Line:
    to, gates = event.body["to"], event.body.get("gates", {})
    cause = _short(gates.get("cause", {}).get("found", ""))
    because = f": {cause}." if cause else "."
    waived = [f"{name} ({_short(gate['waived'])})" for name, gate in gates.items() if gate.get("waived")]
    extra = f" Waived: {', '.join(waived)}." if waived else ""
    match to:
        case "SHADOW":
            return "plain", f"Version {event.version} answers in the shade: nobody sees it.{extra}", ""
        case "CANARY":
            share = percent(event.body["share"]) if event.body.get("share") else "a share"
            return "plain", f"Version {event.version} answers {share} of the requests.{extra}", ""
        case "CHAMPION":
            back = event.body.get("from") == "RETIRING"
            return "good", f"Version {event.version} answers {'again' if back else 'from now on'}{because}{extra}", ""
        case "WATCH":
            return "look", f"Version {event.version} still answers, and is watched{because}", ""
        case "RETIRING":
            return "plain", f"Version {event.version} stepped down and can be gone back to.", ""
        case "ROLLED_BACK":
            return "bad", f"Version {event.version} was rolled back{because}", ""
        case "QUARANTINED":
            return "bad", f"Version {event.version} was quarantined{because}", ""
        case "RETIRED":
            return "plain", f"Version {event.version} was retired.{extra}", ""
        case "CANDIDATE" if event.body.get("from") in ("SHADOW", "CANARY"):
            return "plain", f"Version {event.version} was sent back{because}", ""
        case _:
            return "plain", "", ""


def _share(event: Event) -> Line:
    return "plain", f"Version {event.version} answers {percent(event.body['share'])} of the requests.", ""


def _look(event: Event) -> Line:
    decision = event.body.get("decision", {})
    if not decision.get("retrain"):
        return "plain", "", ""
    return "look", f"A new model is wished for: {_short(decision['words'])}.", f"wish {decision['reason']}"


def _fault(event: Event) -> Line:
    found = "; ".join(f"{one['field'] or 'requests'}: expected {one['expected']}, found {one['found']}" for one in event.body["faults"])
    return "bad", f"Something is broken. {_short(found, 300)}.", f"fault {[one['field'] + one['rule'] for one in event.body['faults']]}"


def _alarm(event: Event) -> Line:
    moved = ", ".join(one["field"] for one in event.body.get("moved", ()))
    what = f" What has moved: {_short(moved)}." if moved else ""
    return "bad", f"Alarm: version {event.version} has become worse (statistic {event.body['statistic']:,.0f}).{what}", ""


def _comparison(event: Event) -> Line:
    verdict, waits = event.body["verdict"], event.body.get("waits_for_a_person", False)
    if verdict == "wait" or (verdict == "next share" and not waits):
        return "plain", "", ""
    asks = " It waits for a person." if waits else ""
    return "look" if waits else "plain", f"Challenge of version {event.version}: {verdict} ({_short(event.body['words'])}).{asks}", f"{event.version} {verdict}"


def _told(event: Event) -> Line:
    failed = event.body.get("failed")
    return ("look", f"News of event {event.body['about']} could not be delivered: {_short('; '.join(failed))}.", "undelivered") if failed else ("plain", "", "")


def _training(event: Event) -> Line:
    body = event.body
    match body["outcome"]:
        case "began":
            return "plain", f"A training began: {_short(body['words'])}.", ""
        case "trained":
            return "good", f"A training gave version {event.version} ({duration(body['seconds'])}).", ""
        case _:
            return "bad", f"A training came to nothing: {_short(body['words'])}.", ""


def _other(event: Event) -> Line:
    words = next((str(event.body[name]) for name in ("words", "why", "reason", "found") if isinstance(event.body.get(name), str) and event.body[name]), "")
    return "plain", f"{event.kind.capitalize()}{f' of version {event.version}' if event.version else ''}{f': {_short(words)}' if words else ''}.", ""


TOLD: dict[str, Callable[[Event], Line]] = {
    "version": _version, "moved": _moved, "share": _share, "look": _look, "fault": _fault, "alarm": _alarm, "comparison": _comparison, "told": _told,
    "training": _training,
    "frozen": lambda event: ("look", "Nothing is learned from what comes in, until the fault is over.", ""),
    "thawed": lambda event: ("good", f"The fault is over: {_short(event.body['why'])}.", "")}


def percent(share: float) -> str:
    """A share for people.

    >>> percent(0.1), percent(0.005), percent(1.0)
    ('10 %', '0.5 %', '100 %')
    """
    return f"{100 * share:.3g} %"


def _short(text: Any, most: int = 160) -> str:
    words = " ".join(str(text).split()).rstrip(".")
    return words if len(words) <= most else f"{words[: most - 1]}…"
