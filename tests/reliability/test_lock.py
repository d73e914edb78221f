"""The harness of D8."""

import random
from pathlib import Path

from reliability.lock import HARNESSES, by_a_file


def test_the_next_one_goes_on() -> None:
    found = HARNESSES[0].run(HARNESSES[0].short, random.Random(0))
    assert found.passed, (found.failures, found.control)


def test_the_planted_lock_is_one_while_its_owner_lives(tmp_path: Path) -> None:
    with by_a_file(tmp_path / "a.lock"):
        assert (tmp_path / "a.owned").exists()
    with by_a_file(tmp_path / "a.lock"):
        pass
