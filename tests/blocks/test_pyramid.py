"""The pyramid of maps."""

import torch
from torch import nn

from thuja.blocks.pyramid import Pyramid
from thuja.testing import check_model


class Three(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.pyramid = Pyramid((4, 6, 8), 5, "silu")

    def forward(self, fine: torch.Tensor, middle: torch.Tensor, coarse: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return tuple(self.pyramid([fine, middle, coarse]))


def maps(rows: int = 2) -> list[torch.Tensor]:
    return [torch.randn(rows, width, side, 2 * side) for width, side in ((4, 16), (6, 8), (8, 4))]


def test_every_map_keeps_its_size_and_hears_of_all_others() -> None:
    torch.manual_seed(0)
    model, given = Three(), maps()
    check_model(model, given)
    model.eval()
    with torch.no_grad():
        before = model(*given)
        assert [tuple(x.shape) for x in before] == [(2, 5, 16, 32), (2, 5, 8, 16), (2, 5, 4, 8)]
        for place in range(3):
            changed = [x + (i == place) for i, x in enumerate(given)]
            assert all((a - b).abs().max() > 1e-4 for a, b in zip(model(*changed), before, strict=True))
