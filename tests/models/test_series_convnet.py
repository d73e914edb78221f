"""A convolutional network over series of any length."""

import pytest
import torch

from thuja.core.errors import SpecError
from thuja.models.series_convnet import SeriesConvNet
from thuja.spec import parse
from thuja.testing import check_model

MASK = torch.tensor([[1.0] * 12, [1.0] * 12, [1.0] * 5 + [0.0] * 7, [1.0] + [0.0] * 11])[:, None]


@pytest.mark.parametrize("model", [SeriesConvNet(widths=(8, 12, 8)), SeriesConvNet(widths=(6,), kernels=(3,), noise=0.1)], ids=repr)
def test_the_contract(model):
    torch.manual_seed(0)
    check_model(model.build(3, 2, 60), (torch.randn(4, 3, 12) * MASK, MASK))


def test_padding_changes_no_answer():
    torch.manual_seed(0)
    net, x = SeriesConvNet(widths=(8, 8, 8)).build(3, 2, 60).eval(), torch.randn(4, 3, 12) * MASK
    wider = net(torch.nn.functional.pad(x, (0, 9)), torch.nn.functional.pad(MASK, (0, 9)))
    torch.testing.assert_close(wider, net(x, MASK))
    torch.testing.assert_close(net(x[2:3, :, :5], MASK[2:3, :, :5]), net(x, MASK)[2:3])


@pytest.mark.parametrize("kernels", [[8, 5, 3], [5, 3]])
def test_kernels_must_fit(kernels):
    with pytest.raises(SpecError) as caught:
        parse({"task": {"kind": "series", "model": {"kind": "series-convnet", "kernels": kernels}}})
    assert "as many kernels as widths, all odd" in str(caught.value)


def test_short_series_have_small_kernels():
    short, long = (SeriesConvNet(widths=(4, 4, 4, 4)).build(1, 2, steps) for steps in (50, 51))
    assert [block.convolution.kernel_size[0] for block in short.blocks] == [3, 3, 3, 3]
    assert [block.convolution.kernel_size[0] for block in long.blocks] == [9, 5, 3, 3]
    assert (short.noise, long.noise, SeriesConvNet(noise=0).build(1, 2, 9).noise) == (0.3, 0.05, 0)
