"""Where every model version stands, as a pure function of the events; which steps there are, and what has to be shown before each.

One version answers (CHAMPION, or WATCH while there is cause for concern), one may answer besides it in the shade (SHADOW: nobody sees its answers) or a share
of the requests (CANARY). A version that was replaced stays loadable (RETIRING) until a successor has proved itself, so that there is something to go back to.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, NamedTuple, get_args

from thuja.core.errors import DeploymentError, did_you_mean
from thuja.life.ledger import Event, Said

Standing = Literal["DRAFT", "TRAINED", "CANDIDATE", "SHADOW", "CANARY", "CHAMPION", "WATCH", "RETIRING", "RETIRED", "QUARANTINED", "ROLLED_BACK"]
STANDINGS: tuple[Standing, ...] = get_args(Standing)
SERVING: frozenset[Standing] = frozenset({"CHAMPION", "WATCH"})
OVER: frozenset[Standing] = frozenset({"RETIRED", "QUARANTINED"})

GATES: dict[tuple[Standing, Standing], tuple[str, ...]] = {
    ("DRAFT", "TRAINED"): ("finished", "snapshot"),
    ("TRAINED", "CANDIDATE"): ("checks", "metrics", "parity", "ageing", "card"),
    ("CANDIDATE", "SHADOW"): ("loads", "schema"),
    ("SHADOW", "CANARY"): ("errors", "latency", "disagreement"),
    ("CANARY", "CHAMPION"): ("errors", "latency", "comparison"),
    ("CHAMPION", "WATCH"): ("cause",),
    ("WATCH", "CHAMPION"): ("cleared",),
    ("CHAMPION", "RETIRING"): ("successor",),
    ("WATCH", "RETIRING"): ("successor",),
    ("RETIRING", "CHAMPION"): ("cause", "schema"),
    ("RETIRING", "RETIRED"): ("unused",),
    ("ROLLED_BACK", "RETIRED"): (),
    ("CANARY", "ROLLED_BACK"): ("cause",),
    ("CHAMPION", "ROLLED_BACK"): ("cause",),
    ("WATCH", "ROLLED_BACK"): ("cause",),
    ("CANDIDATE", "RETIRED"): (),
    ("SHADOW", "CANDIDATE"): ("cause",),
    ("SHADOW", "RETIRED"): (),
    ("CANARY", "CANDIDATE"): ("cause",),
    **{(standing, "QUARANTINED"): ("cause",) for standing in STANDINGS if standing not in OVER},
}
"""Every step there is, and what must be shown for it: the names of the gates. A gate is passed, or a person waives it and says why."""


class Gate(NamedTuple):
    """What was found at one gate."""

    passed: bool
    found: str
    waived: str = ""
    """Why a person let it pass all the same."""

    def plain(self) -> dict[str, Any]:
        """As JSON data."""
        return self._asdict()


@dataclass(frozen=True)
class Version:
    """One model version."""

    name: str
    digest: str
    """Of the artefact; empty before there is one."""
    standing: Standing
    since: float
    """When it got there."""
    born: float
    facts: dict[str, Any]
    """What the event that made it known said: run, snapshot of the data, parent, why."""


@dataclass(frozen=True)
class Standings:
    """Everything that follows from the events about who answers."""

    versions: Mapping[str, Version] = field(default_factory=dict)
    champion: str = ""
    """The version that answers; empty before the first."""
    beside: str = ""
    """The version in SHADOW or CANARY."""
    share: float = 0.0
    """Of the requests, answered by the one in CANARY."""
    previous: str = ""
    """The champion before, as long as one can go back to it."""
    frozen: str = ""
    """Why nothing may be trained on what comes in; empty when it may."""

    def of(self, name: str) -> Version:
        """A version. Raises: DeploymentError for an unknown name."""
        if name not in self.versions:
            raise DeploymentError("version", expected="a version of this deployment", found=repr(name), fix=did_you_mean(name, self.versions))
        return self.versions[name]


def moved(now: Standings, name: str, to: Standing, gates: Mapping[str, Gate], **more: Any) -> Said:
    """The event of a step. Raises: DeploymentError where there is no such step, a gate was not asked, or one is shut."""
    version = now.of(name)
    _refuse_step(now, version, to, gates)
    body = {"from": version.standing, "to": to, "gates": {gate: found.plain() for gate, found in gates.items()}, **more}
    return Said("moved", name, body)


def _refuse_step(now: Standings, version: Version, to: Standing, gates: Mapping[str, Gate]) -> None:
    where = f"version {version.name}"
    needed = GATES.get((version.standing, to))
    if needed is None:
        steps = [b for a, b in GATES if a == version.standing]
        raise DeploymentError(where, expected=f"a step from {version.standing} ({', '.join(steps) or 'none: it is over'})", found=to,
                              fix="See `thuja timeline` for how it got there.")
    for gate in needed:
        if gate not in gates:
            raise DeploymentError(f"{where}: {gate}", expected=f"shown before {to}", found="not asked", fix="This is a defect of whoever decided.")
        if not gates[gate].passed and not gates[gate].waived:
            raise DeploymentError(f"{where}: {gate}", expected=f"passed before {to}", found=gates[gate].found, fix=f"Mend it, or waive it: --waive {gate}=why.")
    if to in SERVING and version.standing not in SERVING and now.champion and now.champion != version.name:
        raise DeploymentError(where, expected="one champion at a time", found=now.champion, fix="Let the old one step down in the same decision.")
    if to in ("SHADOW", "CANARY") and now.beside not in ("", version.name):
        raise DeploymentError(where, expected="one challenger at a time", found=now.beside, fix="Wait for it to end, or end it with `thuja rollback`.")


def fold(events: Sequence[Event], start: Standings | None = None) -> Standings:
    """The standings after these events, begun at `start`. Events that are about something else change nothing."""
    now = start or Standings()
    for event in events:
        now = after(now, event)
    return now


def after(now: Standings, event: Event) -> Standings:
    """The standings after one more event; what was written is taken as it stands, since its gates were looked at before."""
    match event.kind:
        case "version":
            fresh = Version(event.version, event.body.get("digest", ""), event.body.get("standing", "DRAFT"), event.at, event.at, event.body)
            return replace(now, versions={**now.versions, event.version: fresh})
        case "moved":
            return _moved(now, event)
        case "share":
            return replace(now, share=float(event.body["share"]))
        case "frozen":
            return replace(now, frozen=str(event.body["why"]))
        case "thawed":
            return replace(now, frozen="")
        case _:
            return now


def _moved(now: Standings, event: Event) -> Standings:
    old, to = now.versions[event.version], event.body["to"]
    new = replace(old, standing=to, since=event.at, digest=event.body.get("digest", old.digest))
    now = replace(now, versions={**now.versions, old.name: new})
    if to in SERVING:
        now = replace(now, champion=old.name, previous="" if now.previous == old.name else now.previous)
    elif now.champion == old.name:
        now = replace(now, champion="", previous=old.name if to == "RETIRING" else now.previous)
    elif now.previous == old.name and to != "RETIRING":
        now = replace(now, previous="")
    if to in ("SHADOW", "CANARY"):
        return replace(now, beside=old.name, share=float(event.body.get("share", 0.0)))
    return replace(now, beside="", share=0.0) if now.beside == old.name else now
