import numpy as np
import pytest
import torch

from thuja.blocks.convolution import convolution, convolution_block, whitening_filters


@pytest.mark.parametrize(("stride", "kernel", "size"), [(1, 3, (7, 5)), (2, 3, (4, 3)), (1, 1, (7, 5)), (2, 7, (4, 3))])
def test_sizes(stride: int, kernel: int, size: tuple[int, int]) -> None:
    assert convolution(2, 4, kernel=kernel, stride=stride)(torch.zeros(1, 2, 7, 5)).shape == (1, 4, *size)


def test_convolution_is_the_formula() -> None:
    torch.manual_seed(0)
    layer, x = convolution(2, 3), torch.randn(1, 2, 5, 5)
    expected = sum(layer.weight[1, i, u, v] * x[0, i, 2 + u - 1, 3 + v - 1] for i in range(2) for u in range(3) for v in range(3))
    torch.testing.assert_close(layer(x)[0, 1, 2, 3], expected)


def test_block_ends_in_its_activation() -> None:
    assert convolution_block(3, 8, stride=2)(torch.randn(4, 3, 8, 8)).min() == 0


def test_whitened_patches_are_uncorrelated_with_variance_one() -> None:
    rng = np.random.default_rng(0)
    mixed = rng.normal(size=(4000, 12)) @ rng.normal(size=(12, 12))
    moments = (mixed.T @ mixed / len(mixed)).tolist()
    filters = whitening_filters(moments, channels=3, kernel=2, count=5)
    assert filters.shape == (10, 3, 2, 2)
    torch.testing.assert_close(filters[5:], -filters[:5])
    answers = torch.from_numpy(mixed).float() @ filters[:5].flatten(1).t()
    torch.testing.assert_close(answers.t() @ answers / len(mixed), torch.eye(5), atol=2e-3, rtol=0)


def test_flat_directions_do_not_explode() -> None:
    assert whitening_filters(np.zeros((4, 4)).tolist(), 1, 2, 4).abs().max() < 50
