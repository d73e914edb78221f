"""Time as waves, and features scaled and shifted by what is told."""

import torch

from thuja.blocks.condition import AdaptiveNorm, TimeEmbedding
from thuja.testing import check_model


def test_near_times_are_alike_and_no_two_times_are_equal() -> None:
    block = TimeEmbedding(32)
    check_model(block, [torch.rand(5)])
    angle = torch.linspace(0, 1, 101).unsqueeze(1) * block.rate
    waves = torch.cat([angle.sin(), angle.cos()], dim=1)
    apart = torch.cdist(waves, waves)
    assert float(apart[torch.arange(100), torch.arange(1, 101)].max()) < 3
    assert float((apart + 9 * torch.eye(101)).min()) > 0.5


def test_an_adaptive_norm_begins_as_a_group_norm_and_is_told_scale_and_shift() -> None:
    block, x, told = AdaptiveNorm(32, 8), torch.randn(3, 32, 5, 4), torch.randn(3, 8)
    torch.testing.assert_close(block(x, told), torch.nn.functional.group_norm(x, 2))
    with torch.no_grad():
        block.told.bias[:32] = 2.0
        block.told.bias[32:] = 5.0
    torch.testing.assert_close(block(x, told), 3 * torch.nn.functional.group_norm(x, 2) + 5)
    check_model(block, [x, told])
