"""The harness of T2."""

import random

import pytest

from reliability.order import HARNESSES, violations


def test_random_orders() -> None:
    found = HARNESSES[0].run(HARNESSES[0].short, random.Random(0))
    assert found.passed, (found.failures, found.control)


@pytest.mark.parametrize(("seen", "once", "said"), [
    ([0, 1, 2, 2, 1, 0], [0, 1, 2, 2, 1, 0], ""),
    ([0, 1, 1, 2, 1, 0], [0, 1, 1, 2, 1, 0], "epochs [0] have not each row once"),
    ([0, 1, 2, 2, 1, 0], [0, 1, 2, 1, 2, 0], "row 3 is another one after a stop"),
])
def test_what_is_wrong_with_an_order(seen: list[int], once: list[int], said: str) -> None:
    assert violations(seen, 3, once) == said


def test_two_equal_epochs_are_one_order() -> None:
    epoch = list(range(30))
    assert violations(epoch * 2, 30, epoch * 2) == "two epochs have one order"
