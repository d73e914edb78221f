"""Training is a generator that yields one Step per update; what else must happen per step is ordinary code in the `for` body of its caller.

Everything random is reseeded at every step from (seed, step), so that a run can be picked up at any step without saving a random state: the global
generator, which dropout uses, and one that augmentation and losses draw from in turn. The order of rows has a stream of its own (`thuja.data.order`).
"""

import copy
import shutil
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import torch
from torch import Tensor, nn

from thuja.codec import Codec, Columns
from thuja.core.seeds import mix
from thuja.settings import AdamW, Train
from thuja.task import Batch, Draw, Objective, Task
from thuja.training import optim
from thuja.training.optimizers import Optimizer
from thuja.training.transfer import take_over, tune
from thuja.training.update import Update

STRIDE, MASK = 0x9E3779B97F4A7C15, (1 << 63) - 1
"""Seeds lie on a Weyl sequence from a hashed start, two for each step. As the stride is odd, no two of a run of less than 2**31 steps agree in their lower 32
bits, which are all that torch's generator on the CPU keeps of a seed; and it costs no hash a step. (Steele et al. 2014, SplitMix: the golden ratio.)"""


@dataclass
class State:
    """Everything that an update changes."""

    model: nn.Module
    objectives: tuple[Objective, ...]
    optimizers: list[list[Optimizer]]
    """For each objective its optimisers."""
    ema: nn.Module | None = None
    step: int = 0
    parts: int = 1
    """Into which a batch is cut: `train.accumulate`, doubled whenever memory did not suffice."""
    careful: bool = False
    """Look at losses and gradients before every update, and leave out one that is not finite."""
    memory: dict[str, Tensor] = field(default_factory=dict)
    """`Task.memory`."""

    @property
    def best_model(self) -> nn.Module:
        """The weights to evaluate and export: the moving average where there is one."""
        return self.ema if self.ema is not None else self.model


class Step(NamedTuple):
    """One update that has just been made."""

    number: int
    """From 1."""
    losses: dict[str, Tensor]
    """The objectives' losses and their named parts, still on the device; means over the rows of the batch."""
    state: State
    batch: Batch
    """What it was made from, augmented."""
    skipped: bool = False
    """A loss or a gradient was not finite and `State.careful` set: this update, and those of later objectives, were not made."""


def with_defaults(train: Train) -> Train:
    """Every `auto` that nobody settled, at its plain default. The verb settles them before; this serves those who call `begin` and `steps` themselves."""
    plain = {"optimizer": AdamW(), "schedule": "linear", "warmup": 0.1, "ema": 0.0, "precision": "float32", "compile": False, "device": "cpu", "batch": 128,
             "steps": 1000}
    return train.model_copy(update={name: value for name, value in plain.items() if getattr(train, name) == "auto"})


def begin(task: Task, codec: Codec, train: Train, weights: Mapping[str, Tensor] | None = None) -> State:
    """Fresh weights and optimisers, a function of the seed; `weights` of a parent take the place of those that they fit."""
    train = with_defaults(train)
    torch.manual_seed(mix(train.seed, "init"))
    model = task.build(codec)
    if weights is not None:
        take_over(model, weights)
        tune(model, train.freeze, train.layer_decay)
    model = model.to(train.device)
    ema = copy.deepcopy(model).requires_grad_(False).eval() if train.ema else None
    if train.compile:
        _compile(model)
    objectives = task.objectives(model)
    assert not isinstance(train.optimizer, str)
    return State(model, objectives, [optim.build(o.parameters, train.optimizer, model) for o in objectives], ema, parts=train.accumulate,
                 memory=task.memory(model))


def _compile(model: nn.Module) -> None:
    if shutil.which("g++") or shutil.which("clang++") or next(model.parameters()).device.type != "cpu":
        model.compile()
    else:
        warnings.warn("train.compile: no C++ compiler was found; training goes on without.", RuntimeWarning, stacklevel=3)


def steps(task: Task, state: State, columns: Columns, train: Train) -> Iterator[Step]:
    """Update until `train.steps`, starting after `state.step`. The caller may read anything of the state between steps, gradients included.

    Raises: TrainError when memory does not suffice.
    """
    train = with_defaults(train)
    state.model.train()
    assert isinstance(train.steps, int) and isinstance(train.batch, int) and not isinstance(train.warmup, str) and not isinstance(train.ema, str)
    device = torch.device(train.device)
    rng = torch.Generator(device)
    average = Average(state.model, state.ema, train.ema) if state.ema is not None else None
    updates = [Update(o, optimizers, state.model, train) for o, optimizers in zip(state.objectives, state.optimizers, strict=True)]
    batches = task.batches(state.model, columns, Draw(train.batch, train.seed, state.step, train.device))
    first_seed = mix(train.seed, "steps")
    while state.step < train.steps:
        seed, other = _two_seeds(first_seed, state.step)
        _reseed(seed, device)
        rng.manual_seed(other)
        if not state.model.training:  # walking through all modules at every step would take longer than the rest of the loop
            state.model.train()
        batch = task.augment(next(batches), rng)
        rate = optim.factor(train.schedule, train.warmup, state.step, train.steps)
        losses: dict[str, Tensor] = {}
        skipped = False
        for update in updates:
            found, state.parts = update.gradients(batch, rng, state.parts)
            losses |= found
            if state.careful and not update.finite(found):
                update.undo()
                skipped = True
                break
            update.apply(rate)
        state.step += 1
        if average is not None and not skipped:
            average.update(state.step)
        yield Step(state.step, losses, state, batch, skipped)


def step_seeds(seed: int, step: int) -> tuple[int, int]:
    """What step `step` (from 0) of a run with this seed seeds its two generators with: the global one, and that of augmentation and losses."""
    return _two_seeds(mix(seed, "steps"), step)


def _two_seeds(first: int, step: int) -> tuple[int, int]:
    seed = first + 2 * step * STRIDE
    return seed & MASK, seed + STRIDE & MASK


def _reseed(seed: int, device: torch.device) -> None:
    """The global generators, which dropout uses. `torch.manual_seed` does the same and ten times slower."""
    torch.default_generator.manual_seed(seed)
    if device.type == "cuda":
        torch.cuda.manual_seed(seed)


class Average:
    """The exponential moving average of the weights, kept in a second module; buffers (running statistics) are copied as they are.

    Source: Polyak and Juditsky 1992; the decay starts small, min(decay, (1 + step) / (10 + step)), so that early weights are forgotten (TensorFlow's
    `num_updates`).
    """

    def __init__(self, model: nn.Module, ema: nn.Module, decay: float) -> None:
        self.decay = decay
        self.old: list[Tensor] = list(ema.parameters())
        self.new: list[Tensor] = list(model.parameters())
        self.old_buffers, self.new_buffers = list(ema.buffers()), list(model.buffers())

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Move towards the weights that step `step` (from 1) left."""
        torch._foreach_lerp_(self.old, self.new, 1 - min(self.decay, (1 + step) / (10 + step)))
        if self.old_buffers:
            torch._foreach_copy_(self.old_buffers, self.new_buffers)
