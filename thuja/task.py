"""The torch half of the contract: a Task is what is learned. Its fields are the spec, its methods are the maths."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from typing import Any, Literal, NamedTuple, Protocol, Self

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict
from torch import Tensor, nn

from thuja.codec import Arrays, Codec, Columns, Rows
from thuja.data.order import shuffled

Batch = dict[str, Tensor]


class Source(Protocol):
    """Rows at rest, read a batch at a time (`thuja.data`): what `prepare` and `baseline` see."""

    names: tuple[str, ...]

    def __len__(self) -> int: ...
    def take(self, index: np.ndarray) -> Rows: ...
    def batches(self, size: int = 1024) -> Iterator[Rows]: ...
    def ids(self, index: np.ndarray) -> list[str]: ...


class Part(NamedTuple):
    """One part of the data, raw and encoded, row for row: `source.take([i])` and `columns[...][i]` are the same row."""

    source: Source
    columns: Columns


class Loss(NamedTuple):
    """What is minimised, and named pieces of it for the log."""

    total: Tensor
    """Scalar; the mean over the rows of the batch, so that accumulation over parts equals the whole."""
    parts: dict[str, Tensor] = {}


class Objective(NamedTuple):
    """A loss and the parameters it may move. Most tasks have one; a GAN has two."""

    name: str
    parameters: list[nn.Parameter]
    loss: Callable[[Batch, torch.Generator], Loss]


class Draw(NamedTuple):
    """How batches are drawn: pure in (seed, step)."""

    size: int
    """Rows a step."""
    seed: int
    start: int = 0
    """First step, counted from 0; a resumed run starts where it stopped."""
    device: str = "cpu"


class Goal(NamedTuple):
    """The metric that decides, and which way is better."""

    metric: str
    direction: Literal["max", "min"]


class Program(NamedTuple):
    """One exported graph: a module from encoded arrays (the codec's input columns, batch first) to named outputs.

    Everything numeric is inside: normalisation, softmax, thresholds, search. The module is in eval mode and takes its inputs by position.
    """

    module: nn.Module
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    dynamic: dict[str, tuple[int, ...]] = {}
    """For each input, the axes besides 0 (always dynamic) whose length varies."""


class Baseline(NamedTuple):
    """What a classical model answers on the same rows."""

    name: str
    """What it is, in words a report can print: 'gradient boosting (300 trees)'."""
    outputs: Arrays
    """Same names and shapes as the program's outputs."""
    seconds: float


class Facts(NamedTuple):
    """What is known before step one, from which every `auto` is settled."""

    rows: int
    cores: int
    device: str
    budget_s: float | None
    steps: int | None = None
    """What the spec typed, if it did."""


class Choice(NamedTuple):
    """A settled `auto` and the reason a person is told."""

    value: Any
    reason: str


class Task(BaseModel, ABC):
    """What is learned. Frozen; an application sits exactly one level below and never calls `super()`; defaults are thin calls of named functions."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    kind: str

    @abstractmethod
    def prepare(self, source: Source) -> tuple[Self, Codec]:
        """Learn the codec from the training rows (one or two passes, batch by batch) and settle every `auto` of this task. Both results are frozen."""

    @abstractmethod
    def build(self, codec: Codec) -> nn.Module:
        """Fresh weights, drawn from torch's global generator, which the caller has seeded."""

    @abstractmethod
    def loss(self, model: nn.Module, batch: Batch, rng: torch.Generator) -> Loss:
        """The loss of one batch; all randomness from `rng` (dropout excepted: it uses the global generator, reseeded every step)."""

    def objectives(self, model: nn.Module) -> tuple[Objective, ...]:
        """One objective over all parameters that want a gradient."""
        return (Objective("loss", [p for p in model.parameters() if p.requires_grad], lambda batch, rng: self.loss(model, batch, rng)),)

    def augment(self, batch: Batch, rng: torch.Generator) -> Batch:
        """Random changes to a whole batch, vectorised, on the device; training only."""
        return batch

    def batches(self, model: nn.Module, columns: Columns, draw: Draw) -> Iterator[Batch]:
        """Endless batches from step `draw.start`; each row exactly once an epoch. Reinforcement learning overrides it and plays with the model."""
        return shuffled(columns, draw.size, draw.seed, draw.start, draw.device)

    @abstractmethod
    def programs(self, model: nn.Module, codec: Codec) -> dict[str, Program]:
        """What is exported and evaluated; "predict" is the one that serves."""

    def metrics(self, codec: Codec) -> tuple[str, ...]:
        """Names from `thuja.metrics`, in the order of the report."""
        return ()

    @property
    @abstractmethod
    def goal(self) -> Goal:
        """The metric that decides: checkpoints, early stopping, tuning."""

    @property
    def targets(self) -> tuple[str, ...]:
        """Names of the target columns."""
        return ()

    def baseline(self, train: Part, test: Part, seed: int) -> Baseline | None:
        """A classical model trained on the same rows, answering the same test rows; None where there is none."""
        return None

    def choices(self, codec: Codec, facts: Facts) -> dict[str, Choice]:
        """Settled `auto` values of the training section, by dotted name ("train.batch", "train.optimizer"), each with its reason."""
        return {}
