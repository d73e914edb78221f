"""The harness of D10."""

import random
from pathlib import Path

from reliability.preempt import HARNESSES, moment


def test_sigterm_saves_and_leaves() -> None:
    found = HARNESSES[0].run(HARNESSES[0].short, random.Random(0))
    assert found.passed, (found.failures, found.control)


def test_a_moment_can_wait_for_a_file_and_gives_up(tmp_path: Path) -> None:
    (tmp_path / "there").touch()
    moment(tmp_path, "th*", 60, 60)
    moment(tmp_path, "never", 60, 0.01)
