"""A small real run for the harnesses that stop, kill and continue: points inside or outside a ring, learned in tens of steps of less than a millisecond.

It has whatever could be forgotten when a run is continued: dropout, batch normalisation with its running statistics, augmentation, noise in the loss, an
order of rows, and, when asked, texts of different lengths. It also keeps a trace outside everything that is tested: the rows of each step that was begun.
"""

import hashlib
import json
import math
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, NamedTuple, Self

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from thuja.codec import Arrays, Codec, Columns, Rows, ragged
from thuja.data.order import shuffled
from thuja.fields import Category, Number, Schema, Text
from thuja.run import Run
from thuja.settings import Train
from thuja.spec import Spec
from thuja.task import Batch, Draw, Goal, Loss, Program, Source, Task
from thuja.training.prepare import Prepared

NAMES = ("inside", "outside")
WORDS = 50
TIMES = ("seconds", "rows_per_s")
"""Keys of a record that say how long it took: all that may differ between two runs."""


class RingsCodec(Codec):
    kind: Literal["rings"] = "rings"

    def schema(self) -> Schema:  # type: ignore[override]  # pydantic still has a deprecated class method of that name
        return Schema(inputs={"x": Number(), "y": Number(), "words": Text()}, outputs={"label": Category(names=NAMES)})

    def encode(self, rows: Rows) -> Columns:
        columns: Columns = {"point": np.stack([np.asarray(rows[name], np.float32) for name in ("x", "y")], axis=1),
                            "words": ragged([np.frombuffer(text.encode(), np.uint8).astype(np.int64) % (WORDS - 1) + 1 for text in rows["words"]])}
        return columns | ({"side": np.array([NAMES.index(v) for v in rows["side"]], np.int64)} if "side" in rows else {})

    def decode(self, outputs: Arrays) -> dict[str, list[Any]]:
        return {"label": [NAMES[i] for i in outputs["probability"].argmax(axis=1)]}


class Network(nn.Module):
    """Points, and the mean of the words where they are used, to logits."""

    def __init__(self, width: int, dropout: float, words: bool) -> None:
        super().__init__()
        self.embedding = nn.Embedding(WORDS, width, padding_idx=0) if words else None
        self.point = nn.Linear(2, width)
        self.body = nn.Sequential(nn.ReLU(), nn.BatchNorm1d(width), nn.Linear(width, width), nn.ReLU(), nn.Dropout(dropout))
        self.head = nn.Linear(width, 2)

    def forward(self, point: Tensor, words: Tensor) -> Tensor:
        x = self.point(point)
        if self.embedding is not None:
            x = x + self.embedding(words).sum(1) / (words > 0).sum(1, keepdim=True)
        logits: Tensor = self.head(self.body(x))
        return logits


class Answer(nn.Module):
    def __init__(self, network: Network) -> None:
        super().__init__()
        self.network = network

    def forward(self, point: Tensor, words: Tensor) -> Tensor:
        probability: Tensor = self.network(point, words).softmax(dim=1)
        return probability


class Rings(Task):
    kind: Literal["rings"] = "rings"
    width: int = 32
    dropout: float = 0.1
    noise: float = 0.02
    words: bool = False
    burst: tuple[int, ...] = ()
    """Steps whose points are not numbers."""
    trace: str = ""
    """A file to which the rows of every step that is begun are added; empty for none."""

    def prepare(self, source: Source) -> tuple[Self, RingsCodec]:
        return self, RingsCodec()

    def build(self, codec: Codec) -> Network:
        return Network(self.width, self.dropout, self.words)

    def loss(self, model: nn.Module, batch: Batch, rng: torch.Generator) -> Loss:
        logits = model(batch["point"], batch["words"])
        logits = logits + self.noise * torch.randn(logits.shape, generator=rng)
        return Loss(cross_entropy(logits, batch["side"]), {"size": logits.square().mean()})

    def augment(self, batch: Batch, rng: torch.Generator) -> Batch:
        return batch | {"point": batch["point"] + self.noise * torch.randn(batch["point"].shape, generator=rng)}

    def batches(self, model: nn.Module, columns: Columns, draw: Draw) -> Iterator[Batch]:
        for step, batch in enumerate(shuffled(columns, draw.size, draw.seed, draw.start, draw.device), draw.start + 1):
            if self.trace:
                note(Path(self.trace), step, batch["row"])
            yield batch | {"point": batch["point"] * math.nan} if step in self.burst else batch

    def programs(self, model: nn.Module, codec: Codec) -> dict[str, Program]:
        assert isinstance(model, Network)
        return {"predict": Program(Answer(model).eval(), ("point", "words"), ("probability",), {"words": (1,)})}

    @property
    def goal(self) -> Goal:
        return Goal("accuracy", "max")

    @property
    def targets(self) -> tuple[str, ...]:
        return ("side",)


def note(path: Path, step: int, rows: Tensor) -> None:
    """One line of the trace, in one call of the kernel: a kill leaves it whole or not at all."""
    handle = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    try:
        os.write(handle, f"{step} {' '.join(map(str, rows.tolist()))}\n".encode())
    finally:
        os.close(handle)


def traced(path: Path) -> list[tuple[int, tuple[int, ...]]]:
    """What a trace says: (step, rows) of every step begun, in the order in which they were, repeated ones included."""
    if not path.is_file():
        return []
    return [(int(words[0]), tuple(map(int, words[1:]))) for words in map(str.split, path.read_text("utf-8").splitlines())]


def columns(count: int, seed: int = 0) -> Columns:
    """Encoded rows, half of them inside, each with its number and one to nine words."""
    rng = np.random.default_rng(seed)
    side = np.arange(count) % 2
    angle, radius = rng.uniform(0, 2 * np.pi, count), np.where(side == 0, rng.uniform(0, 1, count), rng.uniform(1.2, 2, count))
    points = np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1).astype(np.float32)
    words = ragged([rng.integers(1, WORDS, length) for length in rng.integers(1, 10, count)])
    return {"point": points, "side": side.astype(np.int64), "row": np.arange(count), "words": words}


def prepared(folder: Path, task: Rings, train: Train, rows: int = 512) -> Prepared:
    """The run in `folder`, begun or not, ready for its next step; its trace lies beside its checkpoints."""
    folder.mkdir(parents=True, exist_ok=True)
    spec: Spec[Any] = Spec(task=task.model_copy(update={"trace": str(folder / "trace")}), train=train)
    return Prepared(Run(folder), spec, RingsCodec(), columns(rows), columns(64, seed=1))


class Outcome(NamedTuple):
    """What two runs that should be equal are compared by, part by part, so that a failure names what differs."""

    files: dict[str, str]
    """SHA-256 of each file of the last checkpoint: weights, their moving average, the optimiser, the history of looks."""
    records: str
    """SHA-256 of every loss and look that was logged, without times."""


def outcome(folder: Path) -> Outcome:
    """What the run in `folder` came to. A run without a checkpoint has none."""
    run = Run(folder)
    last = max((p for p in run.checkpoints.glob("[0-9]*")), default=None)
    files = {} if last is None else {f"{last.name}/{p.name}": hashlib.sha256(p.read_bytes()).hexdigest() for p in sorted(last.iterdir())}
    records = [{k: v for k, v in r.items() if k not in TIMES} for r in run.records() if r["event"] in ("step", "look")]
    return Outcome(files, hashlib.sha256(json.dumps(records).encode()).hexdigest())


def difference(wanted: Outcome, found: Outcome) -> str:
    """What differs, in words; empty where nothing does."""
    names = [name for name in sorted(wanted.files | found.files) if wanted.files.get(name) != found.files.get(name)]
    return ", ".join(names + (["the log"] if wanted.records != found.records else []))


def newest(folder: Path) -> int:
    """The step of the newest checkpoint that is there, 0 for none."""
    return max((int(p.name) for p in (folder / "checkpoints").glob("[0-9]*")), default=0)
