"""What `explain` prints is measured: counts and receptive fields against numbers worked out by hand."""

import torch
from torch import nn

from thuja.network import describe, receptive_field, spread


def small() -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(3, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(16, 8, 3, padding=1), nn.ReLU(),
                         nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 10))


def test_shapes_parameters_and_flops() -> None:
    network = describe(small(), (torch.zeros(1, 3, 32, 32),))
    first, last = network.layers[0], network.layers[-1]
    assert first.shape == (16, 32, 32)
    assert first.parameters == 16 * 3 * 9 + 16
    assert first.flops == 2 * 16 * 3 * 9 * 32 * 32
    assert last.shape == (10,)
    assert last.flops == 2 * 8 * 10
    assert network.parameters == sum(layer.parameters for layer in network.layers)
    assert network.flops == sum(layer.flops for layer in network.layers)


def test_receptive_field_by_hand() -> None:
    """3, then a pool of 2 makes 4 and doubles the stride, then 3 makes 4 + 2 * 2 = 8."""
    assert receptive_field(small(), (torch.zeros(1, 3, 32, 32),)) == (8, 8)
    dilated = nn.Sequential(nn.Conv2d(1, 2, 3, dilation=2, padding=2), nn.Conv2d(2, 2, (1, 5), padding=(0, 2)))
    assert receptive_field(dilated, (torch.zeros(1, 1, 40, 40),)) == (5, 9)
    assert receptive_field(nn.Linear(3, 2), (torch.zeros(1, 3),)) is None


def test_several_views_do_not_hide_the_field() -> None:
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body = small()

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.body(x) + self.body(x.flip(3))

    assert receptive_field(Twice(), (torch.zeros(1, 3, 32, 32),)) == (8, 8)


def test_describing_changes_nothing() -> None:
    model = small().train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    describe(model, (torch.zeros(1, 3, 32, 32),))
    assert model.training
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())


def test_initial_spread_is_named() -> None:
    torch.manual_seed(0)
    layer = nn.Linear(400, 300)
    nn.init.kaiming_normal_(layer.weight)
    assert spread(layer).endswith("like He (normal)")
    nn.init.orthogonal_(layer.weight)
    assert spread(layer).endswith("like orthogonal")
    filters = nn.Conv2d(8, 8, 3)
    nn.init.dirac_(filters.weight)
    assert spread(filters).endswith("like Dirac (starts as the identity)")
    assert spread(nn.BatchNorm1d(4)) == "all 1"
