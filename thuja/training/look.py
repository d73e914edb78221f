"""A look at the validation rows during training: what the programs answer, the metric that decides, and the model's health."""

import math
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import torch
from torch import nn

from thuja.codec import STEP, Arrays, Codec, Columns, Ragged, answer_of, count, end_to_end, last, rectangular, repeated, take
from thuja.core.seeds import mix
from thuja.metrics import METRICS
from thuja.settings import Train
from thuja.task import Program, Task
from thuja.training import health
from thuja.training.loop import Step
from thuja.training.update import cut

ROWS, BYTES = 512, 1 << 21
"""Rows answered at a time: so many, or fewer where they are large; what a network makes of them takes some ten to a hundred times their memory."""
LEAST = 16
"""Rows at a time, however large."""
LOSS = "loss"
"""The metric of tasks that look at no other (`Goal("loss", "min")`): the mean of `Task.loss` on the validation rows."""


class Look(NamedTuple):
    """What was seen at one step."""

    step: int
    metric: float | None
    """The metric of `Task.look`; None where it is undefined on these rows."""
    best: bool
    """Better than at every look before."""


def answers(programs: Mapping[str, Program], columns: Columns, name: str = "predict", *, device: str = "cpu", rows: int | None = None) -> Arrays:
    """What the programs answer for all rows, `rows` at a time; where there is a program `step`, "predict" is followed by its repetition."""
    inputs = {name: columns[name] for name in programs[name].inputs}
    rows = rows or rows_together(inputs)
    found = []
    with torch.inference_mode():
        for start in range(0, count(inputs), rows):
            arrays = run(programs[name], rectangular(take(inputs, np.arange(start, min(start + rows, count(inputs))))), device)
            if name == "predict" and STEP in programs:
                arrays = last(repeated(arrays, lambda state: run(programs[STEP], state, device)))
            found.append(answer_of(arrays))
    return {name: end_to_end([part[name] for part in found]) for name in found[0]}


def rows_together(columns: Columns) -> int:
    """How many rows to answer at a time."""
    size = sum(c.values.nbytes if isinstance(c, Ragged) else np.asarray(c).nbytes for c in columns.values())
    return min(ROWS, max(LEAST, BYTES * count(columns) // max(1, size)))


def run(program: Program, arrays: Arrays, device: str = "cpu") -> Arrays:
    """One program on one batch, in torch."""
    outputs = program.module(*[torch.from_numpy(arrays[name]).to(device) for name in program.inputs])
    named = zip(program.outputs, outputs if isinstance(outputs, tuple) else (outputs,), strict=True)
    return {name: output.float().cpu().numpy() if output.is_floating_point() else output.cpu().numpy() for name, output in named}


def measure(task: Task, codec: Codec, model: nn.Module, columns: Columns, train: Train) -> tuple[float, Arrays]:
    """The metric of `Task.look` on these rows, NaN where undefined, and the answers it was computed from.

    `model` is left in eval mode: the loop puts it back before the next update.
    """
    model.eval()
    if task.look.metric == LOSS:
        return _mean_loss(task, model, columns, train), {}
    outputs = task.outputs(codec, columns, answers(task.programs(model, codec), columns, task.judged, device=train.device))
    return METRICS[task.look.metric].value(outputs), outputs.arrays


def _mean_loss(task: Task, model: nn.Module, columns: Columns, train: Train) -> float:
    """The mean of the loss over the rows, with the same noise at every look."""
    rng, total, rows, size = torch.Generator(train.device), 0.0, count(columns), rows_together(columns)
    with torch.no_grad():
        for start in range(0, rows, size):
            arrays = rectangular(take(columns, np.arange(start, min(start + size, rows))))
            batch = {name: torch.from_numpy(a).to(train.device) for name, a in arrays.items()}
            loss = task.loss(model, batch, rng.manual_seed(mix(train.seed, "look", start)))
            total += float(loss.total) * (min(start + size, rows) - start)
    return total / rows


def examine(task: Task, step: Step, columns: Columns, outputs: Arrays, train: Train) -> None:
    """Stop a run that cannot succeed. Raises: TrainError with a diagnosis."""
    assert isinstance(train.steps, int)
    health.check_gradients(step.state.model, step.number)
    step.state.model.eval()  # a forward pass in training mode would move the running statistics
    part, _ = next(cut(step.batch, step.state.parts))  # no more rows at once than training has room for
    with health.watched_units(step.state.model) as shares, torch.no_grad():
        step.state.objectives[0].loss(part, torch.Generator(train.device).manual_seed(mix(train.seed, "look", step.number)))
    health.check_units(shares, len(next(iter(part.values()))), step.number)
    if outputs and task.targets and isinstance(target := columns[task.targets[0]], np.ndarray):
        health.check_answers(outputs, target, step.number, train.steps)


def better(task: Task, value: float, than: float | None) -> bool:
    """Whether a metric beats the best so far; an undefined one beats nothing."""
    if math.isnan(value):
        return False
    return than is None or (value > than if task.look.direction == "max" else value < than)
