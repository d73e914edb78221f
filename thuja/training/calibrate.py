"""A budget of seconds turned into a number of steps, by timing throw-away steps before the run. The number is saved before step one, so that a run that is
stopped and continued has the same horizon."""

import math
import statistics
import tempfile
from pathlib import Path

import numpy as np

from thuja.codec import count, take
from thuja.settings import Train
from thuja.task import Choice
from thuja.training import checkpoint
from thuja.training.look import ROWS, measure
from thuja.training.loop import State, begin
from thuja.training.timing import Bench, Stepper, steps_in_a_window

SHARE = 0.03
LONGEST = 3.0
"""Timing takes this share of the budget, and no more seconds than this."""
WINDOWS = 5
"""At least; where a step is long, they take what they take."""
MARGIN = 0.04
"""Share of the budget kept back, since later steps may be slower than the timed ones."""
LOOKS, SAVES = 20, 20
"""At most this many of each; fewer where they would take more than these shares of the budget."""
LOOK_SHARE, SAVE_SHARE = 0.08, 0.02


def calibrate(bench: Bench, train: Train, spent: float = 0.0) -> dict[str, Choice]:
    """`train.steps`, `train.evaluate_every` and `train.save_every` such that training takes at most `train.budget` seconds, from this call on.

    Typed values of the last two are kept and paid for. `spent` seconds of the budget are gone already.
    """
    assert train.budget is not None
    started = bench.clock()
    state = begin(bench.task, bench.codec, train)
    step_s = _time_steps(bench, state, train)
    look_s = _time_look(bench, state, train)
    save_s = _time_save(bench, state)
    left = train.budget * (1 - MARGIN) - spent - (bench.clock() - started) - look_s - save_s  # the last look and save come at the end whatever happens
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


def _time_steps(bench: Bench, state: State, train: Train) -> float:
    """Seconds a step, after two that warm up: the median of several windows, which a burst of load shorter than half of them does not move."""
    assert train.budget is not None
    stepper = Stepper(bench, state, train)
    limit, warm = min(SHARE * train.budget, LONGEST), stepper.warm()
    number = max(1, min(steps_in_a_window(warm), int(limit / WINDOWS / max(warm, 1e-6))))  # a short budget has short windows
    windows: list[float] = []
    started = bench.clock()
    while len(windows) < WINDOWS or bench.clock() - started < limit:
        windows.append(stepper.window(number))
    return statistics.median_low(windows)


def _time_look(bench: Bench, state: State, train: Train) -> float:
    """Seconds for a look at all validation rows: the faster of two looks at a batch of them, after one that warms up."""
    rows = count(bench.validation)
    if not rows:
        return 1e-3
    some = take(bench.validation, np.arange(min(rows, ROWS)))
    times: list[float] = []
    for _ in range(3):
        started = bench.clock()
        measure(bench.task, bench.codec, state.best_model, some, train)
        times.append(bench.clock() - started)
    return max(1e-6, min(times[1:])) * rows / count(some)


def _time_save(bench: Bench, state: State) -> float:
    with tempfile.TemporaryDirectory() as folder:
        started = bench.clock()
        checkpoint.save(Path(folder), state, {})
        return max(1e-6, bench.clock() - started)
