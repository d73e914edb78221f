import subprocess
import sys
from collections.abc import Iterator

import pytest
import torch
from torch import Tensor, nn

from thuja.training import optimizers
from thuja.training.optimizers import SGD, AdamW, Group, Muon, Optimizer

STEPS, FACTORS = 6, (0.5, 1.0, 1.0, 0.7, 0.3, 0.1)


def weights() -> list[nn.Parameter]:
    generator = torch.Generator().manual_seed(0)
    made = [torch.randn(shape, generator=generator) for shape in ((7, 5), (4, 3, 3, 3), (11,), (1,), (130, 70))]
    made[1] = made[1].to(memory_format=torch.channels_last)
    return [nn.Parameter(value) for value in made]


def gradients(skip: int | None) -> Iterator[list[Tensor | None]]:
    """Of each step; parameter `skip` has none in the second and fourth."""
    generator = torch.Generator().manual_seed(1)
    for step in range(STEPS):
        found = [torch.empty_like(p).copy_(torch.randn(p.shape, generator=generator)) for p in weights()]
        yield [None if i == skip and step in (1, 3) else gradient for i, gradient in enumerate(found)]


def moved(optimizer: Optimizer | torch.optim.Optimizer, parameters: list[nn.Parameter], skip: int | None) -> list[Tensor]:
    for factor, found in zip(FACTORS, gradients(skip), strict=True):
        for p, gradient in zip(parameters, found, strict=True):
            p.grad = gradient
        if isinstance(optimizer, torch.optim.Optimizer):
            for group in optimizer.param_groups:
                group["lr"] = group["peak"] * factor
            optimizer.step()
        else:
            optimizer.step(factor)
    return [p.detach() for p in parameters]


def both(parameters: list[nn.Parameter]) -> tuple[list[Group], list[dict[str, object]]]:
    """The same groups for us and for torch."""
    ours = [Group(parameters[:2] + parameters[4:], peak=0.05, decay=0.1), Group(parameters[2:4], peak=0.2, decay=0.0)]
    return ours, [{"params": group.parameters, "peak": group.peak, "weight_decay": group.decay} for group in ours]


@pytest.mark.parametrize("skip", [None, 0, 3])
@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_sgd_equals_torch_to_the_bit(momentum: float, skip: int | None) -> None:
    first, second = weights(), weights()
    ours, theirs = SGD(both(first)[0], momentum), torch.optim.SGD(both(second)[1], momentum=momentum, nesterov=momentum > 0, fused=True)
    assert all(torch.equal(a, b) for a, b in zip(moved(ours, first, skip), moved(theirs, second, skip), strict=True))
    assert not torch.equal(first[0], weights()[0])


@pytest.mark.parametrize("skip", [None, 0, 3])
def test_adamw_equals_torch_to_the_bit(skip: int | None) -> None:
    first, second = weights(), weights()
    ours, theirs = AdamW(both(first)[0], (0.9, 0.99)), torch.optim.AdamW(both(second)[1], betas=(0.9, 0.99), fused=True)
    assert all(torch.equal(a, b) for a, b in zip(moved(ours, first, skip), moved(theirs, second, skip), strict=True))
    for one, other in zip(first, second, strict=True):
        assert {name: value.tolist() for name, value in ours.state[one].items()} == {name: value.tolist() for name, value in theirs.state[other].items()}


def test_a_step_without_gradients_changes_nothing() -> None:
    for made in (SGD, AdamW, Muon):
        parameter = nn.Parameter(torch.ones(2, 2))
        optimizer = made([Group([parameter], peak=0.1, decay=0.1)], (0.9, 0.99) if made is AdamW else 0.9)
        optimizer.step()
        assert torch.equal(parameter, torch.ones(2, 2))
        assert all(not value.any() for value in optimizer.state[parameter].values())


LOADED = """
import sys, numpy as np, torch
from thuja.settings import SGD, AdamW, Muon
from thuja.training import optim
for chosen in (SGD(), AdamW(), Muon()):
    model = torch.nn.Sequential(torch.nn.Linear(3, 3), torch.nn.Linear(3, 3))
    model(torch.ones(2, 3)).sum().backward()
    for optimizer in optim.build(list(model.parameters()), chosen, model):
        optimizer.step()
print(sorted({"torch._dynamo", "sympy", "torch._inductor"} & set(sys.modules)))
"""


def test_the_compiler_of_torch_is_not_loaded() -> None:
    assert subprocess.run([sys.executable, "-c", LOADED], capture_output=True, text=True, check=True).stdout == "[]\n"


@pytest.mark.parametrize("shape", [(64, 576), (576, 64), (32, 32), (10, 3)])
def test_orthogonal_agrees_with_torch(shape: tuple[int, int]) -> None:
    from torch.optim._muon import _zeropower_via_newtonschulz as reference

    matrix = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    ours = optimizers.orthogonal(torch.stack([matrix, 5 * matrix]))
    theirs = reference(matrix, optimizers.COEFFICIENTS, optimizers.ROUNDS, 1e-7).float()
    assert float((ours[0] - theirs).norm() / theirs.norm()) < 0.03  # theirs runs in bfloat16
    torch.testing.assert_close(ours[1], ours[0], rtol=1e-3, atol=1e-4)  # the size of a gradient does not matter


def test_orthogonal_singular_values_are_near_one_and_rank_is_kept() -> None:
    generator = torch.Generator().manual_seed(0)
    values = torch.linalg.svdvals(optimizers.orthogonal(torch.randn(1, 64, 576, generator=generator))[0])
    assert 0.6 < float(values.min()) <= float(values.max()) < 1.2
    low = torch.randn(64, 2, generator=generator) @ torch.randn(2, 576, generator=generator)
    values = torch.linalg.svdvals(optimizers.orthogonal(low[None])[0])
    assert float(values[1]) > 0.6
    assert float(values[2]) < 1e-3
    assert torch.equal(optimizers.orthogonal(torch.zeros(1, 4, 6)), torch.zeros(1, 4, 6))


def test_muon_step_equals_torch_on_matrices() -> None:
    torch.manual_seed(0)
    start, gradients = torch.randn(32, 8), [torch.randn(32, 8) for _ in range(3)]
    ours, theirs = nn.Parameter(start.clone()), nn.Parameter(start.clone())
    made = Muon([Group([ours], peak=0.02, decay=0.1)], momentum=0.95)
    reference = torch.optim.Muon([theirs], lr=0.02, weight_decay=0.1, momentum=0.95)
    for gradient in gradients:
        ours.grad, theirs.grad = gradient.clone(), gradient.clone()
        made.step()
        reference.step()
    torch.testing.assert_close(ours.detach(), theirs.detach(), rtol=0, atol=2e-3)  # 3 steps of 0.02, theirs in bfloat16
    assert float((ours.detach() - start).norm()) > 0.1


def test_filters_count_as_matrices() -> None:
    flat, filters = nn.Parameter(torch.randn(4, 27)), nn.Parameter(torch.empty(4, 3, 3, 3))
    filters.data.copy_(flat.data.view(4, 3, 3, 3))
    made = [Muon([Group([p], peak=0.02, decay=0.01)], momentum=0.95) for p in (flat, filters)]
    flat.grad = torch.randn(4, 27)
    filters.grad = flat.grad.view(4, 3, 3, 3).clone()
    for optimizer in made:
        optimizer.step()
    torch.testing.assert_close(filters.detach().flatten(1), flat.detach())
