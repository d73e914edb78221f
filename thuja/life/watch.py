"""One look at a window of a deployment's life: faults first, then harm, then what can be said without labels, then how long it will last, and only to explain,
what has moved. A pure function, so that a replay of years and the service of today run the same lines.

What is remembered from look to look is `Memory`: plain data that goes into the ledger with each look, so that the log alone gives back every state.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple, Self

import numpy as np

from thuja.fields import Schema
from thuja.life import drift, estimate, fault
from thuja.life.estimate import Expected
from thuja.life.forecast import Forecast, updated
from thuja.life.lifetime import Life
from thuja.life.loss import Judged
from thuja.life.path import Seen
from thuja.life.plan import Plan
from thuja.life.sequential import Comparison, Detector, together, upper_bound

LABEL = Judged("label", 1.0)
ALL = ""
"""The name of the stream of all answers, beside those of groups."""
CLEAN = 2
"""Windows without a fault after which learning is allowed again."""
KEPT = 400
"""Windows whose audited loss is remembered."""
EXPLAINED = 5
"""Fields named in an explanation."""


@dataclass(frozen=True)
class Reference:
    """What is known of a model before it answers anybody: made at its evaluation, kept as evidence."""

    inputs: Mapping[str, drift.Summary]
    loss: float
    """Mean loss of the test rows, in [0, 1] (`life.loss`)."""
    rows: int
    share: bool
    """Whether each loss is 0 or 1."""
    expected: Expected | None
    groups: Mapping[str, tuple[float, int]] = field(default_factory=dict)
    """By stream: the mean loss and the rows of that group."""
    lives: tuple[Life, ...] = ()
    """Of similar models, in windows."""
    usual_gap: float = 0.0
    """Seconds between rows; 0: unknown."""
    judged: Judged = LABEL
    """What labels are about."""
    calendar: float | None = None
    """Windows between trainings that the ageing test found cheapest; None: never."""
    ways: tuple[tuple[float, ...], ...] = ()
    """How similar models went to their end (`path.ways_of`); empty: not known."""

    def plain(self) -> dict[str, Any]:
        """As JSON data."""
        return {"inputs": dict(self.inputs), "loss": self.loss, "rows": self.rows, "share": self.share,
                "expected": None if self.expected is None else self.expected.plain(), "groups": {name: list(group) for name, group in self.groups.items()},
                "lives": [list(life) for life in self.lives], "usual_gap": self.usual_gap, "judged": list(self.judged), "calendar": self.calendar,
                "ways": [list(way) for way in self.ways]}

    @classmethod
    def parse(cls, data: dict[str, Any]) -> Self:
        """From its plain form."""
        return cls(data["inputs"], data["loss"], data["rows"], data["share"], None if data["expected"] is None else Expected.parse(data["expected"]),
                   {name: (loss, rows) for name, (loss, rows) in data["groups"].items()}, tuple(Life(length, ended) for length, ended in data["lives"]),
                   data["usual_gap"], Judged(*data["judged"]), data["calendar"], tuple(tuple(way) for way in data.get("ways", ())))

    def claim(self, stream: str = ALL) -> float:
        """The loss that is still fine for a stream: as high as the reference may have been, chance considered."""
        loss, rows = (self.loss, self.rows) if stream == ALL else self.groups[stream]
        return upper_bound(loss, rows, share=self.share)


class Window(NamedTuple):
    """What happened between two looks."""

    start: float
    end: float
    requests: int
    refusals: int
    last_row: float
    """When the last row came; 0: none ever."""
    inputs: Mapping[str, drift.Summary]
    scores: np.ndarray
    """[answers]: what an estimate goes by (`life.loss.score_of`)."""
    losses: np.ndarray
    """[labels]: of answers drawn evenly whose labels came in this window."""
    groups: Mapping[str, np.ndarray]
    """By stream: which of those labels [labels] (bool) are of it."""


@dataclass(frozen=True)
class Memory:
    """What the next look needs of all before it."""

    detectors: Mapping[str, Detector] = field(default_factory=dict)
    gate: estimate.Gate = field(default_factory=estimate.Gate)
    losses: tuple[float, ...] = ()
    """The audited loss of each window of this model; NaN where there were no labels."""
    rows: tuple[int, ...] = ()
    waiting: tuple[float, ...] = ()
    """Losses of windows with too few labels, until there are enough."""
    clean: int = CLEAN
    """Windows without a fault, one after the other."""
    windows: int = 0

    def plain(self) -> dict[str, Any]:
        """As JSON data."""
        gate = {"trusted": self.gate.trusted, "windows": self.gate.windows, "nearer": self.gate.nearer.plain(), "farther": self.gate.farther.plain()}
        detectors = {name: [d.claim, list(d.log_statistics), d.batches] for name, d in self.detectors.items()}
        losses = [None if math.isnan(loss) else loss for loss in self.losses]
        return {"detectors": detectors, "gate": gate, "losses": losses, "rows": list(self.rows), "waiting": list(self.waiting), "clean": self.clean,
                "windows": self.windows}

    @classmethod
    def parse(cls, data: dict[str, Any]) -> Self:
        """From its plain form."""
        gate = data["gate"]
        return cls({name: Detector(claim, tuple(logs), batches) for name, (claim, logs, batches) in data["detectors"].items()},
                   estimate.Gate(gate["trusted"], Comparison.parse(gate["nearer"]), Comparison.parse(gate["farther"]), gate["windows"]),
                   tuple(math.nan if loss is None else loss for loss in data["losses"]), tuple(data["rows"]), tuple(data["waiting"]), data["clean"],
                   data["windows"])


class Look(NamedTuple):
    """What was found in one window."""

    faults: tuple[fault.Fault, ...]
    labels: int
    loss: float
    """Audited mean loss of the window; NaN without labels."""
    statistic: float
    """Of the alarm, all streams together."""
    alarm: bool
    streams: Mapping[str, float]
    """The statistic of each stream, the strongest first."""
    estimated: float
    """The loss expected without labels; NaN where there is none. Shown only if `trusted`."""
    trusted: bool
    why: str
    """Why the estimate is shown, or not."""
    forecast: Forecast
    moved: tuple[drift.Moved, ...]
    """Fields that moved beyond chance; looked for where there is an alarm, to explain it."""


def look(plan: Plan, schema: Schema, reference: Reference, memory: Memory, window: Window) -> tuple[Memory, Look]:
    """What the window says, and what is to be remembered of it. Nothing of a window with a fault is learned."""
    found = _faults(schema, reference, window)
    clean = 0 if found else memory.clean + 1
    memory = replace(memory, clean=clean, windows=memory.windows + 1)
    memory, streams = (memory, _statistics(memory)) if found else _harm(plan, reference, memory, window)
    statistic = together(list(streams.values()))
    alarm = not found and statistic >= plan.threshold
    audited = float(window.losses.mean()) if len(window.losses) and not found else math.nan
    estimated = reference.expected.confidence(window.scores[~np.isnan(window.scores)]) if reference.expected is not None else math.nan
    gate = memory.gate.after(estimated, reference.loss, audited) if not found else memory.gate
    memory = replace(memory, gate=gate, losses=(*memory.losses, audited)[-KEPT:], rows=(*memory.rows, len(window.losses) if not found else 0)[-KEPT:])
    seen = Seen(np.array(memory.losses), np.array(memory.rows), reference.loss + plan.harm.margin, reference.loss, reference.rows)
    ahead = updated(reference.lives, memory.windows, seen, tier=2 if sum(memory.rows) else 1, ways=np.array(reference.ways) if reference.ways else None)
    moved = drift.moved(schema.inputs, reference.inputs, window.inputs)[:EXPLAINED] if alarm or found else []
    return memory, Look(tuple(found), len(window.losses), audited, statistic, alarm, streams, estimated, gate.trusted, gate.why(), ahead,
                        tuple(one for one in moved if one.beyond))


def _faults(schema: Schema, reference: Reference, window: Window) -> list[fault.Fault]:
    since = window.end - window.last_row if window.last_row else 0.0
    return [*fault.refused(window.requests, window.refusals), *fault.late(since, reference.usual_gap),
            *fault.faults(schema.inputs, reference.inputs, window.inputs)]


def _harm(plan: Plan, reference: Reference, memory: Memory, window: Window) -> tuple[Memory, dict[str, float]]:
    """The detectors after the labels of this window, once there are enough of them."""
    losses = np.concatenate([np.array(memory.waiting), window.losses])
    if len(losses) < plan.harm.fewest:
        return replace(memory, waiting=tuple(losses.tolist())), _statistics(memory)
    detectors = {**memory.detectors, ALL: _detector(memory, reference, ALL).after(losses)}
    for stream, members in window.groups.items():
        if stream in reference.groups and members.any():
            detectors[stream] = _detector(memory, reference, stream).after(window.losses[members])
    memory = replace(memory, detectors=detectors, waiting=())
    return memory, _statistics(memory)


def _detector(memory: Memory, reference: Reference, stream: str) -> Detector:
    return memory.detectors.get(stream) or Detector(reference.claim(stream))


def _statistics(memory: Memory) -> dict[str, float]:
    found = {stream: detector.statistic for stream, detector in memory.detectors.items()}
    return dict(sorted(found.items(), key=lambda item: -item[1]))


def answered(memory: Memory) -> Memory:
    """After an alarm has been told of: the watch begins again, so that one harm is told of once."""
    return replace(memory, detectors={name: Detector(detector.claim) for name, detector in memory.detectors.items()}, waiting=())
