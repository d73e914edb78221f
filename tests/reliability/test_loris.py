"""S8 in short."""

import random

from reliability.loris import HARNESSES


def test_loris() -> None:
    outcome = HARNESSES[0].run(HARNESSES[0].short, random.Random(0))
    assert outcome.passed, (outcome.failures, outcome.control)
