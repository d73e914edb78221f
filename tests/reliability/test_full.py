import os
import random
import sys
from pathlib import Path

import pytest

from reliability import full, stores
from reliability.faults import Full
from thuja.core.errors import StorageError


def test_nothing_is_lost_where_the_disk_refuses() -> None:
    harness = full.HARNESSES[0]
    outcome = harness.run(harness.short, random.Random(0))
    assert outcome.passed, outcome.failures


def test_a_refusal_that_says_something_else_is_a_failure(tmp_path: Path) -> None:
    def refuse(root: Path, disk: object) -> None:
        raise StorageError(str(root), expected="a disk", found="none")

    assert full.attempt(refuse, tmp_path, Full(0), full.NO_SPACE) == (True, f"another message: {tmp_path}: expected a disk, found none.")
    assert full.attempt(stores.began, tmp_path, Full(0), full.NO_SPACE) == (True, "")
    assert full.attempt(stores.began, tmp_path, Full(1 << 20), full.NO_SPACE) == (False, "")


def test_a_real_disk_is_small_and_gone_at_the_end(tmp_path: Path) -> None:
    with full.mount(tmp_path / "disk") as done:
        if not done:
            pytest.skip("this process may not mount a file system")
        assert sys.platform == "linux" and os.path.ismount(tmp_path / "disk")
        with pytest.raises(OSError, match="No space"):
            (tmp_path / "disk" / "f").write_bytes(bytes(full.ROOM + 1))
    assert not os.path.ismount(tmp_path / "disk")
