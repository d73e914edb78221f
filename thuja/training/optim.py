"""Optimisers, which parameter gets which, and learning-rate schedules as pure functions of the step.

A model says what its parameters are by plain means; nothing is registered:

- A parameter of an `nn.Embedding`, or with a part of its dotted name equal to `head` (`head.weight`, `decoder.head.0.weight`), is not a hidden matrix:
  Muon leaves it to AdamW, as it does biases, gains and everything else with fewer than two dimensions.
- `parameter.hidden = False` says the same of any other parameter (a table of positions, say); `True` overrules the rule.
- `parameter.lr_scale = 4.0` multiplies the learning rate of that parameter.

Weight decay acts on parameters with two or more dimensions only.

Source: Muon: Keller Jordan et al. 2024, https://kellerjordan.github.io/posts/muon/. Differs: Newton-Schulz runs in float32 on the small Gram matrix, and
filters of equal shape are done together. AdamW: Loshchilov and Hutter 2019, arXiv 1711.05101.
"""

import math
from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Any, overload

import torch
from torch import Tensor, nn
from torch.optim import SGD, AdamW, Optimizer

from thuja import settings

COEFFICIENTS = (3.4445, -4.7750, 2.0315)
"""Of the quintic a x + b x^3 + c x^5 that pushes every singular value towards one (Jordan 2024)."""
ROUNDS = 5
COOLDOWN = 0.4
"""Share of a trapezoid's steps in which the rate falls to zero."""


def build(parameters: list[nn.Parameter], optimizer: settings.Optimizer, model: nn.Module | None = None) -> list[Optimizer]:
    """The optimisers of these parameters: one, or two for Muon. `model` tells which of them are embeddings and heads."""
    parameters = list({id(p): p for p in parameters}.values())
    match optimizer:
        case settings.SGD():
            nesterov = optimizer.momentum > 0
            groups = _groups(parameters, optimizer.learning_rate, optimizer.weight_decay)
            return [SGD(groups, lr=optimizer.learning_rate, momentum=optimizer.momentum, nesterov=nesterov, fused=True)]
        case settings.AdamW():
            return [_adamw(parameters, optimizer)]
        case settings.Muon():
            outer = _outer(model)
            hidden = [p for p in parameters if getattr(p, "hidden", p.dim() >= 2 and id(p) not in outer)]
            rest = [p for p in parameters if id(p) not in set(map(id, hidden))]
            made: list[Optimizer] = [_adamw(rest, optimizer.adamw)] if rest else []
            if hidden:
                groups = _groups(hidden, optimizer.learning_rate, optimizer.weight_decay)
                made.insert(0, Muon(groups, learning_rate=optimizer.learning_rate, momentum=optimizer.momentum))
            return made


def _adamw(parameters: list[nn.Parameter], optimizer: settings.AdamW) -> AdamW:
    groups = _groups(parameters, optimizer.learning_rate, optimizer.weight_decay)
    return AdamW(groups, lr=optimizer.learning_rate, betas=optimizer.betas, fused=True)


def _groups(parameters: Iterable[nn.Parameter], learning_rate: float, weight_decay: float) -> list[dict[str, Any]]:
    """Parameter groups by (decayed or not, learning-rate scale); `base_lr` is the peak that the schedule scales."""
    found: dict[tuple[bool, float], list[nn.Parameter]] = defaultdict(list)
    for p in parameters:
        found[p.dim() >= 2, float(getattr(p, "lr_scale", 1.0))].append(p)
    return [{"params": members, "weight_decay": weight_decay if decayed else 0.0, "lr": learning_rate * scale, "base_lr": learning_rate * scale}
            for (decayed, scale), members in found.items()]


def _outer(model: nn.Module | None) -> set[int]:
    """Ids of the parameters of embeddings and heads."""
    if model is None:
        return set()
    embedded = {id(p) for m in model.modules() if isinstance(m, nn.Embedding | nn.EmbeddingBag) for p in m.parameters()}
    return embedded | {id(p) for name, p in model.named_parameters() if "head" in name.split(".")}


def set_rate(optimizers: Iterable[Optimizer], factor: float) -> None:
    """Every group's learning rate to its own peak times `factor`."""
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group["lr"] = group["base_lr"] * factor


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


class Muon(Optimizer):
    """Nesterov momentum whose matrices are made orthogonal before they are added; a filter `O I kH kW` counts as a matrix `O, I kH kW`.

    `torch.optim.Muon` takes two-dimensional parameters only and does them one at a time.
    """

    def __init__(self, groups: list[dict[str, Any]], *, learning_rate: float, momentum: float) -> None:
        super().__init__(groups, {"lr": learning_rate, "momentum": momentum, "weight_decay": 0.0})

    @overload
    def step(self, closure: None = None) -> None: ...
    @overload
    def step(self, closure: Callable[[], float]) -> float: ...
    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:
        """One update of every parameter that has a gradient."""
        assert closure is None
        for group in self.param_groups:
            members = [p for p in group["params"] if p.grad is not None]
            if not members:
                continue
            gradients = [p.grad for p in members]
            momenta = [self._momentum(p) for p in members]
            torch._foreach_lerp_(momenta, gradients, 1 - group["momentum"])
            ahead = torch._foreach_lerp(gradients, momenta, group["momentum"])
            if group["weight_decay"]:
                torch._foreach_mul_(members, 1 - group["lr"] * group["weight_decay"])
            by_shape: dict[torch.Size, list[int]] = defaultdict(list)
            for place, p in enumerate(members):
                by_shape[p.flatten(1).shape].append(place)
            for shape, places in by_shape.items():
                updates = orthogonal(torch.stack([ahead[i].flatten(1) for i in places]))
                rate = -group["lr"] * max(1.0, shape[0] / shape[1]) ** 0.5
                torch._foreach_add_([members[i] for i in places], [u.view_as(members[i]) for u, i in zip(updates, places, strict=True)], alpha=rate)
        return None

    def _momentum(self, parameter: nn.Parameter) -> Tensor:
        state = self.state[parameter]
        if "momentum" not in state:
            state["momentum"] = torch.zeros_like(parameter)
        momentum: Tensor = state["momentum"]
        return momentum


def orthogonal(matrices: Tensor) -> Tensor:
    """The nearest (roughly) orthogonal matrices of a stack `[n, rows, columns]`: U V^T of each, singular values within about 0.7 to 1.2.

    Newton-Schulz multiplies X by a polynomial of its Gram matrix A = X X^T, and all these polynomials commute. So the rounds are run on A and on their
    product alone, and X is touched twice in all instead of twice a round: for a 3x3 filter about a third of the work.
    """
    a, b, c = COEFFICIENTS
    tall = matrices.shape[-2] > matrices.shape[-1]
    x = matrices.mT if tall else matrices
    x = x.float()
    gram = x @ x.mT
    # The sum of squares bounds the largest eigenvalue of the Gram matrix.
    size = gram.diagonal(dim1=-2, dim2=-1).sum(-1).clamp_min_(1e-14)[:, None, None]
    gram = gram / size
    product: Tensor | None = None
    for turn in range(ROUNDS):
        factor_ = torch.baddbmm(gram, gram, gram, beta=b, alpha=c)
        factor_.diagonal(dim1=-2, dim2=-1).add_(a)
        product = factor_ if product is None else factor_ @ product
        if turn + 1 < ROUNDS:
            gram = factor_ @ gram @ factor_
    assert product is not None
    x = product @ x * size.rsqrt()
    return (x.mT if tall else x).to(matrices.dtype)
