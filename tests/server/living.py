"""Deployments of toy artefacts for the server's tests: versions are added, promoted and taken back as `thuja deploy` and the others do."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import serve_toys

from thuja.artifact.folder import Artifact
from thuja.codec import Codec
from thuja.core.storage import DISK, Disk
from thuja.life.deployment import Deployment
from thuja.life.drift import summarised
from thuja.life.loss import LOSSES, Judged, judged_field
from thuja.life.plan import Plan
from thuja.life.states import GATES, Gate
from thuja.life.watch import LABEL, Reference

OPEN = Gate(True, "as it should be")
BEGIN = 1.7e9


class Clock:
    """Stands where it is put."""

    def __init__(self, now: float = BEGIN) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


def through(deployment: Deployment, version: str, *standings: str, **more: Any) -> None:
    """Take a version through standings, every gate open."""
    for to in standings:
        old = deployment.standings().of(version).standing
        last = more if to == standings[-1] else {}
        deployment.step(version, to, dict.fromkeys(GATES[old, to], OPEN), **last)  # type: ignore[index]


def promote(deployment: Deployment, version: str) -> None:
    """From wherever it stands to champion."""
    path = ("DRAFT", "TRAINED", "CANDIDATE", "SHADOW", "CANARY")
    through(deployment, version, *path[path.index(deployment.standings().of(version).standing) + 1 :])
    deployment.hand_over(version, dict.fromkeys(GATES["CANARY", "CHAMPION"], OPEN))


def add(deployment: Deployment, artifact: Path) -> str:
    """A new version, in DRAFT."""
    opened = Artifact.open(artifact)
    schema = opened.codec.schema()
    inputs = summarised(schema, {name: ["a"] * 3 for name in schema.inputs}) if set(schema.inputs) == {"message"} else {}
    judged = Judged(judged_field(schema), 1.0) if {type(field) for field in schema.outputs.values()} & set(LOSSES) else LABEL
    reference = Reference(inputs, 0.1, 1000, True, None, judged=judged)
    return deployment.add(opened, {"reference": deployment.evidence.keep_data(reference.plain()), "trained": deployment.clock()})


def deployed(path: Path, *, codec: Codec | None = None, shifts: tuple[float, ...] = (0.0, 5.0), plan: Plan | None = None,
             clock: Callable[[], float] | None = None, disk: Disk = DISK) -> Deployment:
    """A deployment with a version for each shift, the first of them champion."""
    made = Deployment.create(path / "shop", plan or Plan(), clock or Clock(), disk)
    for number, shift in enumerate(shifts):
        add(made, serve_toys.write(codec or serve_toys.ToyText(), path / f"artefact{number}", shift))
    if shifts:
        promote(made, "1")
    return made


def until(holds: Callable[[], object], seconds: float = 20.0) -> None:
    """Wait until something holds; the test fails where it never does."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "it never came to hold"
        time.sleep(0.01)


def canary(deployment: Deployment, version: str, share: float) -> None:
    """From DRAFT to a share of the requests."""
    through(deployment, version, "TRAINED", "CANDIDATE", "SHADOW")
    through(deployment, version, "CANARY", share=share)


def plant(monkeypatch: Any, digest: str, run: Callable[[Any, Any, str], Any]) -> None:
    """Whenever the artefact of this digest is loaded, it runs like this: `run(predictor, columns, program)`."""
    from thuja.server import app

    warmed = app._warmed

    def planted(predictor: Any) -> Any:
        predictor = warmed(predictor)
        if predictor.artifact.digest == digest:
            predictor.run = lambda columns, program="predict": run(predictor, columns, program)
        return predictor

    monkeypatch.setattr(app, "_warmed", planted)
