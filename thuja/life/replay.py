"""Years in seconds: a stream of rows with their truth is lived through on a clock of its own, by the code that runs in production.

A replay answers every row with the version that would have answered it, keeps the calls, brings the labels when they would have come, ticks, and has a model
trained when the policy wishes for one. It invents nothing else: what happens is in the ledger of a deployment like any other.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np

from thuja.artifact.runtime import Predictor
from thuja.core.seeds import stream
from thuja.core.storage import Disk
from thuja.life.calls import Call
from thuja.life.conduct import Ticked, tick
from thuja.life.deployment import Deployment
from thuja.life.labels import Label
from thuja.life.loss import losses
from thuja.life.states import Standings


class Row(NamedTuple):
    """One row of a stream."""

    at: float
    inputs: dict[str, Any]
    truth: dict[str, Any]
    """By output field; empty where it is known to nobody."""
    known_after: float | None = None
    """Seconds until a label of it comes; inf: never; None: as the replay says."""


class Rows(Protocol):
    """A stream: the rows between two times, oldest first."""

    def __call__(self, start: float, end: float) -> Sequence[Row]: ...


class Hasty(Disk):
    """A disk that is not waited for: what a replay has written is made again by another replay, if the machine dies."""

    def sync(self, path: Path) -> None:
        """Nothing."""

    def sync_folder(self, path: Path) -> None:
        """Nothing."""


@dataclass
class ReplayClock:
    """A clock that stands where it is put."""

    now: float

    def __call__(self) -> float:
        return self.now


class Lived(NamedTuple):
    """One step of a replay."""

    start: float
    end: float
    rows: int
    ticked: Ticked
    standings: Standings
    loss: float
    """Mean loss of what users saw, whether labels of it ever come or not; NaN without rows."""
    judged: int
    """Rows that rests on."""


@dataclass
class Replay:
    """A deployment on a clock of its own, and a stream that it lives through."""

    deployment: Deployment
    clock: ReplayClock
    rows: Rows
    renew: Callable[[Deployment, float], str]
    """Train a challenger on what is known at a time, add it to the deployment and bring it to SHADOW; its name, or nothing where that failed."""
    delay: float = 0.0
    """Seconds until a label comes."""
    labelled: float = 1.0
    """Share of the rows whose label ever comes, evenly drawn."""
    seed: int = 0
    _waiting: list[Label] = field(default_factory=list)
    _predictors: dict[str, Predictor] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.rng = stream(self.seed, "replay")

    def live(self, end: float, step: float) -> Iterator[Lived]:
        """From now to `end`, a tick after every `step` seconds."""
        while self.clock.now + step <= end + 1e-6:
            start, until = self.clock.now, self.clock.now + step
            rows = self.rows(start, until)
            lost = self._answer(rows)
            self.clock.now = until
            self._labels_come(until)
            ticked = tick(self.deployment)
            if ticked.wants:
                self.renew(self.deployment, until)
            yield Lived(start, until, len(rows), ticked, self.deployment.standings(), float(lost.mean()) if len(lost) else math.nan, len(lost))

    def _answer(self, rows: Sequence[Row]) -> np.ndarray:
        """Keep what each version would have answered: the champion or, for its share, the challenger, and the other in the shade. The losses of what was seen
        [rows with a truth]."""
        standings = self.deployment.standings()
        if not rows or not standings.champion:
            return np.zeros(0)
        inputs = {name: [row.inputs.get(name) for row in rows] for name in self._predictor(standings.champion).schema.inputs}
        answers = {version: self._answers(version, inputs) for version in (standings.champion, standings.beside) if version}
        drawn = self.rng.random(len(rows))
        calls: list[Call] = []
        truth: dict[str, dict[str, Any]] = {}
        for place, row in enumerate(rows):
            seen = standings.beside if standings.beside and drawn[place] < standings.share else standings.champion
            name = self.deployment.calls.new_id(row.at)
            truth[name] = row.truth
            for version, theirs in answers.items():
                calls.append(Call(name, row.at, version, row.inputs, theirs[place], 1.0, 1.0, shade=version != seen))
            comes = self.rng.random() < self.labelled
            after = row.known_after if row.known_after is not None else self.delay if comes else math.inf
            if row.truth and math.isfinite(after):
                self._waiting.append(Label(name, row.at + after, row.truth))
        self.deployment.calls.add(calls)
        told = [(call.answer, truth[call.id]) for call in calls if not call.shade and truth[call.id]]
        judged = self.deployment.reference(standings.champion).judged
        lost = losses(self._predictor(standings.champion).schema, judged, [answer for answer, _ in told], [known for _, known in told])
        return np.asarray(lost[~np.isnan(lost)])

    def _labels_come(self, now: float) -> None:
        come = [label for label in self._waiting if label.at <= now]
        self._waiting = [label for label in self._waiting if label.at > now]
        if come:
            self.deployment.labels.add(come, came=now - 1e-3)

    def _answers(self, version: str, inputs: Mapping[str, list[Any]]) -> list[dict[str, Any]]:
        predictor = self._predictor(version)
        fields = predictor.schema.outputs
        outputs = predictor.predict(inputs)
        return [{name: fields[name].to_json(values[place]) for name, values in outputs.items()} for place in range(len(next(iter(outputs.values()))))]

    def _predictor(self, version: str) -> Predictor:
        if version not in self._predictors:
            self._predictors[version] = Predictor(self.deployment.artifact(version))
        return self._predictors[version]
