"""How cost grows with the work: rows x10 and x100 (tables, texts, pictures), columns x10 (tables), classes x10 (all three).

Every set is made up and passed as a Python object. Timed apart, in seconds of processor time (the machine may be shared): `open` (which hashes all rows),
`split`, `prepare` (learning the codec), `encode`, `check` (the data checks), one epoch of `train` with the network that the task chooses (eight steps of its
own batch, scaled to the steps of an epoch), and `evaluate` (the goal's metric on the test rows). The exponent is the slope of log time over log size between
the two largest sizes, where a fixed start counts least; at most 1.1 is linear. Stages of less than 50 ms have none.

    python benchmarks/growth.py
"""

import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import record
import torch

from thuja import spec as specs
from thuja.apps.image_classification.task import ImageClassification
from thuja.apps.table.task import Table
from thuja.apps.text_classification.task import TextClassification
from thuja.codec import count, take
from thuja.data import split
from thuja.data.checks import run_checks
from thuja.data.columns import encoded
from thuja.data.source import open_source
from thuja.settings import Data, Train
from thuja.spec import Spec
from thuja.task import Task
from thuja.training.look import measure
from thuja.training.loop import begin, steps

LINEAR, SMALLEST, STEPS = 1.1, 0.05, 8
WORDS = [f"w{number}" for number in range(5000)]


def table(rows: int, columns: int, classes: int) -> tuple[Task, dict[str, Any]]:
    """Half numbers, half names; the class depends on the first number."""
    rng = np.random.default_rng(0)
    data: dict[str, Any] = {f"n{i}": rng.standard_normal(rows) for i in range(columns // 2)}
    data |= {f"c{i}": [f"v{v}" for v in rng.integers(0, 50, rows)] for i in range(columns - columns // 2)}
    data["y"] = [f"class{v}" for v in (rng.random(rows) * classes).astype(int)]
    return Table(target="y"), data


def text(rows: int, _columns: int, classes: int) -> tuple[Task, dict[str, Any]]:
    """Twenty words each."""
    rng = np.random.default_rng(0)
    words = rng.integers(0, len(WORDS), (rows, 20))
    return TextClassification(text="text", target="y"), {"text": [" ".join(WORDS[i] for i in row) for row in words],
                                                         "y": [f"class{v}" for v in (rng.random(rows) * classes).astype(int)]}


def pictures(rows: int, _columns: int, classes: int) -> tuple[Task, dict[str, Any]]:
    """16 x 16 in colour."""
    rng = np.random.default_rng(0)
    return ImageClassification(image="image", target="y"), {"image": rng.integers(0, 256, (rows, 16, 16, 3), dtype=np.uint8),
                                                            "y": [f"class{v}" for v in (rng.random(rows) * classes).astype(int)]}


SWEEPS: dict[str, tuple[Callable[[int, int, int], tuple[Task, dict[str, Any]]], list[tuple[int, int, int]], int]] = {
    "table, rows": (table, [(1000, 10, 2), (10_000, 10, 2), (100_000, 10, 2)], 0),
    "table, columns": (table, [(2000, 10, 2), (2000, 30, 2), (2000, 100, 2)], 1),
    "table, classes": (table, [(10_000, 10, 10), (10_000, 10, 30), (10_000, 10, 100)], 2),
    "text, rows": (text, [(500, 1, 2), (5000, 1, 2), (50_000, 1, 2)], 0),
    "text, classes": (text, [(5000, 1, 10), (5000, 1, 30), (5000, 1, 100)], 2),
    "pictures, rows": (pictures, [(500, 1, 2), (5000, 1, 2), (50_000, 1, 2)], 0),
    "pictures, classes": (pictures, [(5000, 1, 10), (5000, 1, 30), (5000, 1, 100)], 2),
}
"""What is varied, three sizes of (rows, columns, classes), and which of the three it is."""


class Clock:
    """Processor time of each stage."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._last = time.process_time()

    def lap(self, stage: str, times: float = 1.0) -> None:
        """The stage that has just ended."""
        now = time.process_time()
        self.seconds[stage] = round((now - self._last) * times, 5)
        self._last = time.process_time()


def stages(task: Task, data: dict[str, Any], cache: Path) -> dict[str, float]:
    """All stages of one set, as `training.prepare` does them, a clock between."""
    clock = Clock()
    sources = open_source(Data(), object=data)
    clock.lap("open")
    how = split.settle(sources, Data())
    settings = Data(split=how.value)
    names = next(iter(sources.values())).names
    parts = split.split(sources, settings, tuple(n for n in names if n not in task.targets))
    clock.lap("split")
    task, codec = task.prepare(parts["train"])
    clock.lap("prepare")
    columns = {name: encoded(part, codec, cache, 0.01) for name, part in parts.items()}
    clock.lap("encode")
    spec: Spec[Any] = Spec(task=task, data=settings)
    run_checks(parts, columns, spec)
    clock.lap("check")
    train = columns["train"].columns
    rows = count(train)
    spec, _ = specs.settle(spec, codec, specs.facts(Train(device="cpu", precision="float32", steps=1000), rows))
    settled = spec.train.model_copy(update={"steps": 1000, "device": "cpu", "precision": "float32"})
    batch = int(settled.batch)
    state = begin(task, codec, settled)
    running = steps(task, state, train, settled)
    next(running)
    clock.lap("first step")
    for _ in range(STEPS):
        next(running)
    clock.lap("train an epoch", rows / batch / STEPS)
    test = columns["test"].columns
    measure(task, codec, state.best_model, take(test, np.arange(count(test))), settled)
    clock.lap("evaluate")
    return clock.seconds


def exponents(sizes: list[int], found: list[dict[str, float]]) -> dict[str, float]:
    """For each stage that takes at least SMALLEST seconds at the largest size: the slope between the two largest."""
    return {stage: round(float(np.log(found[-1][stage] / max(found[-2][stage], 1e-4)) / np.log(sizes[-1] / sizes[-2])), 2)
            for stage in found[-1] if found[-1][stage] >= SMALLEST}


def plot(results: dict[str, dict[str, Any]], path: Path) -> None:
    """A panel for each sweep, log over log, in colours that colour-blind people tell apart (Okabe and Ito 2008), and the slope of 1 in grey."""
    from matplotlib.figure import Figure

    colours = dict(zip(("open", "split", "prepare", "encode", "check", "train an epoch", "evaluate"),
                       ("#000000", "#E69F00", "#56B4E9", "#009E73", "#CC79A7", "#0072B2", "#D55E00"), strict=True))
    figure = Figure(figsize=(16, 8), layout="constrained")
    for place, (name, result) in enumerate(results.items(), 1):
        axes = figure.add_subplot(2, 4, place)
        sizes = result["sizes"]
        for (stage, colour), marker in zip(colours.items(), "osv^DPX", strict=True):
            axes.loglog(sizes, [max(s[stage], 1e-4) for s in result["seconds"]], color=colour, marker=marker, label=stage)
        axes.loglog(sizes, [result["seconds"][-1]["encode"] * size / sizes[-1] for size in sizes], color="0.7", linestyle="--", label="linear")
        axes.set(title=name, xlabel=name.split(", ")[1], ylabel="processor seconds")
    figure.axes[0].legend(fontsize=8)
    figure.savefig(path)


def main() -> None:
    torch.set_num_threads(1)
    load, results = round(os.getloadavg()[0], 2), {}
    with tempfile.TemporaryDirectory() as folder:
        os.environ["THUJA_CACHE"] = folder
        stages(*table(300, 4, 2), Path(folder) / "warm")
        for name, (make, shapes, which) in SWEEPS.items():
            found = [stages(*make(*shape), Path(folder) / f"{name}{place}") for place, shape in enumerate(shapes)]
            sizes = [shape[which] for shape in shapes]
            results[name] = {"sizes": sizes, "seconds": found, "exponents": exponents(sizes, found)}
    worst = {f"{name}: {stage}": value for name, result in results.items() for stage, value in result["exponents"].items() if value > LINEAR}
    path = record.save("growth", {"goal": "every exponent at most 1.1", "results": results, "above": worst, "passed": not worst}, load)
    plot(results, path.with_suffix(".svg"))


if __name__ == "__main__":
    main()
