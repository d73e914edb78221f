"""The rows of every step, written down: does each come exactly once an epoch, in the same order whatever the batch size and wherever the run was stopped? (T2)

A trial draws a number of rows, a batch size, a seed and up to three stops, makes real steps through the engine, and compares the rows that the network was
given. One trial in four asks one of the three applications for its batches instead, with a column of row numbers beside its own.
"""

import itertools
import random
from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any

import numpy as np
import torch
from torch import nn

from reliability import real
from reliability.forks import home
from reliability.outcome import Control, Harness, Outcome
from reliability.work import Rings, RingsCodec, columns
from thuja.codec import Columns, count
from thuja.data.order import shuffled
from thuja.settings import AdamW, Train
from thuja.task import Batch, Draw, Task
from thuja.training.loop import begin, steps
from thuja.training.prepare import gather

EPOCHS = 3
Seen = list[int]
"""Numbers of rows, in the order in which they came."""


def given(task: Rings, rows: int, size: int, seed: int, stops: Sequence[int]) -> Seen:
    """The rows of real steps over three epochs, the engine stopped after some of them and begun anew each time."""
    total = -(-EPOCHS * rows // size)
    train = Train(steps=total, batch=size, optimizer=AdamW(), precision="float32", compile=False, device="cpu", ema=0.0,
                  schedule="constant", warmup=0.0, seed=seed)
    data, seen = columns(rows), Seen()
    for start, end in itertools.pairwise([0, *sorted(stops), total]):
        state = begin(task, RingsCodec(), train)
        state.step = start
        for step in itertools.islice(steps(task, state, data, train), end - start):
            seen += step.batch["row"].tolist()
    return seen


def asked(task: Task, data: Columns, size: int, seed: int, stops: Sequence[int]) -> Seen:
    """The rows of an application's batches over three epochs, asked for anew after each stop."""
    rows, seen = count(data), Seen()
    numbered = data | {"number.of.row": np.arange(rows)}
    for start, end in itertools.pairwise([0, *sorted(stops), -(-EPOCHS * rows // size)]):
        batches = task.batches(nn.Identity(), numbered, Draw(size, seed, start))
        for batch in itertools.islice(batches, end - start):
            seen += batch["number.of.row"].tolist()
    return seen


def violations(seen: Seen, rows: int, once: Seen) -> str:
    """What is wrong with an order, in words; `once` are the same rows in batches of another size and without a stop."""
    epochs = [seen[start : start + rows] for start in range(0, len(seen) - rows + 1, rows)]
    broken = [place for place, epoch in enumerate(epochs) if sorted(epoch) != list(range(rows))]
    if broken:
        return f"epochs {broken} have not each row once"
    if rows > 20 and len(set(map(tuple, epochs))) < len(epochs):
        return "two epochs have one order"
    common = min(len(seen), len(once))
    return "" if seen[:common] == once[:common] else f"row {next(i for i in range(common) if seen[i] != once[i])} is another one after a stop"


@cache
def applications() -> list[tuple[Task, Columns]]:
    """The three applications, settled, and their encoded training rows."""
    with home() as folder, real.environment(THUJA_CACHE=str(folder / "cache")):
        made = [gather(real.spec(a, folder), None, [*real.HURRY, *real.SMALLER[a]], check=False) for a in real.APPLICATIONS]
        return [(g.spec.task, in_memory(g.opened.encoded["train"].columns)) for g in made]


def in_memory(data: Columns) -> Columns:
    """Copies of columns that lie in a file."""
    return {name: type(c)(*map(np.array, c)) if isinstance(c, tuple) else np.array(c) for name, c in data.items()}


def trial(task: Rings, rng: random.Random) -> str:
    """A random order of the small task."""
    rows, seed = rng.randint(5, 300), rng.getrandbits(31)
    size = rng.randint(2, rows + rows // 2)
    total = -(-EPOCHS * rows // size)
    stops = [rng.randint(1, total) for _ in range(rng.randint(0, 3))]
    found = violations(given(task, rows, size, seed, stops), rows, given(task, rows, rng.randint(2, rows + 3), seed, []))
    return found and f"{rows} rows in batches of {size}, stopped after {sorted(stops)}: {found}"


def trial_of(application: int, rng: random.Random) -> str:
    """A random order of an application."""
    task, data = applications()[application]
    rows, seed = count(data), rng.getrandbits(31)
    size = rng.randint(2, rows)
    stops = [rng.randint(1, -(-EPOCHS * rows // size)) for _ in range(rng.randint(0, 3))]
    found = violations(asked(task, data, size, seed, stops), rows, asked(task, data, rng.randint(2, rows), seed, []))
    return found and f"{task.kind}, {rows} rows in batches of {size}, stopped after {sorted(stops)}: {found}"


class SkipsRows(Rings):
    """The planted bug: a continued order skips as many rows as there were steps."""

    def batches(self, model: nn.Module, columns: Columns, draw: Draw) -> Iterator[Batch]:
        return shuffled(columns, draw.size, draw.seed, draw.start // draw.size, draw.device)


class DrawsAnew(Rings):
    """The planted bug: every batch is drawn for itself, as with replacement."""

    def batches(self, model: nn.Module, columns: Columns, draw: Draw) -> Iterator[Batch]:
        rng = torch.Generator().manual_seed(draw.seed)
        data: dict[str, Any] = {n: torch.from_numpy(np.asarray(c)) for n, c in columns.items() if n != "words"}
        while True:
            index = torch.randint(len(data["row"]), (draw.size,), generator=rng)
            yield {n: t[index] for n, t in data.items()} | {"words": torch.ones(draw.size, 1, dtype=torch.int64)}


def caught(trials: int, rng: random.Random) -> Control:
    """Each planted bug with one stop within the run: is it seen?"""
    seen = 0
    for place in range(trials):
        task, rows, seed = (SkipsRows(), DrawsAnew())[place % 2], rng.randint(30, 300), rng.getrandbits(31)
        seen += bool(violations(given(task, rows, 8, seed, [rng.randint(2, rows // 8)]), rows, given(task, rows, 8, seed, [])))
    return Control("a continued order that skips too few rows; batches drawn with replacement", trials, seen)


def run(trials: int, rng: random.Random) -> Outcome:
    """Random orders, every fourth one an application's."""
    torch.set_num_threads(1)
    tries = [trial_of(place // 4 % len(real.APPLICATIONS), rng) if place % 4 == 3 else trial(Rings(), rng) for place in range(trials)]
    return Outcome(trials, [found for found in tries if found], caught(max(2, trials // 10), rng), {"epochs a trial": EPOCHS})


HARNESSES = (Harness("T2", "each row exactly once an epoch, in the same order after any stop and at any batch size", run, short=24, long=400),)
