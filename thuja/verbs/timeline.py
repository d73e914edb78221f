"""The verb `timeline`: all that has happened to a deployment, in plain words, and whether the log is what was written. No torch."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from thuja.core import digest, log
from thuja.core.errors import ArtifactError
from thuja.life.deployment import LEDGER, Deployment
from thuja.life.ends import ending
from thuja.life.ledger import BEGINNING, Event
from thuja.life.story import when
from thuja.verbs.challenge import opened


class Line(NamedTuple):
    """One event."""

    when: str
    """In UTC."""
    number: int
    words: str
    event: Event


class Timeline(NamedTuple):
    """A history."""

    lines: list[Line]
    events: int
    """Events of all versions, as far as they are undamaged."""
    damage: str
    """What is wrong with the log, and where; empty where its chain of hashes holds. The lines are those before the damage."""
    torn: int
    """Bytes after the last whole addition: what a crash has left of one, or damage there. Events that were in them are lost."""
    last: str
    """The hash of the last event: kept elsewhere, it shows even a cut between two events."""
    ending: str
    """What is to be known of the end of the deployment."""

    def plain(self) -> dict[str, Any]:
        """As JSON data."""
        return {"events": [line.event.plain() | {"words": line.words} for line in self.lines], "whole": not self.damage, "damage": self.damage,
                "torn_bytes": self.torn, "last": self.last, "ending": self.ending}


def timeline(deployment: Deployment | Path | str, version: str = "") -> Timeline:
    """The history of a deployment, or of one version. A damaged log is told of, with its place; what precedes the damage is shown.

    Raises: DeploymentError where there is no deployment, or no such version.
    """
    deployment, damage, torn = opened(deployment), "", 0
    try:
        events, torn = deployment.ledger.events(), log.read(deployment.path / LEDGER, deployment.disk).torn
    except ArtifactError as error:
        events, damage = _intact(deployment), str(error)
    if version and not damage:
        deployment.standings().of(version)
    lines = [Line(when(event.at), event.number, words(event), event) for event in events if version in ("", event.version)]
    return Timeline(lines, len(events), damage, torn, events[-1].hash if events else BEGINNING, ending(deployment.plan, deployment.clock()))


def words(event: Event) -> str:
    """One event in plain words."""
    body, name = event.body, f"version {event.version}"
    by = "" if event.by == "policy" else f", by {event.by}"
    match event.kind:
        case "version":
            about = f" from version {body['parent']}" if body.get("parent") else ""
            return f"{name} added ({body.get('kind', 'unknown kind')}){about}{by}{_because(body.get('why'))}"
        case "moved":
            waived = [f"{gate} waived: {found['waived']}" for gate, found in body["gates"].items() if found["waived"]]
            cause = [body["gates"][gate]["found"] for gate in ("cause", "cleared", "comparison") if gate in body["gates"]]
            return f"{name}: {body['from']} -> {body['to']}{by}{_because('; '.join([*cause, *waived]))}"
        case "share":
            return f"{name} answers {body['share']:.0%} of the requests"
        case "look":
            return f"{name} looked at: {_looked(body)}"
        case "alarm":
            moved = ", ".join(one["field"] for one in body["moved"])
            return f"ALARM: {name} has become worse (evidence {body['statistic']:.0f}){f'; moved: {moved}' if moved else ''}"
        case "fault":
            return f"FAULT: {'; '.join(_fault(one) for one in body['faults'])}"
        case "frozen":
            return f"learning is frozen: {body['why']}"
        case "thawed":
            return f"learning goes on: {body['why']}"
        case "comparison":
            waits = " (waits for a person)" if body.get("waits_for_a_person") else ""
            return f"{name} compared: {body['verdict']}{waits}, {body['words']}"
        case "told":
            return f"event {body['about']} told to {', '.join(body['receivers'])}" + (f"; failed: {'; '.join(body['failed'])}" if body["failed"] else "")
        case "labels":
            return f"{body['kept']:,} labels from {body['file']}{by}; {body['unknown']} about answers not kept, {body['wrong']} lines wrong"
        case "drill":
            return f"drill{by}: {drilled(body)}"
        case "ended":
            return f"the deployment has ended{by}: {body['why']}"
        case _:
            known = ", ".join(f"{key} {value}" for key, value in body.items() if isinstance(value, (str, int, float)))
            return f"{event.kind}{f' of {name}' if event.version else ''}{by}{f': {known}' if known else ''}"


def drilled(body: dict[str, Any]) -> str:
    """What a rehearsal has shown."""
    what = f"a copy of version {body['version']} {'was promoted' if body['promoted'] else 'answered everything as a canary'} and rolled back"
    bits = "the same bits before and after" if body["same_bits"] else "ANSWERS DIFFER"
    return f"{what} {'here' if body['live'] else 'in a copy'} in {body['seconds_back']:.2f} s; {bits} on {body['rows']} rows"


def _looked(body: dict[str, Any]) -> str:
    loss = "no labels" if body["loss"] is None else f"loss {body['loss']:.3f} on {body['labels']} labels"
    decision = body["decision"]
    soon = f"; {body['ending']}" if body.get("ending") else ""
    return f"{body['requests']:,} requests, {loss}; {'retrain' if decision['retrain'] else 'wait'} ({decision['words']}){soon}"


def _fault(one: dict[str, Any]) -> str:
    return f"{one['field'] or 'requests'}: expected {one['expected']}, found {one['found']}"


def _because(why: Any) -> str:
    return f" ({why})" if why else ""


def _intact(deployment: Deployment) -> list[Event]:
    """The events before the damage: each follows from the one before it by its hash."""
    found: list[Event] = []
    for line in deployment.disk.read(deployment.path / LEDGER).split(b"\n"):
        try:
            plain = json.loads(line.split(b" ", 2)[2])
            event = Event(**plain | {"evidence": tuple(plain["evidence"])})
        except (IndexError, ValueError, TypeError, KeyError):
            break
        if not _follows(plain, found):
            break
        found.append(event)
    return found


def _follows(plain: dict[str, Any], before: Sequence[Event]) -> bool:
    content = {name: value for name, value in plain.items() if name != "hash"}
    return bool(plain["previous"] == (before[-1].hash if before else BEGINNING) and plain["hash"] == digest.of_data(content))
