import pytest
import torch
from torch import nn

from thuja.blocks.residual import Residual
from thuja.models.resnet import ResNet, ResNetNetwork


def built(depth: int = 18, height: int = 16, width: int = 16) -> ResNetNetwork:
    torch.manual_seed(0)
    return ResNet(depth=depth, width=4).build(3, height, width, 5)


@pytest.mark.parametrize("size", [(16, 16), (9, 17), (2, 3)])
def test_any_size(size: tuple[int, int]) -> None:
    assert built()(torch.randn(2, 3, *size)).shape == (2, 5)


@pytest.mark.parametrize("depth", [18, 34])
def test_depth_counts_layers_with_weights(depth: int) -> None:
    network = built(depth)
    on_the_way = [name for name, m in network.named_modules() if isinstance(m, (nn.Conv2d, nn.Linear)) and ".shortcut." not in name]
    assert len(on_the_way) == depth


def test_large_pictures_are_divided_by_four_first() -> None:
    large, small = built(height=96, width=120), built(height=95, width=120)
    assert large.stem(torch.zeros(1, 3, 96, 120)).shape[2:] == (24, 30)
    assert small.stem(torch.zeros(1, 3, 95, 120)).shape[2:] == (95, 120)


def test_width_doubles_and_size_halves_each_stage() -> None:
    network = built()
    x = network.stem(torch.zeros(1, 3, 16, 16))
    shapes = [(x := stage(x)).shape[1:] for stage in network.stages]
    assert shapes == [(4, 16, 16), (8, 8, 8), (16, 4, 4), (32, 2, 2)]


def test_blocks_start_as_their_shortcut() -> None:
    for module in built().modules():
        if isinstance(module, Residual) and isinstance(module.shortcut, nn.Identity):
            x = torch.randn(4, next(module.body.parameters()).shape[1], 4, 4)
            torch.testing.assert_close(module(x), x)


def test_rows_do_not_see_each_other_at_rest() -> None:
    network, x = built().eval(), torch.randn(5, 3, 16, 16)
    torch.testing.assert_close(network(x)[2:3], network(x[2:3]), atol=1e-5, rtol=1e-5)
