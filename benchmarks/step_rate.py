"""The rate of training steps, the ConvNet on 32x32 pictures and the small text transformer, in turn:

- thuja: `begin` and `steps` with what the task chooses itself;
- bare: a loop written by hand for this network with the same settings: the same batches, augmentation, optimiser, schedule and memory layout;
- naive (ConvNet): the loop of a tutorial: float32 pictures `N C H W` from a `DataLoader` with a transform per picture, `torch.optim.AdamW` as it comes, and
  the C library's allocator as it is.

Each loop lives in a process of its own (what the allocator is told holds for a whole process) and they take turns, a window of steps each, so that a busy
neighbour hits all. The median over the turns of the ratio of two windows counts. Pictures and words are random: how fast a step is does not depend on them.

    python benchmarks/step_rate.py [turns]
"""

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader, Dataset

sys.path.insert(0, str(Path(__file__).parent))

import record

from thuja.apps.image_classification.task import ImageClassification
from thuja.apps.text_classification.task import TextClassification
from thuja.blocks.regularisation import moved
from thuja.codec import Codec, Columns, Ragged
from thuja.data.source import open_source
from thuja.models.text_transformer import TextTransformer
from thuja.settings import Data, Train
from thuja.task import Facts, Task
from thuja.training import optim
from thuja.training.allocator import keep_freed_memory
from thuja.training.loop import begin, steps, with_defaults

WORKERS = {"convnet": ("thuja", "bare", "naive"), "transformer": ("thuja", "bare")}
ROWS, BATCH, WINDOW = 2048, {"convnet": 128, "transformer": 64}, 3


def made(name: str) -> tuple[Task, Codec, Columns, Train]:
    """The task on random rows, and what it chooses for itself."""
    rng = np.random.default_rng(0)
    if name == "convnet":
        rows: dict[str, Any] = {"image": list(rng.integers(0, 256, (ROWS, 32, 32, 3), np.uint8)), "label": [str(i % 10) for i in range(ROWS)]}
        unsettled: Task = ImageClassification()
    else:
        words = [f"w{i}" for i in range(5000)]
        rows = {"text": [" ".join(rng.choice(words, rng.integers(8, 40))) for _ in range(ROWS)], "label": [str(i % 2) for i in range(ROWS)]}
        unsettled = TextClassification(text="text", target="label", model=TextTransformer())
    source = open_source(Data(), object=rows)["all"]
    task, codec = unsettled.prepare(source)
    chosen = task.choices(codec, Facts(ROWS, record.cores(), "cpu", None))
    settled = {key.removeprefix("train."): choice.value for key, choice in chosen.items() if key.startswith("train.")}
    train = with_defaults(Train().model_copy(update=settled | {"batch": BATCH[name], "steps": 10**6, "ema": 0.0, "precision": "float32"}))
    return task, codec, codec.encode(source.take(np.arange(ROWS))), train


def thuja(name: str) -> Iterator[object]:
    """Our loop."""
    keep_freed_memory()
    task, codec, columns, train = made(name)
    return steps(task, begin(task, codec, train), columns, train)


def bare(name: str) -> Iterator[None]:
    """The same work, written by hand."""
    keep_freed_memory()
    task, codec, columns, train = made(name)
    torch.manual_seed(0)
    model = task.build(codec).train()
    parameters = [p for p in model.parameters() if p.requires_grad]
    assert not isinstance(train.optimizer, str) and isinstance(train.warmup, float)
    optimizers = optim.build(parameters, train.optimizer, model)
    rng, pictures = torch.Generator(), name == "convnet"
    fixed = {n: torch.from_numpy(np.asarray(c)).flatten(1) if np.ndim(c) > 2 else torch.from_numpy(np.asarray(c))
             for n, c in columns.items() if not isinstance(c, Ragged)}
    ragged = {n: c for n, c in columns.items() if isinstance(c, Ragged)}
    for number in range(10**6):
        place = number % (ROWS // BATCH[name])
        if place == 0:
            order = torch.randperm(ROWS)
        index = order[place * BATCH[name] : (place + 1) * BATCH[name]]
        batch = {n: t.index_select(0, index) for n, t in fixed.items()}
        for n, column in ragged.items():
            batch[n] = torch.from_numpy(column.take(index.numpy()).padded())
        if pictures:
            mirrored = (index + number // (ROWS // BATCH[name])) % 2 == 0
            batch["image"] = moved(batch["image"].view(-1, 32, 32, 3), rng, translate=2, mirrored=mirrored, reflect=True)
        loss = task.loss(model, batch, rng).total
        for p in parameters:
            p.grad = None
        loss.backward()  # type: ignore[no-untyped-call]
        rate = optim.factor(str(train.schedule), train.warmup, number, 10**6)
        for optimizer in optimizers:
            optimizer.step(rate)
        yield


class Pictures(Dataset[tuple[Tensor, int]]):
    """As a tutorial has it: a picture at a time, cropped and mirrored at random, then standardised."""

    def __init__(self, pictures: np.ndarray, labels: np.ndarray) -> None:
        self.pictures, self.labels = pictures, labels

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        picture = torch.from_numpy(self.pictures[index]).permute(2, 0, 1).float() / 255
        padded = torch.nn.functional.pad(picture, (2, 2, 2, 2))
        top, left = int(torch.randint(5, ())), int(torch.randint(5, ()))
        cropped = padded[:, top : top + 32, left : left + 32]
        return ((cropped.flip(2) if torch.rand(()) < 0.5 else cropped) - 0.5) / 0.25, int(self.labels[index])


def naive(name: str) -> Iterator[None]:
    """The loop of a tutorial, with the same network."""
    task, codec, columns, _ = made(name)
    network: torch.nn.Module = task.build(codec).network  # type: ignore[assignment]
    network = network.to(memory_format=torch.contiguous_format).train()
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-3)
    loader = DataLoader(Pictures(np.asarray(columns["image"]), np.asarray(columns["label"])), batch_size=BATCH[name], shuffle=True, drop_last=True)
    while True:
        for pictures, labels in loader:
            optimizer.zero_grad()
            loss = cross_entropy(network(pictures.contiguous()), labels)
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            loss.item()
            yield


def work(name: str, loop: str) -> None:
    """A process that makes as many steps as a line of its input says, and answers with the seconds a step."""
    made_steps = {"thuja": thuja, "bare": bare, "naive": naive}[loop](name)
    for line in sys.stdin:
        started = time.perf_counter()
        for _ in range(int(line)):
            next(made_steps)
        print((time.perf_counter() - started) / int(line), flush=True)


def measure(name: str, turns: int) -> dict[str, Any]:
    """All loops of a network in turn, in steps a second."""
    command = [sys.executable, __file__, "--work", name]
    workers = {loop: subprocess.Popen([*command, loop], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for loop in WORKERS[name]}
    times: dict[str, list[float]] = {loop: [] for loop in workers}
    for turn in range(turns + 1):  # the first one warms up
        names = list(workers)
        for loop in names[turn % len(names) :] + names[: turn % len(names)]:
            stdin, stdout = workers[loop].stdin, workers[loop].stdout
            assert stdin is not None and stdout is not None
            stdin.write(f"{WINDOW}\n")
            stdin.flush()
            times[loop].append(float(stdout.readline()))
    for worker in workers.values():
        worker.communicate()
    found: dict[str, Any] = {f"{loop}, steps/s": round(1 / statistics.median(values[1:]), 2) for loop, values in times.items()}
    ratios = {loop: [a / b for a, b in zip(times[loop][1:], times["thuja"][1:], strict=True)] for loop in times if loop != "thuja"}
    return found | {f"thuja's rate over {loop}'s": round(statistics.median(values), 3) for loop, values in ratios.items()}


def main() -> None:
    if "--work" in sys.argv:
        work(*sys.argv[2:])
        return
    turns, load = int(sys.argv[1]) if len(sys.argv) > 1 else 20, os.getloadavg()[0]
    figures = {name: {"rows a step": BATCH[name], **measure(name, turns)} for name in WORKERS}
    report = {"goal": "at least 0.98 of a bare loop's rate, at least 2 times a naive one's", "turns": turns, "steps a turn": WINDOW, **figures}
    print(json.dumps(report, indent=1))
    print(record.save("step_rate", report, load).name)


if __name__ == "__main__":
    main()
