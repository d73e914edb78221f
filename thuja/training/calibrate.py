"""A budget of seconds turned into a number of steps, by timing throw-away steps before the run. The number is saved before step one, so that a run that is
stopped and continued has the same horizon."""

import math
import tempfile
import time
from pathlib import Path

import numpy as np

from thuja.codec import Codec, Columns, count, take
from thuja.settings import Train
from thuja.task import Choice, Task
from thuja.training import checkpoint
from thuja.training.look import ROWS, measure
from thuja.training.loop import State, Step, begin, steps

SHARE = 0.03
LONGEST = 3.0
"""Timing takes this share of the budget, and no more seconds than this."""
MARGIN = 0.04
"""Share of the budget kept back, since later steps may be slower than the timed ones."""
LOOKS, SAVES = 20, 20
"""At most this many of each; fewer where they would take more than these shares of the budget."""
LOOK_SHARE, SAVE_SHARE = 0.08, 0.02


def calibrate(task: Task, codec: Codec, train: Train, columns: Columns, validation: Columns) -> dict[str, Choice]:
    """`train.steps`, `train.evaluate_every` and `train.save_every` such that training takes at most `train.budget` seconds, from this call on.

    Typed values of the last two are kept and paid for.
    """
    assert train.budget is not None
    started = time.perf_counter()
    endless = train.model_copy(update={"steps": 10**9})
    state = begin(task, codec, endless)
    step_s = _time_steps(task, state, columns, endless, min(SHARE * train.budget, LONGEST))
    look_s = _time_look(task, codec, state, validation, endless)
    save_s = _time_save(state)
    left = train.budget * (1 - MARGIN) - (time.perf_counter() - started) - look_s - save_s  # the last look and save come at the end whatever happens
    looks = max(1, min(LOOKS, int(LOOK_SHARE * train.budget / look_s)))
    saves = max(1, min(SAVES, int(SAVE_SHARE * train.budget / save_s)))
    fixed = (0.0 if train.evaluate_every != "auto" else (looks - 1) * look_s) + (0.0 if train.save_every != "auto" else (saves - 1) * save_s)
    each = step_s
    each += look_s / train.evaluate_every if train.evaluate_every != "auto" else 0.0
    each += save_s / train.save_every if train.save_every != "auto" else 0.0
    total = max(1, int((left - fixed) / each))
    why = f"{train.budget:g} s at {step_s * 1000:.3g} ms a step, {look_s:.2g} s a look, {save_s:.2g} s a checkpoint"
    chosen = {"train.steps": Choice(total, why)}
    if train.evaluate_every == "auto":
        chosen["train.evaluate_every"] = Choice(math.ceil(total / looks), f"{looks} looks take at most {LOOK_SHARE:.0%} of the budget")
    if train.save_every == "auto":
        chosen["train.save_every"] = Choice(math.ceil(total / saves), f"{saves} checkpoints take at most {SAVE_SHARE:.0%} of the budget")
    return chosen


def _time_steps(task: Task, state: State, columns: Columns, train: Train, limit: float) -> float:
    """Seconds a step: the mean after two that warm up, at least three and until `limit` seconds are over."""
    run = steps(task, state, columns, train)
    _settled(next(run))
    _settled(next(run))
    started, made = time.perf_counter(), 0
    while made < 3 or time.perf_counter() - started < limit:
        _settled(next(run))
        made += 1
    return (time.perf_counter() - started) / made


def _settled(step: Step) -> None:
    """Wait for an accelerator to finish."""
    for loss in step.losses.values():
        loss.item()


def _time_look(task: Task, codec: Codec, state: State, validation: Columns, train: Train) -> float:
    """Seconds for a look at all validation rows, from one batch of them."""
    rows = count(validation)
    if not rows:
        return 1e-3
    some = take(validation, np.arange(min(rows, ROWS)))
    measure(task, codec, state.best_model, some, train)
    started = time.perf_counter()
    measure(task, codec, state.best_model, some, train)
    return (time.perf_counter() - started) * rows / count(some)


def _time_save(state: State) -> float:
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        checkpoint.save(Path(folder), state, {})
        return time.perf_counter() - started
