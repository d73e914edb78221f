"""A folder that one process at a time may work in: the second is told so at once, instead of waiting for hours or writing between the first one's lines."""

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

from thuja.core.errors import TrainError


@contextlib.contextmanager
def sole(file: Path) -> Iterator[None]:
    """Own the folder of `file` while inside: a run, by its spec, which is there from the start and never replaced, so that no file is made for this.

    The kernel ends it with its owner, so nothing is stale after a crash. A few network file systems have no locks: there it is up to their user.
    Raises: TrainError where another process owns it.
    """
    handle = os.open(file, os.O_RDONLY | os.O_CLOEXEC)
    try:
        with contextlib.suppress(OSError):
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise TrainError(str(file.parent), expected="a run that no other process is training", found="one at work on it",
                                 fix="Wait until it ends, or start a run of your own.") from error
        yield
    finally:
        os.close(handle)
