"""A deployment: a folder in which one application lives, from its first version to its retirement. What happened is in the ledger, and nowhere else.

    ledger.log      what happened, and what was decided (`life.ledger`)
    evidence/       what decisions rest on, by content
    versions/1/     artefacts, copied in whole
    calls/ labels/  what was answered, and what turned out to be true, by the hour
    plan.json       what may happen by itself
"""

import contextlib
import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple, Self

import numpy as np

from thuja.apps import CODECS
from thuja.artifact.folder import Artifact
from thuja.core import digest
from thuja.core.clock import Clock, wall
from thuja.core.errors import ArtifactError, DataError, DeploymentError
from thuja.core.seeds import stream
from thuja.core.storage import DISK, Disk, build_folder, write_atomic
from thuja.fields import Audio, Image, Mask, Schema
from thuja.fields.base import Field
from thuja.life import drift
from thuja.life.calls import Call, Calls
from thuja.life.ends import ending
from thuja.life.evidence import Evidence
from thuja.life.labels import Counted, Labels, join
from thuja.life.ledger import Event, Ledger, Said, Stale
from thuja.life.loss import losses, score_of
from thuja.life.plan import Plan
from thuja.life.policy import Decision, Known, decide, gained, spell
from thuja.life.states import Gate, Standing, Standings, after, fold, moved
from thuja.life.watch import CLEAN, Look, Memory, Reference, Window, answered, look

LEDGER, PLAN, VERSIONS = "ledger.log", "plan.json", "versions"
FILES = (Audio, Image, Mask)
"""Fields whose values are files, which take long to decode."""
MOST = 20_000
"""Answers of a window that a look is made of, beyond all that have labels."""
AGAIN = 20
"""Times that a decision is made anew because others have written meanwhile."""


class Looked(NamedTuple):
    """What a look came to."""

    look: Look
    decision: Decision
    labels: Counted
    events: list[Event]


@dataclass
class Deployment:
    """One application in service. Any number of processes may open it; each decision is made on the newest events, or made again."""

    path: Path
    clock: Clock = wall
    disk: Disk = field(default=DISK, repr=False)
    kinds: Mapping[str, str] = field(default_factory=lambda: CODECS, repr=False)
    """Applications whose artefacts may be opened."""

    @classmethod
    def create(cls, path: Path, plan: Plan, clock: Clock = wall, disk: Disk = DISK) -> Self:
        """A new one. Raises: DeploymentError where there is one already."""
        if (path / PLAN).exists():
            raise DeploymentError(str(path), expected="an empty or absent folder", found="a deployment", fix="Name another folder, or add a version to it.")
        write_atomic(path / PLAN, digest.canonical(plan.model_dump(mode="json")), disk)
        return cls(path, clock, disk)

    @classmethod
    def open(cls, path: Path, clock: Clock = wall, disk: Disk = DISK) -> Self:
        """An existing one. Raises: DeploymentError."""
        if not (path / PLAN).is_file():
            raise DeploymentError(str(path), expected="the folder of a deployment", found="no plan in it" if path.is_dir() else "no such folder",
                                  fix="Make one with `thuja deploy ARTEFACT`.")
        return cls(path, clock, disk)

    @cached_property
    def plan(self) -> Plan:
        """What may happen by itself. Raises: ArtifactError for one that makes no sense."""
        try:
            return Plan.model_validate(json.loads(self.disk.read(self.path / PLAN)))
        except ValueError as error:
            raise ArtifactError(str(self.path / PLAN), expected="a plan", found=str(error).splitlines()[0], fix="Correct it, or restore it.") from error

    @cached_property
    def ledger(self) -> Ledger:
        """What happened."""
        return Ledger(self.path / LEDGER, self.clock, self.disk)

    @cached_property
    def evidence(self) -> Evidence:
        """What decisions rest on."""
        return Evidence(self.path / "evidence", self.disk)

    @cached_property
    def calls(self) -> Calls:
        """What was answered."""
        return Calls(self.path / "calls", self.disk, self.plan.record.file)

    @cached_property
    def labels(self) -> Labels:
        """What turned out to be true."""
        return Labels(self.path / "labels", self.disk, self.plan.record.file)

    def standings(self) -> Standings:
        """Who answers now, and where every version stands."""
        return fold(self.ledger.events())

    def place(self, version: str) -> Path:
        """Where a version's artefact is."""
        return self.path / VERSIONS / version

    def artifact(self, version: str) -> Artifact:
        """A version's artefact, verified. Raises: DeploymentError for an unknown version; ArtifactError for a damaged or another one."""
        known = self.standings().of(version)
        artifact = Artifact.open(self.place(version), self.kinds)
        if artifact.digest != known.digest:
            raise ArtifactError(str(self.place(version)), expected=f"the artefact {known.digest[:12]}", found=artifact.digest[:12],
                                fix="Put back the one that was deployed.")
        return artifact

    def add(self, artifact: Artifact, facts: Mapping[str, Any], *, by: str = "policy") -> str:
        """A new version (DRAFT), its artefact copied in; its name. Raises: ArtifactError, StorageError."""
        name = str(1 + max((int(known) for known in self.standings().versions if known.isdecimal()), default=0))
        with build_folder(self.place(name), self.disk) as draft:
            for file in ("manifest.json", *artifact.manifest.files):
                data = (artifact.path / file).read_bytes() if file == "manifest.json" else artifact.read(file)
                self.disk.extend(draft / file, data)
        body = {"digest": artifact.digest, "kind": artifact.codec.kind, "born": self.clock(), **facts}
        self.ledger.append([Said("version", name, body, by=by)])
        return name

    def step(self, version: str, to: Any, gates: Mapping[str, Gate], *, by: str = "policy", **more: Any) -> list[Event]:
        """Take one step of a version's life. Raises: DeploymentError where it is not open."""
        return self.say(lambda now: [moved(now, version, to, gates, **more)._replace(by=by)])

    def hand_over(self, version: str, gates: Mapping[str, Gate], *, by: str = "policy") -> list[Event]:
        """Let a version in CANARY be the champion; the one before steps down in the same decision. Raises: DeploymentError."""
        return self.say(lambda now: steps(now, handover(now, version, gates), by))

    def go_back(self, cause: str, *, by: str = "policy") -> list[Event]:
        """End a canary, or put the champion before back in its place. Raises: DeploymentError where there is nothing to go back to."""
        return self.say(lambda now: _back(now, cause, by))

    def say(self, decision: Callable[[Standings], list[Said]]) -> list[Event]:
        """Write what a decision says, made on the standings as they are; made again when others were faster."""
        for _ in range(AGAIN):
            events = self.ledger.events()
            try:
                return self.ledger.append(decision(fold(events)), after=len(events))
            except Stale:
                continue
        raise DeploymentError(str(self.path), expected="a moment in which nobody else writes", found="none", fix="Try again.")

    def reference(self, version: str) -> Reference:
        """What is known of a version from before it answered anybody."""
        facts = self.standings().of(version).facts
        return Reference.parse(self.evidence.get_data(facts["reference"]))

    def memory(self, version: str, events: list[Event]) -> tuple[Memory, float]:
        """What the last look at a version left, and when that was; a fresh memory, and the start of its service, where there was none."""
        for event in reversed(events):
            if event.version != version:
                continue
            if event.kind == "look":
                return Memory.parse(event.body["memory"]), float(event.body["end"])
            if event.kind == "moved" and event.body["to"] == "CHAMPION" and event.body["from"] == "CANARY":
                return Memory(), event.at
        return Memory(), self.clock()

    def look(self) -> Looked | None:
        """Look at what has happened since the last look, decide, and write both down; None while nobody answers, or where another process has written something
        meanwhile: the next look is made on that. Learning is left to the caller: a decision to retrain is a wish."""
        events = self.ledger.events()
        now = fold(events)
        if not now.champion:
            return None
        version, end = now.champion, self.clock()
        memory, start = self.memory(version, events)
        artifact, reference = self.artifact(version), self.reference(version)
        window, counted = self.window(version, artifact.codec.schema(), reference, start, end, events)
        memory, found = look(self.plan, artifact.codec.schema(), reference, memory, window)
        decision = self._decided(now, events, memory, found, reference, end)
        kept = answered(memory) if found.alarm else memory
        body = _body(window, counted, found, decision) | {"memory": kept.plain()} | ({"ending": soon} if (soon := ending(self.plan, end)) else {})
        try:
            written = self.ledger.append([Said("look", version, body), *_consequences(version, now, memory, found)], after=len(events))
        except Stale:
            return None
        return Looked(found, decision, counted, written)

    def window(self, version: str, schema: Schema, reference: Reference, start: float, end: float, events: list[Event]) -> tuple[Window, Counted]:
        """What happened between two times, as a look takes it."""
        calls, kept, last_call = self._drawn(version, start, end)
        counts = self.calls.counted(start, end)
        came = self.labels.between(start, end)
        before = self.labels.truths((label.call for label in came), start - self.plan.record.keep, start)
        about = {name: call for name, call in self.calls.named(label.call for label in came).items() if call.version == version}
        counted = join(about.values(), came, before)
        even = [joined for joined in counted.joined if joined.label.evenly]
        lost = losses(schema, reference.judged, [one.call.answer for one in even], [one.label.truth for one in even])
        even, lost = [one for one, known in zip(even, ~np.isnan(lost), strict=True) if known], lost[~np.isnan(lost)]
        inputs = _summaries(schema, calls, [one.inputs for one in counts if one.inputs])
        last = last_call or max((one.end for one in counts if one.requests), default=_last_row(events))
        requests = sum(one.requests for one in counts) or kept
        scores = score_of(schema, [call.answer for call in calls])[0] if calls else np.zeros(0)
        return Window(start, end, requests, sum(one.refusals for one in counts), last, inputs, scores, lost,
                      _streams(self.plan.harm.groups, [one.call for one in even])), counted

    def _drawn(self, version: str, start: float, end: float) -> tuple[list[Call], int, float]:
        """Answers of a version that were kept in some time, MOST at most, evenly drawn; how many there are, and when anybody was last answered (0: never):
        while a challenger answers everything, rows have not stopped coming."""
        rng, drawn, count, last = stream(int(start), "window"), list[Call](), 0, 0.0
        for call in self.calls.between(start, end):
            last = max(last, 0.0 if call.shade else call.at)
            if call.version != version or call.shade:
                continue
            count += 1
            if len(drawn) < MOST:
                drawn.append(call)
            elif (place := int(rng.integers(count))) < MOST:
                drawn[place] = call
        return drawn, count, last

    def _decided(self, now: Standings, events: list[Event], memory: Memory, found: Look, reference: Reference, end: float) -> Decision:
        trained = max((float(version.facts.get("trained", version.born)) for version in now.versions.values()), default=end)
        since = [event for event in events if event.kind == "look" and event.at >= trained]
        frozen = now.frozen if memory.clean < CLEAN else ""
        if found.faults:
            frozen = "; ".join(map(str, found.faults))
        calendar = math.inf if reference.calendar is None else reference.calendar
        unanswered = found.alarm or any(event.kind == "alarm" and event.at >= trained for event in events)
        labels = sum(event.body["labels"] for event in since) + found.labels
        return decide(self.plan, Known(end, trained, unanswered, found.forecast, calendar, labels, frozen, bool(now.beside),
                                       spell(memory.losses, reference.claim()), gained(events, now, self.plan.harm.window)))


Step = tuple[str, Standing, Mapping[str, Gate]]
"""A version, where it goes, and what is shown at the gates."""


def handover(now: Standings, version: str, gates: Mapping[str, Gate]) -> list[Step]:
    """The champion steps down, if there is one, and another version up."""
    down: list[Step] = [(now.champion, "RETIRING", {"successor": Gate(True, version)})] if now.champion else []
    return [*down, (version, "CHAMPION", gates)]


def steps(now: Standings, wanted: Sequence[Step], by: str) -> list[Said]:
    """Several steps in one decision: each is looked at as if those before it had been taken."""
    said: list[Said] = []
    for version, to, gates in wanted:
        said.append(moved(now, version, to, gates)._replace(by=by))
        now = after(now, Event(0, 0.0, said[-1].kind, version, said[-1].body, (), by, "", ""))
    return said


def _back(now: Standings, cause: str, by: str) -> list[Said]:
    why = Gate(True, cause)
    if now.beside and now.versions[now.beside].standing == "CANARY":
        return steps(now, [(now.beside, "ROLLED_BACK", {"cause": why})], by)
    if not now.champion or not now.previous:
        raise DeploymentError("rollback", expected="a champion and one before it", found=f"champion {now.champion or 'none'}, before it none",
                              fix="Deploy another version.")
    return steps(now, [(now.champion, "ROLLED_BACK", {"cause": why}), (now.previous, "CHAMPION", {"cause": why, "schema": Gate(True, "as before")})], by)


def _body(window: Window, counted: Counted, found: Look, decision: Decision) -> dict[str, Any]:
    """What the ledger keeps of a look."""
    return {"start": window.start, "end": window.end, "requests": window.requests, "refusals": window.refusals, "labels": found.labels,
            "loss": None if math.isnan(found.loss) else round(found.loss, 6), "statistic": round(found.statistic, 4),
            "estimated": None if math.isnan(found.estimated) or not found.trusted else round(found.estimated, 6), "why": found.why,
            "forecast": found.forecast.plain(), "decision": decision._asdict() | {"due": None if math.isinf(decision.due) else decision.due},
            "unknown_labels": counted.unknown, "repeated_labels": counted.repeated, "contradicted_labels": counted.contradicted,
            "early_labels": counted.early}


def _consequences(version: str, now: Standings, memory: Memory, found: Look) -> list[Said]:
    """The events that follow from a look."""
    said: list[Said] = []
    if found.faults:
        said.append(Said("fault", version, {"faults": [one._asdict() for one in found.faults], "moved": [one._asdict() for one in found.moved]}))
        if not now.frozen:
            said.append(Said("frozen", version, {"why": "; ".join(map(str, found.faults))}))
    elif now.frozen and memory.clean >= CLEAN:
        said.append(Said("thawed", version, {"why": f"{memory.clean} windows without a fault"}))
    if found.alarm:
        said.append(Said("alarm", version, {"statistic": round(found.statistic, 2), "streams": dict(list(found.streams.items())[:5]),
                                            "moved": [one._asdict() for one in found.moved]}))
        if now.versions[version].standing == "CHAMPION":
            said.append(moved(now, version, "WATCH", {"cause": Gate(True, "an alarm of harm")}))
    return said


def _summaries(schema: Schema, calls: list[Call], counted: list[Mapping[str, Any]]) -> dict[str, drift.Summary]:
    """Of every input field: from the rows where they were kept, else from what the server summarised. Files are summarised by the server alone."""
    rows = [call.inputs for call in calls if call.inputs is not None]
    plain = {name: field for name, field in schema.inputs.items() if rows and not isinstance(field, FILES) and all(name in row for row in rows)}
    found = {name: field.summarise(_raw(field, [row[name] for row in rows])) for name, field in plain.items()}
    return found | {name: drift.merged([one[name] for one in counted if name in one])
                    for name in schema.inputs if name not in plain and any(name in one for one in counted)}


def _raw(field: Field, values: Sequence[Any]) -> list[Any]:
    """Values as they were before they became JSON; without those that this version of the schema does not take."""
    raw = []
    for value in values:
        with contextlib.suppress(DataError):
            raw.append(field.from_json(value, "inputs"))
    return raw


def _streams(groups: tuple[str, ...], calls: list[Call]) -> dict[str, np.ndarray]:
    """Which answers are of which stream, by the values of the inputs that are watched apart."""
    found: dict[str, np.ndarray] = {}
    for name in groups:
        values = [None if call.inputs is None else call.inputs.get(name) for call in calls]
        for value in sorted({str(value) for value in values if value is not None}):
            found[f"{name}={value}"] = np.array([str(one) == value if one is not None else False for one in values], bool)
    return found


def _last_row(events: list[Event]) -> float:
    """When rows last came, by the looks before; 0 where there were none."""
    return max((float(event.body["end"]) for event in events if event.kind == "look" and event.body["requests"]), default=0.0)

