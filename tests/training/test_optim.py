import pytest
import torch
from torch import nn

from thuja.settings import SGD, AdamW, Muon
from thuja.training import optim, optimizers


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
    assert isinstance(muon, optimizers.Muon)
    assert {id(p) for p in muon.state} == {id(model.conv.weight), id(model.hidden.weight)}
    assert len(adamw.state) == len(list(model.parameters())) - 2


def test_weight_decay_acts_on_matrices_only() -> None:
    model = Small()
    for optimizer in (SGD(weight_decay=0.1), AdamW(weight_decay=0.1), Muon(weight_decay=0.1, adamw=AdamW(weight_decay=0.1))):
        for made in optim.build(list(model.parameters()), optimizer, model):
            for group in made.groups:
                assert group.decay == (0.1 if group.parameters[0].dim() >= 2 else 0.0)
                assert len({p.dim() >= 2 for p in group.parameters}) == 1


def test_lr_scale_multiplies_the_rate_of_its_parameter() -> None:
    layer = nn.Linear(3, 3)
    layer.bias.lr_scale = 4.0
    (made,) = optim.build(list(layer.parameters()), SGD(learning_rate=0.5, momentum=0.0, weight_decay=0.0))
    weight, bias = layer.weight.detach().clone(), layer.bias.detach().clone()
    layer.weight.grad, layer.bias.grad = torch.ones(3, 3), torch.ones(3)
    made.step(0.1)
    torch.testing.assert_close(weight - layer.weight.detach(), torch.full((3, 3), 0.05))
    torch.testing.assert_close(bias - layer.bias.detach(), torch.full((3,), 0.2))


def test_a_shared_parameter_is_updated_once() -> None:
    weight = nn.Parameter(torch.ones(2, 2))
    (made,) = optim.build([weight, weight], SGD())
    assert sum(len(group.parameters) for group in made.groups) == 1


def test_parameters_of_another_type_have_a_group_of_their_own() -> None:
    (made,) = optim.build([nn.Parameter(torch.ones(2, 2)), nn.Parameter(torch.ones(2, 2, dtype=torch.float64))], AdamW())
    assert [[p.dtype for p in group.parameters] for group in made.groups] == [[torch.float32], [torch.float64]]


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
