"""What some pictures have in common: their usual size, whether they are grey, mean and spread."""

import numpy as np
import pytest

from thuja.core.errors import DataError
from thuja.fields import Image
from thuja.fields.pixels import all_grey, spread, usual_shape


def blank(height: int, width: int) -> np.ndarray:
    return np.zeros((height, width, 3), np.uint8)


def test_the_usual_shape_is_the_median_scaled_down_and_what_cannot_be_read_does_not_count() -> None:
    assert usual_shape([blank(20, 30), blank(22, 30), blank(400, 32), b"broken"], Image()) == (22, 30)
    assert usual_shape([blank(400, 200)], Image()) == (64, 32)
    assert usual_shape([blank(3, 640)], Image()) == (8, 64)
    with pytest.raises(DataError):
        usual_shape([b"broken", b""], Image())


def test_a_few_levels_of_colour_are_still_grey() -> None:
    grey = np.random.default_rng(0).integers(0, 250, (70, 5, 4, 1), dtype=np.uint8).repeat(3, axis=3)
    assert all_grey(grey)
    grey[..., 1] += 4
    assert all_grey(grey)
    grey[69, ..., 2] = 255 - grey[69, ..., 2]
    assert not all_grey(grey)


def test_mean_and_spread_of_each_channel() -> None:
    pictures = np.random.default_rng(0).integers(0, 256, (50, 6, 7, 3), dtype=np.uint8)
    pictures[..., 2] = 9
    mean, std = spread(pictures)
    np.testing.assert_allclose(mean, pictures.mean(axis=(0, 1, 2)), atol=1e-4)
    np.testing.assert_allclose(std, pictures.std(axis=(0, 1, 2)), atol=1e-4)
    assert std[2] == 0
