"""The torch half of the contract: a Task is what is learned. Its fields are the spec, its methods are the maths."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Literal, NamedTuple, Protocol, Self

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict
from torch import Tensor, nn

from thuja.chart import Chart
from thuja.codec import Arrays, Codec, Columns, Ragged, Rows
from thuja.core.errors import SpecError
from thuja.data.order import shuffled
from thuja.metrics import Outputs

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
    The inputs of a program `step` are names of the state that `predict` gave and `step` changes (`thuja.codec.repeated`).
    """

    module: nn.Module
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    dynamic: Mapping[str, tuple[int, ...] | dict[int, str]] = {}
    """For each input, the axes besides 0 (always dynamic) whose length varies; with a name each where several inputs have lengths that must agree."""
    exported: bool = True
    """Whether it goes into the artefact. One that only judges, and that ONNX cannot say for any length (a recurrent layer), stays here."""


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


class Checkpoint(NamedTuple):
    """Weights of another house, in a folder of the layout of the library transformers. Nothing in it is ever run."""

    config: dict[str, Any]
    """config.json."""
    tokenizer: str
    """tokenizer.json; empty where there is none."""
    weights: Mapping[str, Tensor]


class Adopted(NamedTuple):
    """What a task makes of a checkpoint."""

    task: Any
    codec: Codec
    weights: Mapping[str, Tensor]
    """By the names of this task's own network."""


class Task(BaseModel, ABC):
    """What is learned. Frozen; an application sits exactly one level below and never calls `super()`; defaults are thin calls of named functions."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    kind: str

    def arrange(self, parts: dict[str, Source]) -> dict[str, Source]:
        """The rows that are learned from, out of the rows at rest: windows of a series, passages of a text. A function of the parts and of this task, the
        same before and after `prepare`; default: the rows as they are."""
        return parts

    @abstractmethod
    def prepare(self, source: Source) -> tuple[Self, Codec]:
        """Learn the codec from the training rows (one or two passes, batch by batch) and settle every `auto` of this task. Both results are frozen."""

    def inherit(self, source: Source, parent: Codec) -> tuple[Self, Codec]:
        """As `prepare`, to go on from weights that were learned with the codec `parent`. Raises: SpecError where this kind cannot."""
        raise SpecError("parent", expected="a kind of task that can go on from another run", found=repr(self.kind), fix="Leave `parent` out.")

    def adopt(self, source: Source, checkpoint: Checkpoint) -> Adopted:
        """As `prepare`, to go on from weights of another house. Raises: SpecError where this kind cannot, or the network is none that this one can be."""
        raise SpecError("parent", expected=f"a run or an artefact of the kind {self.kind}", found="a checkpoint of another house", fix="Leave `parent` out.")

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

    def memory(self, model: nn.Module) -> dict[str, Tensor]:
        """What `batches` must find again besides the weights when a run is continued (a replay buffer): tensors that it fills in place, of fixed shapes. They
        are saved in every checkpoint, put back before `batches` is called, and never exported."""
        return {}

    @abstractmethod
    def programs(self, model: nn.Module, codec: Codec) -> dict[str, Program]:
        """What is exported and evaluated; "predict" is the one that serves."""

    def metrics(self, codec: Codec) -> tuple[str, ...]:
        """Names from `thuja.metrics`, in the order of the report."""
        return ()

    @property
    @abstractmethod
    def goal(self) -> Goal:
        """The metric that decides."""

    @property
    def look(self) -> Goal:
        """What is watched on the validation rows during training: checkpoints, early stopping. `Goal("loss", "min")` where the metric takes too long."""
        return self.goal

    @property
    def judged(self) -> str:
        """The program whose outputs are evaluated."""
        return "predict"

    def outputs(self, codec: Codec, columns: Columns, arrays: Arrays, source: Source | None = None) -> Outputs:
        """What was asked and what was answered, as metrics take it, from what the judged program gave. `source`: the same rows, raw; None during training."""
        target = columns[self.targets[0]]
        assert not isinstance(target, Ragged), "a ragged target is turned into words by the task"
        return Outputs(np.asarray(target), arrays)

    def served(self, model: nn.Module, codec: Codec, part: Part) -> Source:
        """Rows as a server will be asked, where they are not those that lie in the data (what a policy sees while it plays): they make the real probes of the
        certificate and the reference that later input is compared with. Default: the rows of the part."""
        return part.source

    def charts(self, model: nn.Module, codec: Codec, part: Part, outputs: Outputs) -> tuple[Chart, ...]:
        """Pictures for the report that only this kind of task can make: attention maps, forecasts."""
        return ()

    @property
    def targets(self) -> tuple[str, ...]:
        """Names of the target columns."""
        return ()

    def baseline(self, codec: Codec, train: Part, test: Part, seed: int) -> Baseline | None:
        """A classical model trained on the same rows, answering the same test rows; None where there is none."""
        return None

    def choices(self, codec: Codec, facts: Facts) -> dict[str, Choice]:
        """Settled `auto` values of the training section, by dotted name ("train.batch", "train.optimizer"), each with its reason."""
        return {}
