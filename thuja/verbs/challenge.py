"""The verbs `challenge`, `promote`, `rollback` and `retire`: one decision of a person each, with its gates. No torch."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from thuja.core.errors import DeploymentError
from thuja.life import conduct
from thuja.life.deployment import Deployment, Step, steps
from thuja.life.ledger import Event, Said
from thuja.life.states import GATES, SERVING, Gate, Standings
from thuja.verbs import gates
from thuja.verbs.deploy import SOMEONE

DAYS = 7.0
"""Without traffic, before a version counts as unused."""
DAY = 86400.0


def opened(deployment: Deployment | Path | str) -> Deployment:
    """The deployment itself, or the one in a folder. Raises: DeploymentError."""
    return deployment if isinstance(deployment, Deployment) else Deployment.open(Path(deployment))


def challenge(deployment: Deployment | Path | str, version: str, *, by: str = "", waive: Mapping[str, str] | None = None) -> list[Event]:
    """Put a candidate beside the champion, in the shade: it is asked what the champion is asked, and nobody sees what it answers.

    Raises: DeploymentError where its certificate does not hold here, those who ask the champion could not ask it, or another one is being tried.
    """
    deployment = opened(deployment)
    now = deployment.standings()
    now.of(version)
    if not now.champion:
        raise DeploymentError("challenge", expected="a champion to be compared with", found="nobody answers", fix="Deploy one: thuja deploy ARTEFACT.")
    shown = gates.of_service(deployment.artifact(version), deployment.artifact(now.champion), deployment.kinds)
    return deployment.step(version, "SHADOW", gates.with_waivers(shown, waive or {}), by=by or SOMEONE)


def promote(deployment: Deployment | Path | str, *, by: str = "", waive: Mapping[str, str] | None = None) -> list[Event]:
    """Let the challenger answer from now on, because a person says so. Raises: DeploymentError for gates that are shut and not waived."""
    deployment = opened(deployment)
    known = {gate: Gate(False, "") for pair in (("SHADOW", "CANARY"), ("CANARY", "CHAMPION")) for gate in GATES[pair]}
    gates.with_waivers(known, waive or {})
    return conduct.promote(deployment, by=by or SOMEONE, waive=dict(waive or {}))


def rollback(deployment: Deployment | Path | str, *, why: str, by: str = "") -> list[Event]:
    """End a canary, or put the champion before back in its place. Raises: DeploymentError where there is nothing to go back to, or no reason."""
    if not why.strip():
        raise DeploymentError("rollback", expected="a reason", found="nothing", fix="Say why: --why '...'.")
    deployment = opened(deployment)
    now = deployment.standings()
    if now.beside and now.of(now.beside).standing == "SHADOW" and not now.previous:
        return deployment.step(now.beside, "CANDIDATE", {"cause": Gate(True, why)}, by=by or SOMEONE)
    return deployment.go_back(why, by=by or SOMEONE)


def retire(deployment: Deployment | Path | str, version: str, *, by: str = "", days: float = DAYS, waive: Mapping[str, str] | None = None) -> list[Event]:
    """Let a version that nobody needs any more go for good; it cannot come back. Raises: DeploymentError while it answers, or has answered lately."""
    deployment = opened(deployment)
    now = deployment.standings()
    known = now.of(version)
    if known.standing in SERVING:
        raise DeploymentError(f"version {version}", expected="one that does not answer", found=known.standing,
                              fix="Promote another one first, or end the deployment: thuja retire --end.")
    shown = {"unused": unused(deployment, version, days)} if GATES.get((known.standing, "RETIRED")) else {}
    return deployment.step(version, "RETIRED", gates.with_waivers(shown, waive or {}), by=by or SOMEONE)


def end(deployment: Deployment | Path | str, *, why: str, by: str = "") -> list[Event]:
    """Retire everything: from now on nobody answers. What became of its life, against what had been forecast, is written down."""
    if not why.strip():
        raise DeploymentError("retire --end", expected="a reason", found="nothing", fix="Say why: --why '...'.")
    deployment = opened(deployment)
    realised = life_of(deployment)
    who = by or SOMEONE
    return deployment.say(lambda now: [*steps(now, [step for name in now.versions for step in _over(now, name, why)], who), Said(
        "ended", "", {"why": why} | realised, by=who)])


def unused(deployment: Deployment, version: str, days: float) -> Gate:
    """Whether a version has answered nobody for so many days."""
    now = deployment.clock()
    waited = (now - deployment.standings().of(version).since) / DAY
    answers = [call.at for call in deployment.calls.between(now - days * DAY, now + 1) if call.version == version and not call.shade]
    if answers:
        return Gate(False, f"{len(answers)} kept answers in the last {days:g} days, the last one {(now - max(answers)) / DAY:.1f} days ago")
    return Gate(waited >= days, f"no answer is kept of the last {min(days, waited):.1f} days" + ("" if waited >= days else f" (of {days:g})"))


def life_of(deployment: Deployment) -> dict[str, Any]:
    """How long each champion answered, in windows, and what was forecast when it began."""
    lives: list[dict[str, Any]] = []
    since: dict[str, float] = {}
    forecast: dict[str, Any] = {}
    alarms: set[str] = set()
    for event in deployment.ledger.events():
        if event.kind == "look":
            forecast.setdefault(event.version, event.body.get("forecast"))
        elif event.kind == "alarm":
            alarms.add(event.version)
        elif event.kind == "moved" and event.body["to"] in SERVING:
            since.setdefault(event.version, event.at)
        elif event.kind == "moved" and event.body["from"] in SERVING and event.version in since:
            lives.append(_lived(deployment, event.version, since.pop(event.version), event.at))
    lives += [_lived(deployment, name, at, deployment.clock()) for name, at in since.items()]
    return {"lives": [life | {"harmed": life["version"] in alarms, "forecast": forecast.get(life["version"])} for life in lives]}


def _lived(deployment: Deployment, version: str, start: float, until: float) -> dict[str, Any]:
    return {"version": version, "from": start, "to": until, "windows": round((until - start) / deployment.plan.harm.window, 2)}


def _over(now: Standings, name: str, why: str) -> list[Step]:
    """The steps that take a version out of service for good."""
    ends, unneeded = Gate(True, f"the deployment ends: {why}"), Gate(False, "it has answered until now", f"the deployment ends: {why}")
    match now.of(name).standing:
        case "CHAMPION" | "WATCH":
            return [(name, "RETIRING", {"successor": ends}), (name, "RETIRED", {"unused": unneeded})]
        case "RETIRING":
            return [(name, "RETIRED", {"unused": unneeded})]
        case "CANARY":
            return [(name, "CANDIDATE", {"cause": ends}), (name, "RETIRED", {})]
        case "SHADOW" | "CANDIDATE" | "ROLLED_BACK":
            return [(name, "RETIRED", {})]
        case "DRAFT" | "TRAINED":
            return [(name, "QUARANTINED", {"cause": ends})]
        case _:
            return []
