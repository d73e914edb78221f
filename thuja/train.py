"""Training is a generator that yields one Step per update. (First version; the engine's owner replaces the inside, not the signatures.)"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from thuja import optim
from thuja.codec import Codec, Columns
from thuja.core.seeds import mix
from thuja.settings import Train
from thuja.task import Draw, Objective, Task


@dataclass
class State:
    """Everything that an update changes."""

    model: nn.Module
    objectives: tuple[Objective, ...]
    optimizers: list[list[Optimizer]]
    ema: nn.Module | None = None
    step: int = 0

    @property
    def best_model(self) -> nn.Module:
        """The weights to evaluate and export: the moving average where there is one."""
        return self.ema if self.ema is not None else self.model


class Step(NamedTuple):
    """One update that has just been made."""

    number: int
    losses: dict[str, Tensor]
    state: State


def begin(task: Task, codec: Codec, train: Train) -> State:
    """Fresh weights and optimisers, a function of the seed alone."""
    torch.manual_seed(mix(train.seed, "init"))
    model = task.build(codec)
    objectives = task.objectives(model)
    assert train.optimizer != "auto"
    return State(model, objectives, [optim.build(o.parameters, train.optimizer) for o in objectives])


def steps(task: Task, state: State, columns: Columns, train: Train) -> Iterator[Step]:
    """Update until `train.steps` (settled: no `auto` left), starting after `state.step`."""
    assert isinstance(train.steps, int) and isinstance(train.batch, int)
    rng = torch.Generator()
    base = [[[g["lr"] for g in o.param_groups] for o in group] for group in state.optimizers]
    batches = task.batches(state.model, columns, Draw(train.batch, train.seed, state.step))
    while state.step < train.steps:
        torch.manual_seed(mix(train.seed, "dropout", state.step))
        scale = min(1.0, (state.step + 1) / max(1, 0.1 * train.steps), (train.steps - state.step) / (0.9 * train.steps))
        batch = task.augment(next(batches), rng.manual_seed(mix(train.seed, "augment", state.step)))
        losses: dict[str, Tensor] = {}
        state.model.train()
        for which, (objective, optimizers) in enumerate(zip(state.objectives, state.optimizers, strict=True)):
            loss = objective.loss(batch, rng.manual_seed(mix(train.seed, "loss", state.step, which)))
            state.model.zero_grad(set_to_none=True)
            loss.total.backward()  # type: ignore[no-untyped-call]
            for o, lrs in zip(optimizers, base[which], strict=True):
                for group, lr in zip(o.param_groups, lrs, strict=True):
                    group["lr"] = lr * scale
                o.step()
            losses |= {objective.name: loss.total.detach(), **{k: v.detach() for k, v in loss.parts.items()}}
        state.step += 1
        yield Step(state.step, losses, state)
