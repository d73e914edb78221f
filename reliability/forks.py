"""Processes that can be killed without mercy: forked, so that torch need not be imported again each time (a tenth of a second instead of three).

The parent must not have computed with more than one thread before: a pool of threads does not survive a fork.
"""

import contextlib
import os
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import torch

LONGEST_S = 120.0
"""A child that takes longer hangs: it is killed, and the trial has failed."""


class Ended(NamedTuple):
    """How a child came to its end."""

    code: int
    """The exit code, or minus the number of the signal that ended it."""
    seconds: float
    """From when it was waited for."""


def fork(work: Callable[[], object], *, threads: int = 1, log: str = os.devnull) -> int:
    """Do `work` in a process of its own and leave with the exit code a Python program would have; returns its id. `log` takes what it says."""
    sys.stdout.flush()
    sys.stderr.flush()
    child = os.fork()
    if child:
        return child
    code = 1
    try:
        said = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(said, 1)
        os.dup2(said, 2)
        torch.set_num_threads(threads)
        work()
        code = 0
    except SystemExit as stop:
        code = stop.code if isinstance(stop.code, int) else int(stop.code is not None)
    finally:
        if code == 1:
            with contextlib.suppress(OSError):
                os.write(2, traceback.format_exc().encode())
        os._exit(code)


def wait(child: int, limit_s: float = LONGEST_S) -> Ended:
    """Wait for a child to end; one that takes longer than `limit_s` is killed."""
    started, pause = time.perf_counter(), 0.0005
    while True:
        ended, status = os.waitpid(child, os.WNOHANG)
        seconds = time.perf_counter() - started
        if ended:
            return Ended(os.waitstatus_to_exitcode(status), seconds)
        if seconds > limit_s:
            os.kill(child, signal.SIGKILL)
        time.sleep(pause)
        pause = min(0.01, pause * 1.2)


def finish(work: Callable[[], object], *, threads: int = 1, log: str = os.devnull) -> Ended:
    """Fork, and wait for the end."""
    return wait(fork(work, threads=threads, log=log))


def lifetime(work: Callable[[], object]) -> float:
    """Seconds from the fork to the end of a child that must succeed."""
    started = time.perf_counter()
    ended = finish(work, log="/dev/stderr")
    assert ended.code == 0, ended
    return time.perf_counter() - started


def signalled(child: int, number: signal.Signals, after_s: float) -> Ended:
    """Send a signal after some seconds, and wait; a child that has ended before is not harmed (its id is ours until it is waited for)."""
    time.sleep(after_s)
    os.kill(child, number)
    return wait(child)


@contextlib.contextmanager
def home() -> Iterator[Path]:
    """A folder that goes when the block ends, in memory where the system has such a place: what a process wrote to the kernel outlives its death, so a kill
    needs no disk, and a disk's own waiting would only make the trials fewer."""
    memory = Path("/dev/shm")  # a folder of our own is made inside
    with tempfile.TemporaryDirectory(prefix="thuja-", dir=memory if os.access(memory, os.W_OK) else None) as folder:
        yield Path(folder)


@contextlib.contextmanager
def starting_gate() -> Iterator[Callable[[], None]]:
    """Children that call what this yields are held until the block ends: then all go at once."""
    inner, outer = os.pipe()

    def held() -> None:
        os.close(outer)
        os.read(inner, 1)  # the end of the pipe comes to all readers when its last writer is gone

    try:
        yield held
    finally:
        os.close(outer)
        os.close(inner)


def all_ended(children: Sequence[int]) -> list[Ended]:
    """Wait for all of them."""
    return [wait(child) for child in children]
