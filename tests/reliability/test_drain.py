"""S5 in short."""

import random

from reliability.drain import HARNESSES


def test_drain() -> None:
    outcome = HARNESSES[0].run(HARNESSES[0].short, random.Random(0))
    assert outcome.passed, (outcome.failures, outcome.control)
