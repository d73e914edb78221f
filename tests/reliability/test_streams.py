"""The harness of T8, and that the seeds of one run differ where torch looks."""

import itertools
import random

import torch

from reliability.streams import HARNESSES
from thuja.training.loop import step_seeds


def test_distinct_where_it_should_be() -> None:
    found = HARNESSES[0].run(HARNESSES[0].short, random.Random(0))
    assert found.passed, (found.failures, found.control)


def test_the_seeds_of_a_run_lie_on_an_odd_stride_in_the_32_bits_that_torch_keeps() -> None:
    low = [seed & 0xFFFFFFFF for step in range(1000) for seed in step_seeds(0, step)]
    strides = {(b - a) % 2**32 for a, b in itertools.pairwise(low)}
    assert len(strides) == 1 and strides.pop() % 2 == 1  # so none comes twice in 2**32


def test_torch_keeps_no_more_than_32_bits_of_a_seed() -> None:
    first, second = (torch.rand(3, generator=torch.Generator().manual_seed(seed)) for seed in (5, 5 + 2**32))
    assert first.equal(second)
