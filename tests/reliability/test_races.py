"""The harnesses of D6 and D7."""

import random

import pytest

from reliability.outcome import Harness
from reliability.races import HARNESSES, STATES, contradictions


@pytest.mark.parametrize("harness", HARNESSES, ids=lambda harness: harness.id)
def test_many_processes(harness: Harness) -> None:
    found = harness.run(harness.short, random.Random(0))
    assert found.passed, (found.failures, found.control)


@pytest.mark.parametrize(("history", "said"), [
    ([[0, 1], [1, 0], [0, 2]], []),
    ([[0, 2], [1, 0], [0, 1]], ["writer 0: state 1 was read after 2"]),
    ([[0, 2], "OSError: gone"], ["OSError: gone"]),
    ([[99, 2]], ["writer 99: state 2 was read after 0"]),
])
def test_a_history_that_no_order_explains(history: list[object], said: list[str]) -> None:
    assert contradictions(history, (0, STATES - 1)) == said


def test_a_writer_that_was_not_last_at_the_end() -> None:
    assert contradictions([], (2, STATES - 2)) == [f"at the end state {STATES - 2} of writer 2 is there, not a last one"]
