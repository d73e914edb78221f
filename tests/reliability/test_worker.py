"""S14 in short."""

import random

from reliability.worker import HARNESSES


def test_worker() -> None:
    outcome = HARNESSES[0].run(HARNESSES[0].short, random.Random(0))
    assert outcome.passed, (outcome.failures, outcome.control)
