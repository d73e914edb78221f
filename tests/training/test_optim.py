import pytest
import torch
from torch import nn

from thuja.settings import SGD, AdamW, Muon
from thuja.training import optim


class Small(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(7, 4)
        self.conv = nn.Conv2d(3, 8, 3)
        self.hidden = nn.Linear(4, 4)
        self.places = nn.Parameter(torch.randn(5, 4))
        self.places.hidden = False
        self.head = nn.Linear(4, 2)


def test_muon_takes_hidden_matrices_and_filters_only() -> None:
    model = Small()
    muon, adamw = optim.build(list(model.parameters()), Muon(), model)
    assert isinstance(muon, optim.Muon)
    assert {id(p) for g in muon.param_groups for p in g["params"]} == {id(model.conv.weight), id(model.hidden.weight)}
    assert sum(len(g["params"]) for g in adamw.param_groups) == len(list(model.parameters())) - 2


def test_weight_decay_acts_on_matrices_only() -> None:
    model = Small()
    for optimizer in (SGD(weight_decay=0.1), AdamW(weight_decay=0.1), Muon(weight_decay=0.1, adamw=AdamW(weight_decay=0.1))):
        for made in optim.build(list(model.parameters()), optimizer, model):
            for group in made.param_groups:
                assert group["weight_decay"] == (0.1 if group["params"][0].dim() >= 2 else 0.0)
                assert len({p.dim() >= 2 for p in group["params"]}) == 1


def test_lr_scale_multiplies_the_rate_of_its_parameter() -> None:
    layer = nn.Linear(3, 3)
    layer.bias.lr_scale = 4.0
    (made,) = optim.build(list(layer.parameters()), SGD(learning_rate=0.5, momentum=0.0, weight_decay=0.0))
    optim.set_rate([made], 0.1)
    weight, bias = layer.weight.detach().clone(), layer.bias.detach().clone()
    layer.weight.grad, layer.bias.grad = torch.ones(3, 3), torch.ones(3)
    made.step()
    torch.testing.assert_close(weight - layer.weight.detach(), torch.full((3, 3), 0.05))
    torch.testing.assert_close(bias - layer.bias.detach(), torch.full((3,), 0.2))


def test_a_shared_parameter_is_updated_once() -> None:
    weight = nn.Parameter(torch.ones(2, 2))
    (made,) = optim.build([weight, weight], SGD())
    assert sum(len(g["params"]) for g in made.param_groups) == 1


@pytest.mark.parametrize("shape", [(64, 576), (576, 64), (32, 32), (10, 3)])
def test_orthogonal_agrees_with_torch(shape: tuple[int, int]) -> None:
    from torch.optim._muon import _zeropower_via_newtonschulz as reference

    matrix = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    ours = optim.orthogonal(torch.stack([matrix, 5 * matrix]))
    theirs = reference(matrix, optim.COEFFICIENTS, optim.ROUNDS, 1e-7).float()
    assert float((ours[0] - theirs).norm() / theirs.norm()) < 0.03  # theirs runs in bfloat16
    torch.testing.assert_close(ours[1], ours[0], rtol=1e-3, atol=1e-4)  # the size of a gradient does not matter


def test_orthogonal_singular_values_are_near_one_and_rank_is_kept() -> None:
    generator = torch.Generator().manual_seed(0)
    values = torch.linalg.svdvals(optim.orthogonal(torch.randn(1, 64, 576, generator=generator))[0])
    assert 0.6 < float(values.min()) <= float(values.max()) < 1.2
    low = torch.randn(64, 2, generator=generator) @ torch.randn(2, 576, generator=generator)
    values = torch.linalg.svdvals(optim.orthogonal(low[None])[0])
    assert float(values[1]) > 0.6
    assert float(values[2]) < 1e-3
    assert torch.equal(optim.orthogonal(torch.zeros(1, 4, 6)), torch.zeros(1, 4, 6))


def test_muon_step_equals_torch_on_matrices() -> None:
    torch.manual_seed(0)
    start, gradients = torch.randn(32, 8), [torch.randn(32, 8) for _ in range(3)]
    ours, theirs = nn.Parameter(start.clone()), nn.Parameter(start.clone())
    (made,) = optim.build([ours], Muon(learning_rate=0.02, weight_decay=0.1))
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
    made = [optim.build([p], Muon())[0] for p in (flat, filters)]
    flat.grad = torch.randn(4, 27)
    filters.grad = flat.grad.view(4, 3, 3, 3).clone()
    for optimizer in made:
        optimizer.step()
    torch.testing.assert_close(filters.detach().flatten(1), flat.detach())


@pytest.mark.parametrize("schedule", ["constant", "linear", "cosine", "trapezoid"])
@pytest.mark.parametrize(("warmup", "steps"), [(0.0, 1), (0.0, 40), (0.25, 40), (0.9, 3)])
def test_schedules_rise_to_one_and_never_waste_a_step(schedule: str, warmup: float, steps: int) -> None:
    rates = [optim.factor(schedule, warmup, s, steps) for s in range(steps)]
    assert all(0 < r <= 1 for r in rates)
    peak = rates.index(max(rates))
    assert rates[: peak + 1] == sorted(rates[: peak + 1])
    assert rates[peak:] == sorted(rates[peak:], reverse=True)
    if steps == 40:
        assert max(rates) == pytest.approx(1.0)
        assert (rates[-1] < 0.1) == (schedule != "constant")


def test_trapezoid_is_flat_then_falls_in_the_last_two_fifths() -> None:
    rates = [optim.factor("trapezoid", 0.1, s, 100) for s in range(100)]
    assert rates[10:60] == [1.0] * 50
    assert rates[80] == pytest.approx(0.5)
