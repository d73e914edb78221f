"""The harness of T8, and that the seeds of one run differ where torch looks."""

import random

import numpy as np

from reliability.streams import HARNESSES
from thuja.training.loop import step_seeds


def test_distinct_where_it_should_be() -> None:
    found = HARNESSES[0].run(HARNESSES[0].short, random.Random(0))
    assert found.passed, (found.failures, found.control)


def test_the_generators_of_a_long_run_differ_in_the_32_bits_that_torch_keeps() -> None:
    low = np.array([step_seeds(0, step) for step in range(300_000)], np.int64) & 0xFFFFFFFF
    assert len(np.unique(low)) == low.size
