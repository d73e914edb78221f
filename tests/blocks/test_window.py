"""Windows made ready for a network: gaps, level and spread, moving averages, patches."""

import numpy as np
import pytest
import torch

from thuja.blocks.window import Level, MovingAverage, Patches, filled

NAN = float("nan")


def test_a_gap_gets_the_value_before_it():
    x = torch.tensor([[NAN, 1, NAN, NAN, 4, NAN], [NAN] * 6, [1, 2, 3, 4, 5, 6]])
    assert filled(x).tolist() == [[1, 1, 1, 1, 4, 4], [0] * 6, [1, 2, 3, 4, 5, 6]]


@pytest.mark.parametrize("steps", [2, 3, 17, 64])
def test_filling_by_doubling_is_filling_one_by_one(steps):
    rng = np.random.default_rng(steps)
    x = np.where(rng.random((20, steps)) < 0.7, np.nan, rng.normal(size=(20, steps)))
    x[:, rng.integers(steps)] = 1.0
    for row, found in zip(x, filled(torch.from_numpy(x)).numpy(), strict=True):
        first = row[~np.isnan(row)][0]
        for place, value in enumerate(found):
            before = row[: place + 1][~np.isnan(row[: place + 1])]
            assert value == (before[-1] if len(before) else first)


@pytest.mark.parametrize("level", ["mean", "last"])
def test_level_and_spread_come_back(level):
    x = torch.randn(5, 12) * 3 + 100
    y, middle, spread = Level(level)(x)
    torch.testing.assert_close(y * spread + middle, x)
    torch.testing.assert_close(spread[:, 0], x.std(1, correction=0))
    torch.testing.assert_close(middle[:, 0], x.mean(1) if level == "mean" else x[:, -1])
    other, _, _ = Level(level)(x * 7 - 2)
    torch.testing.assert_close(other, y, atol=1e-4, rtol=1e-4)


def test_a_constant_window_stays_finite_and_zero():
    y, middle, spread = Level()(torch.full((2, 9), -3.0))
    assert y.abs().max() == 0
    assert (middle == -3).all()
    assert 0 < spread.max() < 1e-3


def test_moving_average_repeats_the_ends():
    x = torch.tensor([[1.0, 2, 3, 4, 9]])
    torch.testing.assert_close(MovingAverage(3)(x), torch.tensor([[4 / 3, 2, 3, 16 / 3, 22 / 3]]))
    assert MovingAverage(4)(x).shape == (1, 5)


def test_patches_end_with_the_window():
    x = torch.arange(10.0).expand(1, 2, 10)
    made = Patches(10, 4, 3)(x)
    assert made.shape == (1, 3, 8)
    assert made[0, :, :4].tolist() == [[0, 1, 2, 3], [3, 4, 5, 6], [6, 7, 8, 9]]
    assert Patches(9, 4, 3)(x[:, :, :9])[0, -1, :4].tolist() == [5, 6, 7, 8]
