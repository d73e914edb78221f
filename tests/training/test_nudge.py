"""Weights that are moved to and fro show which answers hang on rounding, and come back as they were."""

import torch
from torch import Tensor, nn

from thuja.task import Program
from thuja.training.nudge import PAIRS, nudged


class Better(nn.Module):
    """Which of two weights is larger once `x` is added to the first."""

    def __init__(self, second: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.tensor([1.0, second]))
        self.turn = nn.Parameter(torch.tensor([3]), requires_grad=False)

    def forward(self, x: Tensor) -> Tensor:
        return (self.weight + torch.stack([x, torch.zeros_like(x)], 1)).argmax(1)


def test_a_tie_gives_way_and_a_decision_stays() -> None:
    model = Better(1.0 + 1e-7)
    program = Program(model, ("x",), ("best",))
    before = model.weight.detach().clone()
    x = torch.tensor([0.0, 0.01, -0.01])
    found = torch.stack([programs["predict"].module(x) for programs in nudged({"predict": program, "step": program})])
    assert len(found) == 2 * PAIRS
    assert set(found[:, 0].tolist()) == {0, 1}
    assert set(found[:, 1].tolist()) == {0} and set(found[:, 2].tolist()) == {1}
    assert torch.equal(model.weight, before) and model.turn.item() == 3


def test_weights_come_back_when_nobody_looks_on() -> None:
    model = Better(1.0)
    before = model.weight.detach().clone()
    looked = nudged({"predict": Program(model, ("x",), ("best",))})
    next(looked)
    assert not torch.equal(model.weight, before)
    looked.close()
    assert torch.equal(model.weight, before)
