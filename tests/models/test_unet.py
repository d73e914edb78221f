import pytest
import torch

from thuja.models.unet import UNet
from thuja.testing import check_model


@pytest.mark.parametrize("settings", [UNet(widths=(4, 8), depth=1), UNet(widths=(4, 6, 8), patch=2), UNet(widths=(4, 6), patch=4)], ids=repr)
def test_the_contract_and_the_size_of_the_answer(settings: UNet) -> None:
    torch.manual_seed(0)
    network = settings.build(3, 5)
    x = torch.randn(2, 3, 2 * settings.align, 3 * settings.align)
    assert network(x).shape == (2, 5, *x.shape[2:])
    check_model(network, [x])


def test_a_level_halves_and_patches_multiply() -> None:
    assert (UNet(widths=(1, 1, 1)).align, UNet(widths=(1, 1, 1), patch=2).align) == (4, 8)
    assert UNet(widths=(16, 32, 64, 128)).reach == 2 * (2 * 15 - 8) + 8
    assert UNet(patch=2).reach == 2 * UNet().reach
