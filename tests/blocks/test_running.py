"""Running moments against numpy's over everything at once."""

import numpy as np
import torch

from thuja.blocks.running import RunningMoments


def test_moments_of_portions_are_those_of_the_whole() -> None:
    values = torch.from_numpy(np.random.default_rng(0).normal(3, 2, (1000, 4)).astype(np.float32) * np.array([1, 10, 0.1, 100], np.float32))
    running = RunningMoments((4,))
    for part in values.split((1, 99, 400, 500)):
        running.update(part)
    torch.testing.assert_close(running.mean, values.mean(0), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(running.variance, values.var(0, unbiased=False), rtol=1e-4, atol=1e-5)
    scaled = running(values)
    torch.testing.assert_close(scaled.mean(0), torch.zeros(4), rtol=0, atol=1e-3)
    torch.testing.assert_close(scaled.std(0), torch.ones(4), rtol=0, atol=1e-2)


def test_before_anything_was_seen_numbers_stay_as_they_are_and_far_ones_are_cut() -> None:
    running = RunningMoments((2,))
    torch.testing.assert_close(running(torch.tensor([[1.5, -2.0], [100.0, -100.0]])), torch.tensor([[1.5, -2.0], [10.0, -10.0]]))


def test_reset_forgets() -> None:
    running = RunningMoments()
    running.update(torch.arange(10.0))
    assert float(running.scale) > 2
    running.reset()
    assert float(running.mean) == 0 and float(running.seen) == 0 and abs(float(running.scale) - 1) < 1e-6
