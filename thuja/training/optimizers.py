"""SGD, AdamW and Muon over PyTorch's fused kernels, as plain classes: groups of parameters, a state per parameter, and a step.

Numbers equal those of `torch.optim` with `fused=True` to the bit. `torch.optim` itself is not used as its optimisers load PyTorch's compiler when they are
made, more than a second before the first step, and spend longer in Python at each step than a small kernel takes.

All state is made, as zeros, with the optimiser: its tensors stay the same objects for the whole run.

Source: AdamW: Loshchilov and Hutter 2019, arXiv 1711.05101. Muon: Keller Jordan et al. 2024, https://kellerjordan.github.io/posts/muon/. Differs:
Newton-Schulz runs in float32 on the small Gram matrix, and filters of equal shape are done together.
"""

from collections import defaultdict
from dataclasses import dataclass

import torch
from torch import Tensor, nn

COEFFICIENTS = (3.4445, -4.7750, 2.0315)
"""Of the quintic a x + b x^3 + c x^5 that pushes every singular value towards one (Jordan 2024)."""
ROUNDS = 5


@dataclass(frozen=True)
class Group:
    """Parameters of one device and type that share a rate and a decay."""

    parameters: list[nn.Parameter]
    peak: float
    """The learning rate that the schedule scales."""
    decay: float
    """Decoupled weight decay (SGD: an L2 penalty), as a share of the weights a step at a rate of 1."""


class SGD:
    """Stochastic gradient descent; with momentum it is Nesterov's, as `torch.optim.SGD` defines it."""

    def __init__(self, groups: list[Group], momentum: float) -> None:
        self.groups, self.momentum = groups, momentum
        self.state: dict[Tensor, dict[str, Tensor]] = {
            p: {"momentum_buffer": torch.zeros_like(p)} if momentum else {} for group in groups for p in group.parameters}

    @torch.no_grad()
    def step(self, factor: float = 1.0) -> None:
        """One update, at the peak rates times `factor`, of every parameter that has a gradient."""
        for group in self.groups:
            members, gradients = _moved(group)
            if members:
                torch._fused_sgd_(
                    members, gradients, [self.state[p]["momentum_buffer"] for p in members] if self.momentum else [], weight_decay=group.decay,
                    momentum=self.momentum, lr=group.peak * factor, dampening=0.0, nesterov=self.momentum > 0, maximize=False, is_first_step=False)


class AdamW:
    """Adam with decoupled weight decay."""

    def __init__(self, groups: list[Group], betas: tuple[float, float], epsilon: float = 1e-8) -> None:
        self.groups, self.betas, self.epsilon = groups, betas, epsilon
        self.state: dict[Tensor, dict[str, Tensor]] = {}
        self._steps: list[Tensor] = []
        for group in groups:
            steps = torch.zeros(len(group.parameters), device=group.parameters[0].device)  # one tensor, so that one addition counts for all
            self._steps.append(steps)
            for p, step in zip(group.parameters, steps.unbind(), strict=True):
                self.state[p] = {"step": step, "exp_avg": torch.zeros_like(p), "exp_avg_sq": torch.zeros_like(p)}

    @torch.no_grad()
    def step(self, factor: float = 1.0) -> None:
        """One update, at the peak rates times `factor`, of every parameter that has a gradient."""
        first, second = self.betas
        for group, steps in zip(self.groups, self._steps, strict=True):
            members, gradients = _moved(group)
            if not members:
                continue
            states = [self.state[p] for p in members]
            counts = [state["step"] for state in states]
            if len(members) == len(group.parameters):
                steps.add_(1)
            else:
                torch._foreach_add_(counts, 1)
            torch._fused_adamw_(
                members, gradients, [state["exp_avg"] for state in states], [state["exp_avg_sq"] for state in states], [], counts,
                lr=group.peak * factor, beta1=first, beta2=second, weight_decay=group.decay, eps=self.epsilon, amsgrad=False, maximize=False)


class Muon:
    """Nesterov momentum whose matrices are made orthogonal before they are added; a filter `O I kH kW` counts as a matrix `O, I kH kW`.

    `torch.optim.Muon` takes two-dimensional parameters only and does them one at a time.
    """

    def __init__(self, groups: list[Group], momentum: float) -> None:
        self.groups, self.momentum = groups, momentum
        self.state: dict[Tensor, dict[str, Tensor]] = {p: {"momentum": torch.zeros_like(p)} for group in groups for p in group.parameters}

    @torch.no_grad()
    def step(self, factor: float = 1.0) -> None:
        """One update, at the peak rates times `factor`, of every parameter that has a gradient."""
        for group in self.groups:
            members, gradients = _moved(group)
            if not members:
                continue
            rate = group.peak * factor
            momenta = [self.state[p]["momentum"] for p in members]
            torch._foreach_lerp_(momenta, gradients, 1 - self.momentum)
            ahead = torch._foreach_lerp(gradients, momenta, self.momentum)
            if group.decay:
                torch._foreach_mul_(members, 1 - rate * group.decay)
            by_shape: dict[torch.Size, list[int]] = defaultdict(list)
            for place, p in enumerate(members):
                by_shape[p.flatten(1).shape].append(place)
            for shape, places in by_shape.items():
                updates = orthogonal(torch.stack([ahead[i].flatten(1) for i in places]))
                scaled = -rate * max(1.0, shape[0] / shape[1]) ** 0.5
                torch._foreach_add_([members[i] for i in places], [u.view_as(members[i]) for u, i in zip(updates, places, strict=True)], alpha=scaled)


Optimizer = SGD | AdamW | Muon


def _moved(group: Group) -> tuple[list[Tensor], list[Tensor]]:
    """The parameters that have a gradient, and their gradients."""
    members: list[Tensor] = [p for p in group.parameters if p.grad is not None]
    return members, [p.grad for p in members if p.grad is not None]


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
