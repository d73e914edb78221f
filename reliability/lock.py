"""A process is killed while it holds a lock: does the next one go on at once? (D8)

Thuja has two kinds of locks. One guards the cache of encoded columns: its holder is killed while it encodes a real table, and the next process encodes it.
The other makes a run the property of one process: its holder is killed while it trains, and the next process resumes the run. Both locks are the kernel's
and die with their owner.
"""

import contextlib
import functools
import os
import random
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from reliability import real
from reliability.forks import finish, fork, home, wait
from reliability.outcome import Control, Harness, Outcome
from reliability.work import RingsCodec, newest
from thuja.codec import Columns, Rows, count
from thuja.core.storage import Disk
from thuja.data import columns as cached
from thuja.data.source import open_source
from thuja.run import Run
from thuja.settings import Data
from thuja.training.session import Progress

PROMISED_S = 5.0
ROWS = 2000


class Slow(RingsCodec):
    """Takes its time, so that it can be killed at it; it encodes as its parent does, and so has its place in the cache."""

    def encode(self, rows: Rows) -> Columns:
        time.sleep(60)
        return super().encode(rows)


def rings(count_: int) -> dict[str, list[object]]:
    """Raw rows for the codec of the small task."""
    return {"x": [i / count_ for i in range(count_)], "y": [1.0] * count_, "words": [f"word {i}" for i in range(count_)], "side": ["inside"] * count_}


def encode(codec: RingsCodec, cache: Path) -> None:
    """Real rows through the cache."""
    source = open_source(Data(), Path(), rings(ROWS))["all"]
    assert count(cached.encoded(source, codec, cache, 0.0).columns) == ROWS


def killed(child: int, holds: Callable[[], bool], limit_s: float = 30.0) -> None:
    """Kill a child as soon as it holds its lock."""
    until = time.perf_counter() + limit_s
    while not holds() and time.perf_counter() < until:
        time.sleep(0.0005)
    os.kill(child, signal.SIGKILL)
    wait(child)


def at_the_cache(folder: Path, after_s: float, limit_s: float) -> tuple[str, float]:
    """The holder of the cache's lock is killed: what was wrong, and the seconds that the next one took."""
    cache = folder / "cache"
    child = fork(functools.partial(encode, Slow(), cache))
    killed(child, lambda: any((cache / "columns").glob(".tmp-*")))
    time.sleep(after_s)
    started = time.perf_counter()
    ended = wait(fork(functools.partial(encode, RingsCodec(), cache), log=str(folder / "said")), limit_s)
    seconds = time.perf_counter() - started
    left = [p.name for p in (cache / "columns").glob(".tmp-*")]
    if ended.code or left:
        return f"encoding after a kill: exit code {ended.code} after {seconds:.2f} s; left behind: {left}", seconds
    return "", seconds


def at_a_run(home_: Path, folder: Path, limit_s: float) -> tuple[str, float]:
    """The owner of a run is killed while it trains: what was wrong, and the seconds until the next one made a step."""
    spec, root = real.spec("table", home_), folder / "runs"
    child = fork(functools.partial(real.learn, spec, root, home_ / "cache"))
    killed(child, lambda: newest(root / "0001") > 0)
    started = time.perf_counter()
    ended = wait(fork(functools.partial(real.learn, spec, root, home_ / "cache", gone_at_once), log=str(folder / "said")), limit_s)
    seconds = time.perf_counter() - started
    over = any(r["event"] == "end" for run in Run.all(root) for r in run.records())
    if ended.code != 9 and not over:
        return f"a run after a kill: exit code {ended.code} after {seconds:.2f} s: {(folder / 'said').read_text('utf-8')[-300:]}", seconds
    return "", seconds


def gone_at_once(_progress: Progress) -> None:
    """Leave at the first record: the step was made, the lock was ours."""
    os._exit(9)


@contextlib.contextmanager
def by_a_file(path: Path, _disk: Disk | None = None) -> Iterator[None]:
    """The planted bug: a lock that is a file, which its owner removes; when it dies, nobody does."""
    path = path.with_suffix(".owned")
    path.parent.mkdir(parents=True, exist_ok=True)
    while True:
        try:
            os.close(os.open(path, os.O_CREAT | os.O_EXCL))
            break
        except FileExistsError:
            time.sleep(0.001)
    try:
        yield
    finally:
        path.unlink()


def caught(folder: Path, trials: int) -> Control:
    """The planted lock, which makes the next one wait for ever: is it seen?"""
    true, seen = cached.locked, 0  # type: ignore[attr-defined]
    cached.locked = by_a_file  # type: ignore[attr-defined, assignment]
    try:
        for place in range(trials):
            (folder / f"planted-{place}").mkdir()
            seen += bool(at_the_cache(folder / f"planted-{place}", 0.0, 1.0)[0])
    finally:
        cached.locked = true  # type: ignore[attr-defined]
    return Control("a lock that is a file, which outlives its owner", trials, seen)


def run(trials: int, rng: random.Random) -> Outcome:
    """Every fifth kill hits the owner of a run, the others the holder of the cache's lock."""
    failures, took = [], []
    with home() as folder:
        finish(functools.partial(encode, RingsCodec(), folder / "warm"))
        real.warm("table")
        for place in range(trials):
            inside = folder / f"{place}"
            inside.mkdir()
            found, seconds = at_a_run(folder, inside, 60) if place % 5 == 4 else at_the_cache(inside, rng.uniform(0, 0.01), 60)
            took.append(seconds)
            failures += [found] if found else [f"the next one took {seconds:.1f} s"] if seconds > PROMISED_S else []
        control = caught(folder, max(1, trials // 20))
    figures: dict[str, float | str] = {"longest until the next one was done, s": round(max(took), 3), "median, s": round(sorted(took)[len(took) // 2], 3)}
    return Outcome(trials, failures, control, figures)


HARNESSES = (Harness("D8", "a process killed while it holds a lock: the next one goes on within five seconds", run, short=5, long=100),)
