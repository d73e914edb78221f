"""The verb `train`: from a spec to a Run, or on from where a Run stopped, to the same bits."""

import math
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any, NamedTuple

import torch
from torch import Tensor

from thuja.codec import Codec, Columns, count
from thuja.core.errors import TrainError
from thuja.core.seeds import mix
from thuja.run import Run
from thuja.settings import Train
from thuja.spec import Spec
from thuja.task import Task
from thuja.training import allocator, checkpoint, health
from thuja.training.look import better, examine, measure
from thuja.training.loop import Step, begin, steps
from thuja.training.prepare import Prepared, prepare, reopen

RECORDS = 200
"""Loss records of a whole run; how often is a function of the steps alone, so that a continued run writes the same ones."""
FLUSH_S = 2.0
"""Records are held in memory at most this long: each write waits for the disk."""


class Progress(NamedTuple):
    """What a person watching wants to know."""

    step: int
    steps: int
    losses: dict[str, float]
    """Means since the last one."""
    metric: str
    """The name of the one that decides."""
    value: float | None
    """The metric at the last look."""
    best: float | None
    rows_per_s: float
    seconds: float
    """Since the start, earlier sittings included."""
    seconds_left: float
    note: str = ""
    """Something to say once: a damaged checkpoint was passed over, training stopped early."""


@dataclass
class History:
    """What the `for` body remembers; plain data, saved in every checkpoint."""

    looks: list[list[float | int | None]] = field(default_factory=list)
    """[step, metric] of every look."""
    best: float | None = None
    waited: int = 0
    """Looks since the best one."""
    keep: int | None = None
    """Step of the checkpoint to evaluate and export; None for the last one."""
    pending: dict[str, list[float]] = field(default_factory=dict)
    """Losses since the last record."""


def train(spec: Spec[Any] | Path | str | None, *, data: Any = None, overrides: Sequence[str] = (), root: Path = Path("runs"), resume: Path | None = None,
          progress: Callable[[Progress], None] | None = None) -> Run:
    """Train what `spec` (or its file) says, and leave a Run under `root`.

    Args:
        data: rows as a Python object, in place of `spec.data.path`.
        overrides: "name=value" changes of a spec read from a file.
        resume: the folder of a run to continue. Its own spec, settled when it began, is used and `spec` is not looked at.
        progress: called at every record (about 200 a run) and every look.
    On SIGTERM the state is saved and SystemExit(0) raised; on SIGINT, KeyboardInterrupt.
    Raises: SpecError, DataError, CheckError before step one; TrainError with a diagnosis; StorageError when the disk is full.
    """
    allocator.keep_freed_memory()  # before anything is timed
    if resume is not None:
        prepared = reopen(Run.open(resume), data)
    else:
        assert spec is not None, "a spec, or a run to resume"
        prepared = prepare(spec, data, overrides, root)
    carry_out(prepared, progress)
    return prepared.run


def carry_out(prepared: Prepared, progress: Callable[[Progress], None] | None = None) -> None:
    """All steps from the last checkpoint (or the first step) to the horizon; see `train`."""
    session = _Session(prepared, progress)
    if session.over:
        return
    with _stop_signals() as asked:
        for step in steps(session.task, session.state, prepared.train, session.train):
            session.gather(step)
            done = step.number == session.total
            if done or step.number % session.record_every == 0:
                session.record(step)
            if done or step.number % session.look_every == 0:
                session.look(step)
            done = done or session.out_of_patience
            if done or asked or step.number % session.save_every == 0 or session.history.keep == step.number:
                session.save()
            if done:
                break
            if asked:
                raise KeyboardInterrupt if asked[0] == signal.SIGINT else SystemExit(0)
    session.end()


@contextmanager
def _stop_signals() -> Iterator[list[int]]:
    """SIGTERM and SIGINT only note themselves while inside, so that a step is never cut in two. (Only the main thread can ask for signals.)"""
    asked: list[int] = []

    def note(number: int, _frame: FrameType | None) -> None:
        asked.append(number)

    try:
        before = {number: signal.signal(number, note) for number in (signal.SIGTERM, signal.SIGINT)}
    except ValueError:
        before = {}
    try:
        yield asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class _Session:
    """One sitting of a run: the state, the history, and what is done with them when it is due."""

    def __init__(self, prepared: Prepared, progress: Callable[[Progress], None] | None) -> None:
        self.run: Run = prepared.run
        self.task: Task = prepared.spec.task
        self.codec: Codec = prepared.codec
        self.train: Train = prepared.spec.train
        self.validation: Columns = prepared.validation
        self.progress = progress or (lambda _progress: None)
        assert isinstance(self.train.steps, int) and isinstance(self.train.evaluate_every, int) and isinstance(self.train.save_every, int)
        self.total, self.look_every, self.save_every = self.train.steps, self.train.evaluate_every, self.train.save_every
        self.record_every = max(1, self.total // RECORDS)
        self.losses: dict[str, list[Tensor]] = {}
        self.records: list[dict[str, Any]] = []
        self.note = ""
        self._begin()

    def _begin(self) -> None:
        self.state = begin(self.task, self.codec, self.train)
        restored = checkpoint.restore(self.run.checkpoints, self.state)
        self.history = History(**restored.history) if restored else History()
        self.run.rewind(self.state.step)
        before = [r["seconds"] for r in self.run.records() if "seconds" in r]
        self.seconds_before = before[-1] if before else 0.0
        self.started = self.flushed = self.recorded = time.perf_counter()
        self.first = self.recorded_step = self.state.step
        if not self.over:
            self.run.log({"event": "begin", "step": self.state.step, "time": time.time(), "seconds": self.seconds_before})
        if restored and restored.damaged:
            self.note = f"Continued from step {self.state.step}; passed over: {' '.join(restored.damaged)}"
            self.run.log({"event": "damaged", "step": self.state.step, "found": restored.damaged})

    @property
    def over(self) -> bool:
        """Whether no step is left to make."""
        return self.state.step >= self.total or self.out_of_patience

    @property
    def out_of_patience(self) -> bool:
        return self.train.patience is not None and self.history.waited >= self.train.patience

    @property
    def seconds(self) -> float:
        return self.seconds_before + time.perf_counter() - self.started

    def gather(self, step: Step) -> None:
        """Keep the losses on the device until a record is due."""
        for name, value in step.losses.items():
            self.losses.setdefault(name, []).append(value)

    def _settle_losses(self) -> None:
        """Losses from tensors to numbers: the only place that waits for the device."""
        for name, values in self.losses.items():
            self.history.pending.setdefault(name, []).extend(torch.stack([v.float() for v in values]).tolist())
        self.losses.clear()

    def record(self, step: Step) -> None:
        """Mean losses since the last record; stops the run when one is not finite."""
        self._settle_losses()
        pending = self.history.pending
        if not all(math.isfinite(v) for values in pending.values() for v in values):
            self._stop_not_finite(step)
        losses = {name: math.fsum(values) / len(values) for name, values in pending.items()}
        self.history.pending = {}
        now = time.perf_counter()
        rate = (step.number - self.recorded_step) * int(self.train.batch) / max(now - self.recorded, 1e-9)
        self.recorded, self.recorded_step = now, step.number
        self.records.append({"event": "step", "step": step.number, "losses": losses, "rows_per_s": round(rate, 1), "seconds": round(self.seconds, 3)})
        if now - self.flushed > FLUSH_S:
            self._flush()
        self._show(step.number, losses, rate)

    def _show(self, number: int, losses: dict[str, float], rate: float) -> None:
        sitting = time.perf_counter() - self.started
        left = sitting / max(1, number - self.first) * (self.total - number)
        value = self.history.looks[-1][1] if self.history.looks else None
        self.progress(Progress(number, self.total, losses, self.task.goal.metric, value, self.history.best, rate, self.seconds, left, self.note))
        self.note = ""

    def _stop_not_finite(self, step: Step) -> None:
        with health.first_bad(step.state.model) as found, torch.no_grad():
            for objective in step.state.objectives:
                objective.loss(step.batch, torch.Generator(self.train.device).manual_seed(mix(self.train.seed, "look", step.number)))
        pending = self.history.pending
        first = step.number - len(next(iter(pending.values()))) + 1
        assert not isinstance(self.train.optimizer, str)
        health.check_losses(first, pending, found[0] if found else "the loss", self.train.optimizer.learning_rate)

    def look(self, step: Step) -> None:
        """The metric on the validation rows; the model's health."""
        if not count(self.validation):
            return
        value, outputs = measure(self.task, self.codec, self.state.best_model, self.validation, self.train)
        best = better(self.task, value, self.history.best)
        self.history.looks.append([step.number, value if math.isfinite(value) else None])
        self.history.best = value if best else self.history.best
        self.history.waited = 0 if best else self.history.waited + 1
        if best and self.train.patience is not None:
            self.history.keep = step.number
        self.records.append({"event": "look", "step": step.number, "metric": self.task.goal.metric, "value": self.history.looks[-1][1], "best": best,
                             "seconds": round(self.seconds, 3)})
        self._flush()
        if self.train.watch:
            try:
                examine(self.task, step, self.validation, outputs, self.train)
            except TrainError as error:
                self.run.log({"event": "ill", "step": step.number, **error.parts()})
                raise

    def _flush(self) -> None:
        if self.records:
            self.run.log(*self.records)
            self.records.clear()
        self.flushed = time.perf_counter()

    def save(self) -> None:
        """A checkpoint, and every record up to it before it."""
        self._flush()
        self._settle_losses()
        checkpoint.save(self.run.checkpoints, self.state, asdict(self.history), best=self.history.keep)

    def end(self) -> None:
        """The last record: how long it took and why it ended."""
        why = f"no better look in the last {self.history.waited}" if self.out_of_patience else f"all {self.total} steps made"
        self.run.log({"event": "end", "step": self.state.step, "why": why, "seconds": round(self.seconds, 3)})
