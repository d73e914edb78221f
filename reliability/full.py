"""A disk that fills up at every 4 KiB of everything that Thuja writes, and one that turns read-only at every operation (D3); a real one too, where this
process may mount one. No store may become unreadable, no good generation may be lost, and the refusal must be the four-part one."""

import contextlib
import os
import random
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from reliability import stores
from reliability.crash import generations, judge, record
from reliability.faults import PAGE, Crash, Full, ReadOnly, lay, workshop
from reliability.outcome import Control, Harness, Outcome
from reliability.stores import Scenario
from thuja.core.errors import StorageError
from thuja.core.storage import DISK, Disk
from thuja.run import Run

NO_SPACE = ("a writable place", "no space left", "Free some space or choose another folder; what was saved before is intact.")
READ_ONLY = ("a writable place", "a place that may not be written", "Choose another folder or change its permissions.")
UNLIMITED = 1 << 60
BETWEEN = 5
"""Random bytes in each 4 KiB at which the disk is full as well."""
ROOM = 512 << 10
"""Bytes of the real disk that is filled."""


def scenarios() -> tuple[Scenario, ...]:
    """Everything, of some size."""
    return (stores.checkpoints(width=64), stores.exports(size=60_000), stores.logs(size=5000), stores.rewinds(), stores.scores(), stores.creations(),
            stores.caches())


class Ladder:
    """The generations of a scenario, and what is on disk of each, so that every trial begins from a copy."""

    def __init__(self, scenario: Scenario, folder: Path) -> None:
        self.scenario, self.folder, self.made = scenario, folder, 0
        folder.mkdir()
        recorder = record(scenario, folder / "recorded")
        self.trees = [recorder.tree(Crash(place)) for place in (0, *recorder.marks)]
        self.known = generations(scenario, recorder, folder)
        self.bytes: list[int] = []
        self.changes: list[int] = []
        for number in range(len(scenario.steps)):
            full, read_only = Full(UNLIMITED), ReadOnly(UNLIMITED)
            for disk in (full, read_only):
                assert not self.trial(number, disk, NO_SPACE)
            self.bytes.append(full.written)
            self.changes.append(read_only.made)

    def trial(self, number: int, disk: Disk, refusal: tuple[str, str, str]) -> str:
        """Make generation `number` + 1 from a fresh copy of the one before, on a disk that may refuse; what is wrong, or nothing."""
        self.made += 1
        root = self.folder / f"{self.made}"
        lay(self.trees[number], root)
        refused, wrong = attempt(self.scenario.steps[number], root, disk, refusal)
        wrong = wrong or judge(self.scenario, root, self.known[number + (not refused)], self.known[number + 1])
        DISK.remove(root)
        return f"{self.scenario.name} {number + 1}: {wrong}" if wrong else ""


def attempt(step: Callable[[Path, Disk], None], root: Path, disk: Disk, refusal: tuple[str, str, str]) -> tuple[bool, str]:
    """Whether a step was refused, and what is wrong with the refusal."""
    try:
        step(root, disk)
    except StorageError as error:
        return True, "" if (error.expected, error.found, error.fix) == refusal else f"another message: {error}"
    except OSError as error:
        return True, f"not explained: {error!r}"
    return False, ""


def places(ladder: Ladder, rng: random.Random) -> Iterator[tuple[int, Callable[[], Disk], tuple[str, str, str], str]]:
    """Each refusal of each step: full at every 4 KiB and at a few random bytes of each, read-only from every operation."""
    for number, (size, changes) in enumerate(zip(ladder.bytes, ladder.changes, strict=True)):
        for start in range(0, size, PAGE):
            for room in sorted({start, *(start + rng.randrange(min(PAGE, size - start)) for _ in range(BETWEEN))}):
                yield number, lambda room=room: Full(room), NO_SPACE, f"full after {room} bytes"  # type: ignore[misc]
        for made in range(changes):
            yield number, lambda made=made: ReadOnly(made), READ_ONLY, f"read-only after {made} changes"  # type: ignore[misc]


def removed_first(root: Path, disk: Disk) -> None:
    """Planted bug: the old generation goes before the new one is there."""
    for name in DISK.list(Run(root).checkpoints):
        disk.remove(Run(root).checkpoints / name)
    stores.save(2, None, 64)(root, disk)


def caught(folder: Path) -> tuple[int, int]:
    """How often the planted bug was tried and caught: at every page of the save but where all fits."""
    save = stores.checkpoints(width=64)
    ladder = Ladder(save._replace(name="removed first", prepare=lambda root: save.steps[0](root, DISK), steps=(removed_first,)), folder)
    rooms = range(0, ladder.bytes[0], PAGE)
    return len(rooms), sum(bool(ladder.trial(0, Full(room), NO_SPACE)) for room in rooms)


def run(trials: int, rng: random.Random) -> Outcome:
    """About so many refusals, spread over all steps of all scenarios (all of them where there are fewer), and those of a real disk."""
    failures: list[str] = []
    figures: dict[str, float | str] = {}
    count = 0
    with workshop() as folder:
        ladders = [Ladder(scenario, folder / f"{number}") for number, scenario in enumerate(scenarios())]
        found = [(ladder, place) for ladder in ladders for place in places(ladder, rng)]
        for ladder, (number, disk, refusal, words) in rng.sample(found, min(trials, len(found))):
            count += 1
            wrong = ladder.trial(number, disk(), refusal)
            failures += [f"{wrong}, {words}"] if wrong else []
        figures["places of refusal in all"] = len(found)
        tried, right = caught(folder / "planted")
        for name in ("full", "read-only"):
            refused, wrong_ones = mounted(ladders, folder / name, name, rng)
            figures[f"refusals of a real file system that is {name}"] = refused or "not run: this process may not mount one"
            count, failures = count + refused, failures + wrong_ones
    return Outcome(count, failures, Control("the old checkpoint removed before the new one is written", tried, right), figures)


@contextlib.contextmanager
def mount(folder: Path) -> Iterator[bool]:
    """A file system of `ROOM` bytes on `folder`, where this process may mount one; whether it could."""
    folder.mkdir(parents=True)
    done = sys.platform == "linux" and os.geteuid() == 0 and _call("mount", "-t", "tmpfs", "-o", f"size={ROOM}", "none", str(folder))
    try:
        yield done
    finally:
        if done:
            _call("umount", "-l", str(folder))


def _call(*words: str) -> bool:
    return subprocess.run(words, capture_output=True, check=False).returncode == 0


def mounted(ladders: Sequence[Ladder], folder: Path, kind: str, rng: random.Random) -> tuple[int, list[str]]:
    """Each step of each scenario on a real file system, with a few pages left or remounted read-only: how many were refused, and what was wrong."""
    refusals, failures = 0, []
    for ladder in ladders:
        for number, step in enumerate(ladder.scenario.steps):
            place = folder / f"{ladder.scenario.name} {number}"
            with mount(place) as done:
                if not done:
                    return 0, []
                lay(ladder.trees[number], place / "store")
                if kind == "full":
                    (place / "ballast").write_bytes(bytes(max(0, DISK.free_bytes(place) - rng.randrange(4) * PAGE)))
                else:
                    _call("mount", "-o", "remount,ro", str(place))
                refused, wrong = attempt(step, place / "store", DISK, NO_SPACE if kind == "full" else READ_ONLY)
                _call("mount", "-o", "remount,rw", str(place))
                (place / "ballast").unlink(missing_ok=True)
                wrong = wrong or judge(ladder.scenario, place / "store", ladder.known[number + (not refused)], ladder.known[number + 1])
                refusals += refused
                failures += [f"{ladder.scenario.name} {number + 1} on a real disk that is {kind}: {wrong}"] if wrong else []
    return refusals, failures


HARNESSES = (Harness("D3", "disk full at every 4 KiB, read-only at every operation: nothing unreadable, no good generation lost, said in four parts", run,
                     short=90, long=5000),)
