"""What the training loop adds to a bare PyTorch loop, for a step of about 1 ms and one of about 0.2 ms.

Both loops do the same work: gather a batch by index, forward, backward, fused AdamW (decay on matrices only) with a linear schedule. They take turns
step by step in one process, and the median of the differences counts, so that a noisy neighbour hits both. A second copy of the bare loop is the
control: its difference from the first is the error of the method. What Thuja does besides (reseeding, losses kept by name) is what is measured.

    python benchmarks/loop_overhead.py
"""

import json
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
import torch
from torch import nn
from torch.nn.functional import cross_entropy

sys.path.insert(0, str(Path(__file__).parent))

import record

from thuja.codec import Codec, Columns, Rows
from thuja.data.order import indices
from thuja.fields import Schema
from thuja.settings import AdamW, Train
from thuja.task import Batch, Goal, Loss, Program, Source, Task
from thuja.training.loop import begin, steps

ROWS, STEPS = 8192, 3000


class Blobs(Codec):
    kind: Literal["blobs"] = "blobs"

    def schema(self) -> Schema:
        return Schema(inputs={}, outputs={})

    def encode(self, rows: Rows) -> Columns:
        return {name: np.asarray(values) for name, values in rows.items()}

    def decode(self, outputs: dict[str, np.ndarray]) -> dict[str, list[Any]]:
        return {}


class Perceptron(Task):
    kind: Literal["perceptron"] = "perceptron"
    width: int
    batch: int

    def prepare(self, source: Source) -> tuple[Self, Codec]:
        return self, Blobs()

    def build(self, codec: Codec) -> nn.Module:
        return nn.Sequential(nn.Linear(64, self.width), nn.ReLU(), nn.Linear(self.width, self.width), nn.ReLU(), nn.Linear(self.width, 10))

    def loss(self, model: nn.Module, batch: Batch, rng: torch.Generator) -> Loss:
        return Loss(cross_entropy(model(batch["x"]), batch["y"]))

    def programs(self, model: nn.Module, codec: Codec) -> dict[str, Program]:
        return {}

    @property
    def goal(self) -> Goal:
        return Goal("accuracy", "max")


def bare(task: Perceptron, columns: Columns) -> Iterator[None]:
    """The plain loop, a step at a time."""
    torch.manual_seed(0)
    model = task.build(Blobs())
    groups = [{"params": [p for p in model.parameters() if p.dim() >= 2], "weight_decay": 0.01},
              {"params": [p for p in model.parameters() if p.dim() < 2], "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=1e-3, betas=(0.9, 0.99), fused=True)
    x, y = torch.from_numpy(columns["x"]), torch.from_numpy(columns["y"])
    model.train()
    for number in range(STEPS):
        place = number % (ROWS // task.batch)
        if place == 0:
            order = torch.randperm(ROWS)
        index = order[place * task.batch : (place + 1) * task.batch]
        for group in optimizer.param_groups:
            group["lr"] = 1e-3 * (1 - number / STEPS)
        loss = cross_entropy(model(x.index_select(0, index)), y.index_select(0, index))
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        yield


def ours(task: Perceptron, columns: Columns) -> Iterator[object]:
    """Thuja's loop."""
    train = Train(steps=STEPS, batch=task.batch, optimizer=AdamW(), schedule="linear", warmup=0.0, ema=0.0, precision="float32", device="cpu")
    return steps(task, begin(task, Blobs(), train), columns, train)


def measure(name: str, task: Perceptron) -> dict[str, Any]:
    """Both loops step by step in turn; microseconds."""
    rng = np.random.default_rng(0)
    columns: Columns = {"x": rng.standard_normal((ROWS, 64), np.float32), "y": rng.integers(0, 10, ROWS)}
    loops = {"bare": bare(task, columns), "thuja": ours(task, columns), "again": bare(task, columns)}
    times: dict[str, list[float]] = {loop: [] for loop in loops}
    for number in range(STEPS):
        for loop in rotated(list(loops), number):
            started = time.perf_counter()
            next(loops[loop])
            times[loop].append((time.perf_counter() - started) * 1e6)
    warm = {loop: np.array(values[50:]) for loop, values in times.items()}
    added, control = warm["thuja"] - warm["bare"], warm["again"] - warm["bare"]
    base = float(np.median(warm["bare"]))
    return {"step": name, "steps": STEPS, "bare_us": round(base, 1), "thuja_us": round(float(np.median(warm["thuja"])), 1),
            "added_us": round(float(np.median(added)), 2), "added_percent": round(100 * float(np.median(added)) / base, 2),
            "control_us": round(float(np.median(control)), 2)}


EPOCH = 250
"""Steps of an epoch where its edge is measured."""


def epoch_edge(rows: int) -> dict[str, Any]:
    """Milliseconds that the first batch of an epoch takes longer than another, with steps of half a millisecond: the order of so many rows is drawn, for many
    of them while the epoch before is under way."""
    times: dict[bool, list[float]] = {True: [], False: []}
    size = rows // EPOCH
    batches = indices(rows, size, seed=0)
    next(batches)
    for number in range(1, EPOCH * 8):
        time.sleep(0.0005)
        started = time.perf_counter()
        next(batches)
        begins = (number * size - 1) // rows != ((number + 1) * size - 1) // rows
        times[begins].append(1000 * (time.perf_counter() - started))
    return {"rows": rows, "epoch_edge_ms": round(float(np.median(times[True]) - np.median(times[False])), 3)}


def rotated(names: list[str], by: int) -> list[str]:
    """A different one goes first each time, so that none always finds the caches as the same neighbour left them."""
    by %= len(names)
    return names[by:] + names[:by]


def main() -> None:
    torch.set_num_threads(1)
    load = os.getloadavg()[0]
    results = [measure("1 ms", Perceptron(width=256, batch=64)), measure("0.2 ms", Perceptron(width=32, batch=16))]
    edges = [epoch_edge(rows) for rows in (8192, 60_000, 1_000_000)]
    report = {"goal": "at most 10 us a step, and at most 2 ms at the edge of an epoch of 60 000 rows", "results": results, "edges": edges, "threads": 1}
    print(json.dumps(report, indent=1))
    print(record.save("loop_overhead", report, load).name)


if __name__ == "__main__":
    main()
