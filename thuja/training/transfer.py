"""Weights of another network, taken over wherever name and shape are the same.

Source: transfer of learned weights, Yosinski et al. 2014, arXiv 1411.1792; which parameters move is the task's affair (`Task.objectives`, `requires_grad`).
"""

from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Tensor, nn

from thuja.core.errors import SpecError


class Taken(NamedTuple):
    """What became of the parent's weights."""

    taken: int
    """Tensors that were copied."""
    fresh: list[str]
    """Names in the new network that the parent has not, or of another shape: they keep their fresh values."""


@torch.no_grad()
def take_over(model: nn.Module, theirs: Mapping[str, Tensor]) -> Taken:
    """Copy what fits. Raises: SpecError when nothing does."""
    fresh, taken = [], 0
    for name, ours in model.state_dict().items():
        other = theirs.get(name)
        if other is None or other.shape != ours.shape:
            fresh.append(name)
        else:
            ours.copy_(other)
            taken += 1
    if not taken:
        raise SpecError("parent", expected="weights of a network like this one", found="none of the same name and shape", fix="Use the same task.model.")
    return Taken(taken, fresh)
