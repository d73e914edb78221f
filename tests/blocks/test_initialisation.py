import pytest
import torch
from torch import nn

from thuja.blocks.initialisation import dirac_, he_, initialise, orthogonal_, small_, xavier_, zeros_


@pytest.mark.parametrize(("rule", "variance"), [(xavier_, 2 / (256 + 1024)), (he_, 2 / 256), (small_, 1e-4)])
def test_variance(rule: object, variance: float) -> None:
    torch.manual_seed(0)
    weight = rule(torch.empty(1024, 256))  # type: ignore[operator]
    assert weight.mean().abs() < 1e-3
    assert weight.var().item() == pytest.approx(variance, rel=0.02)


def test_he_keeps_signals_through_depth_where_xavier_halves_them() -> None:
    torch.manual_seed(0)
    sizes = {}
    for rule in (he_, xavier_):
        x = torch.randn(256, 512)
        for _ in range(10):
            x = torch.relu(x @ rule(torch.empty(512, 512)).t())
        sizes[rule.__name__] = x.square().mean().item()
    assert 0.5 < sizes["he_"] < 2
    assert sizes["xavier_"] < 2**-9


def test_orthogonal_keeps_lengths() -> None:
    x = torch.randn(8, 32)
    torch.testing.assert_close((x @ orthogonal_(torch.empty(32, 32))).norm(dim=1), x.norm(dim=1))


@pytest.mark.parametrize(("inputs", "outputs"), [(4, 4), (4, 9), (9, 4)])
def test_dirac_passes_the_picture_through(inputs: int, outputs: int) -> None:
    convolution = nn.Conv2d(inputs, outputs, 3, padding=1, bias=False)
    with torch.no_grad():
        dirac_(convolution.weight)
    x = torch.randn(2, inputs, 6, 5)
    same = min(inputs, outputs)
    torch.testing.assert_close(convolution(x)[:, :same], x[:, :same])
    assert outputs <= inputs or convolution.weight[inputs:].std() > 0, "the other filters are random"


def test_the_table_decides_by_type_and_leaves_the_rest() -> None:
    model = nn.Sequential(nn.Linear(3, 3), nn.BatchNorm1d(3), nn.Linear(3, 2))
    initialise(model, {nn.Linear: zeros_})
    assert all(not p.any() for layer in (model[0], model[2]) for p in layer.parameters())
    assert (model[1].weight == 1).all()
