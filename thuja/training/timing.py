"""How long things take on this machine now, measured so that a burst of load from elsewhere does not decide.

What else a machine does can only make a stretch of work slower. So work is timed in many short windows: the fastest counts where ways of doing the same are
compared, which take turns so that a burst hits all of them, and the median where a time is promised, since a run cannot count on the luckiest one.
"""

import math
from collections.abc import Iterator, Mapping
from typing import NamedTuple

import torch

from thuja.codec import Codec, Columns
from thuja.core.clock import Clock
from thuja.settings import Train
from thuja.task import Task
from thuja.training.loop import State, Step, steps

WINDOW_S = 0.05
"""A window has as many steps as fit in here, at least one: batches of texts differ, and a window should hold some of each."""
TURNS = 3
"""Windows of every candidate at least."""
HOPELESS = 1.5
"""Times slower than the fastest in the same turn."""
FAR, FAR_S = 5.0, 1.0
"""One step this many times slower than another's, and this many seconds long, is enough."""


class Bench(NamedTuple):
    """What is timed: the real task on the real rows."""

    task: Task
    codec: Codec
    columns: Columns
    validation: Columns
    clock: Clock
    """Seconds from anywhere, such as `time.perf_counter`."""


class Stepper:
    """Throw-away steps, made one way."""

    def __init__(self, bench: Bench, state: State, train: Train) -> None:
        """`train` says how: its threads, its precision. Nothing is computed yet."""
        self.made: Iterator[Step] = steps(bench.task, state, bench.columns, train.model_copy(update={"steps": 10**12}))
        self.train, self.clock = train, bench.clock

    def window(self, number: int) -> float:
        """Seconds a step, the mean over `number` of them."""
        use_threads(self.train)
        started = self.clock()
        for _ in range(number):
            for loss in next(self.made).losses.values():
                loss.item()  # wait for an accelerator to finish
        return (self.clock() - started) / number

    def warm(self, patience: float = math.inf) -> float:
        """Seconds of the second step, since the first also finds kernels and memory; of the first where that took more than `patience` seconds."""
        first = self.window(1)
        return first if first > patience else self.window(1)


def use_threads(train: Train) -> None:
    """Let torch compute with `train.threads` threads in this process from here on; a blank leaves it as it is."""
    if train.threads != "auto" and torch.get_num_threads() != train.threads:
        torch.set_num_threads(train.threads)


def steps_in_a_window(step_s: float) -> int:
    """How many steps of that many seconds a window holds."""
    return max(1, math.ceil(WINDOW_S / max(step_s, 1e-6)))


def race(steppers: Mapping[str, Stepper], limit: float, clock: Clock) -> dict[str, float]:
    """Seconds a step of each candidate, in its fastest window. They take turns for `limit` seconds, TURNS turns at least; the last one is warmed up first.

    One whose first step is FAR behind makes no other. One that was hopeless in every turn, two at least and the warming up counted, is not timed any further;
    where one alone is left, the race is over. A turn compares what was timed within a moment, so a burst of load must come and go with the turns to throw the
    wrong one out.
    """
    turn: dict[str, float] = {}
    for name in reversed(list(steppers)):
        turn[name] = steppers[name].warm(max(FAR_S, FAR * min(turn.values(), default=math.inf)))
    least = min(turn.values())
    number = steps_in_a_window(least)
    fastest = {name: turn[name] if turn[name] > max(FAR_S, FAR * least) else math.inf for name in steppers}
    turn = {name: turn[name] for name in steppers if math.isinf(fastest[name])}
    hopeless, started, turns = _far_behind(turn), clock(), 0
    while turns < 1 or (len(turn) > 1 and (turns < TURNS or clock() - started < limit)):
        turn = {name: steppers[name].window(number) for name in turn}
        fastest |= {name: min(fastest[name], seconds) for name, seconds in turn.items()}
        hopeless &= _far_behind(turn)
        turn = {name: seconds for name, seconds in turn.items() if name not in hopeless}
        turns += 1
    return fastest


def _far_behind(turn: Mapping[str, float]) -> set[str]:
    return {name for name, seconds in turn.items() if seconds > HOPELESS * min(turn.values())}
