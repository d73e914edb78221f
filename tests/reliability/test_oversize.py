"""S3 in short, and what its requests look like on the wire."""

import random
import sys
from pathlib import Path

import pytest

from reliability import oversize
from reliability.oversize import IMAGE, LIMIT, TABLE, chunked, fill, post

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="memory is read from /proc")


def test_in_short(artifacts: dict[str, Path]) -> None:
    harness = oversize.HARNESSES[0]
    outcome = harness.run(harness.short, random.Random(0))
    assert outcome.passed, (outcome.failures, outcome.control)


def test_there_are_at_least_sixty_attacks_and_none_is_empty() -> None:
    assert len(TABLE) + len(IMAGE) >= 60
    for name in ("two lengths", "a chunk of 2^68", "long trailers", "a shape that wraps to 0", "a text of 4 GB"):
        assert b"\r\n\r\n" in TABLE[name](), name


def test_requests_on_the_wire() -> None:
    assert post(b"{}", X_A="1").endswith(b"\r\nContent-Type: application/json\r\nContent-Length: 2\r\nX-A: 1\r\n\r\n{}")
    assert chunked(b"0\r\n\r\n").endswith(b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n")
    assert LIMIT - 5000 < len(fill(b"{},")) < LIMIT
