import pytest
import torch

from thuja.blocks.pooling import GlobalAverage, GlobalMax, halve


@pytest.mark.parametrize("kind", ["max", "average"])
def test_halving_drops_nothing(kind: str) -> None:
    x = torch.zeros(1, 1, 5, 1)
    x[0, 0, 4] = 3.0
    out = halve(kind)(x)
    assert out.shape == (1, 1, 3, 1)
    assert out[0, 0, 2, 0] == 3.0


def test_global() -> None:
    x = torch.randn(2, 3, 4, 5)
    torch.testing.assert_close(GlobalMax()(x), x.flatten(2).max(dim=2).values)
    torch.testing.assert_close(GlobalAverage()(x), x.flatten(2).mean(dim=2))
