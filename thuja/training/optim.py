"""Which parameter gets which optimiser, and learning-rate schedules as pure functions of the step.

A model says what its parameters are by plain means; nothing is registered:

- A parameter of an `nn.Embedding`, or with a part of its dotted name equal to `head` (`head.weight`, `decoder.head.0.weight`), is not a hidden matrix:
  Muon leaves it to AdamW, as it does biases, gains and everything else with fewer than two dimensions.
- `parameter.hidden = False` says the same of any other parameter (a table of positions, say); `True` overrules the rule.
- `parameter.lr_scale = 4.0` multiplies the learning rate of that parameter.

Weight decay acts on parameters with two or more dimensions only.
"""

import math
from collections import defaultdict
from collections.abc import Iterable

import torch
from torch import nn

from thuja import settings
from thuja.training.optimizers import SGD, AdamW, Group, Muon, Optimizer

COOLDOWN = 0.4
"""Share of a trapezoid's steps in which the rate falls to zero."""


def build(parameters: list[nn.Parameter], optimizer: settings.Optimizer, model: nn.Module | None = None) -> list[Optimizer]:
    """The optimisers of these parameters: one, or two for Muon. `model` tells which of them are embeddings and heads."""
    parameters = list({id(p): p for p in parameters}.values())
    match optimizer:
        case settings.SGD():
            return [SGD(_groups(parameters, optimizer), optimizer.momentum)]
        case settings.AdamW():
            return [AdamW(_groups(parameters, optimizer), optimizer.betas)]
        case settings.Muon():
            outer = _outer(model)
            hidden = [p for p in parameters if getattr(p, "hidden", p.dim() >= 2 and id(p) not in outer)]
            rest = [p for p in parameters if id(p) not in set(map(id, hidden))]
            made: list[Optimizer] = [Muon(_groups(hidden, optimizer), optimizer.momentum)] if hidden else []
            return [*made, AdamW(_groups(rest, optimizer.adamw), optimizer.adamw.betas)] if rest else made


def _groups(parameters: Iterable[nn.Parameter], optimizer: settings.Optimizer) -> list[Group]:
    """Groups by (decayed or not, learning-rate scale, type and device, which a fused kernel wants to be one)."""
    found: dict[tuple[bool, float, torch.dtype, torch.device], list[nn.Parameter]] = defaultdict(list)
    for p in parameters:
        found[p.dim() >= 2, float(getattr(p, "lr_scale", 1.0)), p.dtype, p.device].append(p)
    return [Group(members, optimizer.learning_rate * scale, optimizer.weight_decay if decayed else 0.0)
            for (decayed, scale, _, _), members in found.items()]


def _outer(model: nn.Module | None) -> set[int]:
    """Ids of the parameters of embeddings and heads."""
    if model is None:
        return set()
    embedded = {id(p) for m in model.modules() if isinstance(m, nn.Embedding | nn.EmbeddingBag) for p in m.parameters()}
    return embedded | {id(p) for name, p in model.named_parameters() if "head" in name.split(".")}


def factor(schedule: str, warmup: float, step: int, steps: int) -> float:
    """The learning rate of step `step` (from 0) of `steps`, as a share of its peak; after a linear rise in the first `warmup * steps` steps.

    >>> [round(factor("linear", 0.2, s, 10), 3) for s in range(10)]
    [0.5, 1.0, 1.0, 0.875, 0.75, 0.625, 0.5, 0.375, 0.25, 0.125]
    """
    rise = warmup * steps
    if step + 1 < rise:
        return (step + 1) / rise
    left = (steps - step) / max(steps - rise, 1.0)  # from 1 just after the rise to one step's worth at the end; never zero, so that no step is wasted
    match schedule:
        case "constant":
            return 1.0
        case "linear":
            return min(1.0, left)
        case "cosine":
            return 0.5 - 0.5 * math.cos(math.pi * min(1.0, left))
        case "trapezoid":
            return min(1.0, (steps - step) / max(COOLDOWN * steps, 1.0))
    raise AssertionError(schedule)
