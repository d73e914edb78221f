"""Deployments in miniature for the tests of what people see: the toy that answers twice the size, days of rows with their truth, on a clock of their own."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import toys

from thuja.artifact import folder
from thuja.artifact.folder import Artifact
from thuja.life.calls import Call
from thuja.life.deployment import Deployment
from thuja.life.drift import summarised
from thuja.life.labels import Label
from thuja.life.ledger import Said
from thuja.life.lifetime import Life
from thuja.life.loss import Judged, losses, scale_of
from thuja.life.plan import Plan
from thuja.life.replay import Hasty
from thuja.life.states import GATES, Gate
from thuja.life.watch import Reference

DAY = 86400.0
BEGIN = 1.7e9 // DAY * DAY
OPEN = Gate(True, "as it should be")
LIVES = tuple(Life(length, True) for length in range(100, 180, 10))


@dataclass
class Clock:
    now: float = BEGIN

    def __call__(self) -> float:
        return self.now


def rows(seed: int, count: int = 40, shift: float = 0.0, stuck: bool = False) -> tuple[list[dict[str, Any]], ...]:
    """Inputs, the toy's answers and the truths of a day."""
    rng = np.random.default_rng(seed)
    size = np.full(count, 400.0) if stuck else rng.uniform(100, 800, count)
    inputs = [{"size": float(s), "shop": "north" if i % 2 else "south"} for i, s in enumerate(size)]
    truths = 2.0 * size + rng.normal(0, 50, count) + shift
    return inputs, [{"value": 2.0 * float(s)} for s in size], [{"value": float(truth)} for truth in truths]


def reference(schema: Any, lives: tuple[Life, ...] = LIVES) -> Reference:
    inputs, answers, truths = rows(999, 4000)
    scale = scale_of(schema.outputs["value"], [a["value"] for a in answers], [t["value"] for t in truths])
    lost = losses(schema, Judged("value", scale), answers, truths)
    summary = summarised(schema, {name: [row[name] for row in inputs] for name in schema.inputs})
    return Reference(summary, float(lost.mean()), len(lost), False, None, {}, lives, DAY / 40, Judged("value", scale), 60.0)


def begin(path: Path, plan: Plan | None = None, *, lives: tuple[Life, ...] = LIVES, champion: bool = True) -> Deployment:
    """A deployment of one version, which answers."""
    made = Deployment.create(path, plan or Plan(), Clock(), Hasty())
    made.kinds = toys.KINDS
    add(made, lives=lives)
    if champion:
        through(made, "1", "TRAINED", "CANDIDATE", "SHADOW", "CANARY")
        made.hand_over("1", dict.fromkeys(GATES["CANARY", "CHAMPION"], OPEN))
    return made


def add(deployment: Deployment, weight: float = 2.0, lives: tuple[Life, ...] = LIVES) -> str:
    """Another version."""
    place = deployment.path.parent / f"made-{deployment.path.name}-{len(deployment.standings().versions)}"
    folder.write(place, toys.plain_files(weight=weight), kind="toy-table", clock=deployment.clock)
    artifact = Artifact.open(place, toys.KINDS)
    facts = {"reference": deployment.evidence.keep_data(reference(artifact.codec.schema(), lives).plain()), "trained": deployment.clock()}
    return deployment.add(artifact, facts)


def through(deployment: Deployment, version: str, *standings: Any) -> None:
    """Steps of a version's life, every gate open."""
    for to in standings:
        now = deployment.standings()
        deployment.step(version, to, dict.fromkeys(GATES[now.of(version).standing, to], OPEN))


def live(deployment: Deployment, days: int, *, labelled: bool = True, **how: Any) -> None:
    """So many days of traffic, labels at its end, and a look after each."""
    clock: Any = deployment.clock
    for _ in range(days):
        start = clock.now
        inputs, answers, truths = rows(int(start // DAY), **how)
        times = start + np.linspace(1, DAY - 120, len(inputs))
        who = deployment.standings().champion
        calls = [Call(deployment.calls.new_id(at), float(at), who, row, answer, 0.4, 1.0) for at, row, answer in zip(times, inputs, answers, strict=True)]
        assert deployment.calls.add(calls)
        clock.now = start + DAY
        if labelled:
            deployment.labels.add([Label(call.id, call.at + 60, truth) for call, truth in zip(calls, truths, strict=True)], came=clock.now - 60)
        deployment.look()


def say(deployment: Deployment, kind: str, version: str = "", *, by: str = "policy", **body: Any) -> None:
    """An event as somebody else would write it."""
    deployment.ledger.append([Said(kind, version, body, by=by)])
