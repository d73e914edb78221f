"""One sitting of a run: the state, the history, and what is done with them when it is due. The `for` body of `thuja.verbs.train` calls it."""

import contextlib
import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any, NamedTuple

import torch
from safetensors.torch import load as read_tensors
from torch import Tensor

from thuja.codec import Codec, Columns, count
from thuja.core.errors import TrainError
from thuja.core.seeds import mix
from thuja.run import Run
from thuja.settings import Train
from thuja.task import Task
from thuja.training import checkpoint, health
from thuja.training.checkpoint import NotFinite, Saver
from thuja.training.look import better, examine, measure
from thuja.training.loop import Step, begin
from thuja.training.prepare import Prepared
from thuja.training.update import all_finite, cut

RECORDS = 200
"""Loss records of a whole run; how often is a function of the steps alone, so that a continued run writes the same ones."""
FLUSH_S = 2.0
"""Records are held in memory at most this long: each write waits for the disk."""
SKIPPED_IN_A_ROW = 60
SKIPPED_SHARE = 0.1
"""More steps left out than this many one after another, or than this share of the run, and it is stopped."""
RETURNS = 3
"""Times that a careful run goes back without getting further before it is stopped."""


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
    skipped: int = 0
    """Steps left out since a number was not finite."""
    in_a_row: int = 0
    """Of them, those since the last step that was made."""


class Session:
    """See the module."""

    def __init__(self, prepared: Prepared, progress: Callable[[Progress], None] | None) -> None:
        self.run: Run = prepared.run
        self.task: Task = prepared.spec.task
        self.codec: Codec = prepared.codec
        self.train: Train = prepared.spec.train
        self.validation: Columns = prepared.validation
        self.parent = None if prepared.parent is None else read_tensors(prepared.parent)
        self.progress = progress or (lambda _progress: None)
        assert isinstance(self.train.steps, int) and isinstance(self.train.evaluate_every, int) and isinstance(self.train.save_every, int)
        self.total, self.look_every, self.save_every = self.train.steps, self.train.evaluate_every, self.train.save_every
        self.record_every = max(1, self.total // RECORDS)
        self.losses: dict[str, list[Tensor]] = {}
        self.records: list[dict[str, Any]] = []
        self.note = ""
        self.saver = Saver(self.run.checkpoints)
        self.furthest = self.returns = 0
        """The last step at which a number was found not finite, and how often the run went back without getting further."""
        self._begin()

    def _begin(self) -> None:
        restored = self._restore()
        before = [r["seconds"] for r in self.run.records() if "seconds" in r]
        self.seconds_before = before[-1] if before else 0.0
        self.started = self.flushed = self.recorded = time.perf_counter()
        self.first = self.recorded_step = self.state.step
        if not self.over:
            self.run.log({"event": "begin", "step": self.state.step, "time": time.time(), "seconds": self.seconds_before})
        if restored and restored.damaged:
            self.note = f"Continued from step {self.state.step}; passed over: {' '.join(restored.damaged)}"
            self.run.log({"event": "damaged", "step": self.state.step, "found": restored.damaged})

    def _restore(self) -> checkpoint.Restored | None:
        """The state of the newest whole checkpoint, or a fresh one."""
        self.state = begin(self.task, self.codec, self.train, self.parent)
        restored = checkpoint.restore(self.run.checkpoints, self.state)
        self.history = History(**restored.history) if restored else History()
        self.run.rewind(self.state.step)
        self.losses.clear()
        self.records.clear()
        self.parts = self.state.parts
        return restored

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
        """Keep the losses on the device until a record is due; note a step that was left out, or a batch cut finer."""
        if step.state.parts != self.parts:
            self._note_parts(step)
        if step.skipped:
            self._note_skipped(step)
            return
        self.history.in_a_row = 0
        for name, value in step.losses.items():
            self.losses.setdefault(name, []).append(value)

    def _note_parts(self, step: Step) -> None:
        self.parts = step.state.parts
        self.note = f"Memory did not suffice at step {step.number}: each batch is now made in {self.parts} parts, and the updates stay those of whole batches."
        self.records.append({"event": "memory", "step": step.number, "parts": self.parts})

    def _note_skipped(self, step: Step) -> None:
        """Name a step that was left out in the log. (Its rows follow from the seed and the step: `thuja.data.order.indices`.)

        Raises: NotFinite when it is the weights that are not finite; TrainError when too many steps were left out.
        """
        history = self.history
        history.skipped, history.in_a_row = history.skipped + 1, history.in_a_row + 1
        losses = {name: float(value) for name, value in step.losses.items()}
        self.records.append({"event": "skipped", "step": step.number, "losses": {name: str(value) for name, value in losses.items()}})
        self._check_weights(step)
        if history.in_a_row > SKIPPED_IN_A_ROW or history.skipped > SKIPPED_SHARE * self.total or step.number == self.total:
            self._flush()
            name = next((name for name, value in losses.items() if not math.isfinite(value)), "gradient")
            self._stop(step, step.number - history.in_a_row + 1, name, losses.get(name, math.nan))

    def _check_weights(self, step: Step) -> None:
        """Raises: NotFinite."""
        if not all_finite(list(step.state.model.parameters())):
            raise NotFinite(step.number, "weights", math.nan)

    def _settle_losses(self, step: Step) -> None:
        """Losses from tensors to numbers: the only place that waits for the device. Raises: NotFinite."""
        for name, values in self.losses.items():
            found = torch.stack([v.float() for v in values]).tolist()
            for place, value in enumerate(found):
                if not math.isfinite(value):
                    raise NotFinite(step.number - len(found) + 1 + place, name, value)
            self.history.pending.setdefault(name, []).extend(found)
        self.losses.clear()

    def record(self, step: Step) -> None:
        """Mean losses since the last record. Raises: NotFinite."""
        self._settle_losses(step)
        losses = {name: math.fsum(values) / len(values) for name, values in self.history.pending.items()}
        self.history.pending = {}
        now = time.perf_counter()
        rate = (step.number - self.recorded_step) * int(self.train.batch) / max(now - self.recorded, 1e-9)
        self.recorded, self.recorded_step = now, step.number
        if losses:  # else all steps were left out
            self.records.append({"event": "step", "step": step.number, "losses": losses, "rows_per_s": round(rate, 1), "seconds": round(self.seconds, 3)})
        if now - self.flushed > FLUSH_S:
            self._flush()
        self._show(step.number, losses, rate)

    def _show(self, number: int, losses: dict[str, float], rate: float) -> None:
        sitting = time.perf_counter() - self.started
        left = sitting / max(1, number - self.first) * (self.total - number)
        value = self.history.looks[-1][1] if self.history.looks else None
        self.progress(Progress(number, self.total, losses, self.task.look.metric, value, self.history.best, rate, self.seconds, left, self.note))
        self.note = ""

    def roll_back(self, found: NotFinite) -> None:
        """Back to the last checkpoint, to go on from there looking at every step before it is made.

        Raises: TrainError when that was done before and got no further; what went wrong with the checkpoint in flight.
        """
        with contextlib.suppress(NotFinite):  # the same trouble, seen in the weights: that checkpoint was not written
            self.saver.wait()
        self.returns = self.returns + 1 if self.state.careful and found.step <= self.furthest else 0
        if self.returns > RETURNS:
            self._stop_at(found)
        self.furthest = max(self.furthest, found.step)
        before = self.state.parts
        self._restore()
        self.state.careful, self.state.parts, self.parts = True, before, before
        self.recorded, self.recorded_step = time.perf_counter(), self.state.step
        self.run.log({"event": "back", "step": self.state.step, "from": found.step, "name": found.name, "value": str(found.value)})
        self.note = (f"{found.name} was {found.value} at step {found.step}: back to step {self.state.step}; from here each step is looked at, "
                     "and left out where it is not finite.")

    def _stop(self, step: Step, first: int, name: str, value: float) -> None:
        with health.first_bad(step.state.model) as found, torch.no_grad():
            for objective in step.state.objectives:
                for part, _ in cut(step.batch, step.state.parts):
                    objective.loss(part, torch.Generator(self.train.device).manual_seed(mix(self.train.seed, "look", step.number)))
        self._stop_at(NotFinite(first, name, value), found[0] if found else "the loss")

    def _stop_at(self, found: NotFinite, suspect: str = "the weights") -> None:
        assert not isinstance(self.train.optimizer, str)
        health.check_losses(found.step, {found.name: [found.value]}, suspect, self.train.optimizer.learning_rate)

    def look(self, step: Step) -> None:
        """The metric on the validation rows; the model's health. Raises: NotFinite; TrainError with a diagnosis."""
        if not count(self.validation):
            return
        self._settle_losses(step)
        self._check_weights(step)
        value, outputs = measure(self.task, self.codec, self.state.best_model, self.validation, self.train)
        best = better(self.task, value, self.history.best)
        self.history.looks.append([step.number, value if math.isfinite(value) else None])
        self.history.best = value if best else self.history.best
        self.history.waited = 0 if best else self.history.waited + 1
        if best and self.train.patience is not None:
            self.history.keep = step.number
        self.records.append({"event": "look", "step": step.number, "metric": self.task.look.metric, "value": self.history.looks[-1][1], "best": best,
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

    def save(self, step: Step) -> None:
        """A checkpoint, and every record up to it before it. Raises: NotFinite; what went wrong with the checkpoint before."""
        self._settle_losses(step)
        self._flush()
        self.saver.save(self.state, asdict(self.history), best=self.history.keep)

    def end(self) -> None:
        """The last record: how long it took and why it ended."""
        why = f"no better look in the last {self.history.waited}" if self.out_of_patience else f"all {self.total} steps made"
        self.run.log({"event": "end", "step": self.state.step, "why": why, "seconds": round(self.seconds, 3)})
