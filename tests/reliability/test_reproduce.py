"""The harness of T3."""

import random

from reliability.reproduce import HARNESSES


def test_the_same_in_another_surrounding() -> None:
    found = HARNESSES[0].run(HARNESSES[0].short, random.Random(0))
    assert found.passed, (found.failures, found.control)
