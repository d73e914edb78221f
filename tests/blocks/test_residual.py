import pytest
import torch
from torch import nn

from thuja.blocks.residual import Residual, projection


def test_the_sum() -> None:
    x = torch.randn(3, 4)
    torch.testing.assert_close(Residual(nn.ReLU())(x), x + x.clamp(min=0))
    torch.testing.assert_close(Residual(nn.ReLU(), nn.Tanh())(x), x.tanh() + x.clamp(min=0))


@pytest.mark.parametrize(("outputs", "stride", "shape"), [(4, 1, (7, 5)), (8, 1, (7, 5)), (8, 2, (4, 3))])
def test_projection_shapes(outputs: int, stride: int, shape: tuple[int, int]) -> None:
    assert projection(4, outputs, stride)(torch.randn(2, 4, 7, 5)).shape == (2, outputs, *shape)


def test_nothing_to_project_is_the_identity() -> None:
    assert isinstance(projection(4, 4), nn.Identity)
