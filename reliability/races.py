"""Many processes at once: up to 32 that start on an empty store (D6), and 16 that want to write one thing (D7).

D6: an empty cache and no folder of runs; all are held at a gate and let go together, and each trains on the same table through `thuja.train`. D7 asks what
several processes may write together in Thuja. *One path*: an artefact is put in place by 16 writers while readers open it; as in Jepsen's tests of registers,
a reader may only see what somebody wrote, whole, and of each writer never an older state after a newer one. *One run*: 16 processes resume it at once; one
trains, fifteen are refused in words, and every step is logged once.
"""

import collections
import functools
import json
import os
import random
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from reliability import real, stores
from reliability.forks import Ended, all_ended, finish, fork, home, starting_gate
from reliability.outcome import Control, Harness, Outcome
from reliability.work import difference, outcome
from thuja.artifact.folder import Artifact
from thuja.core import ownership, storage
from thuja.core.errors import ArtifactError, TrainError
from thuja.core.storage import Disk
from thuja.run import Run
from thuja.training.session import Progress

TOGETHER, WRITERS, READERS = 32, 16, 2
STEPS = ("train.steps=4",)
STATES = 4
"""That each writer writes."""
PATIENCE_S = 60.0


def released(works: list[Callable[[], object]], said: Path) -> list[Ended]:
    """Children that all begin at one moment: how each ended."""
    with starting_gate() as held:
        children = [fork(functools.partial(after, held, work), log=str(said)) for work in works]
    return all_ended(children)


def after(held: Callable[[], None], work: Callable[[], object]) -> None:
    """Wait at the gate, then work."""
    held()
    work()


def started(spec: Path, folder: Path, count: int, train: Callable[..., Run] = real.fresh) -> list[str]:
    """So many processes train on an empty store: a line for each that failed, and for whatever is not as it should be afterwards."""
    root, cache, said = folder / "runs", folder / "cache", folder / "said"
    folder.mkdir()
    ended = released([functools.partial(train, spec, root, cache, STEPS)] * count, said)
    failures = [f"exit code {e.code}: {said.read_text('utf-8')[-300:]}" for e in ended if e.code]
    runs, kept = sorted(root.glob("*")), sorted(p.name for p in (cache / "columns").iterdir() if p.is_dir())
    if [p.name for p in runs] != [f"{n:04d}" for n in range(1, count + 1)]:
        failures.append(f"{count} processes made the runs {[p.name for p in runs]}")
    if len(kept) != 3 or any(name.startswith(storage.TEMPORARY) for name in kept):
        failures.append(f"the cache holds {kept}, not one entry for each of three parts")
    wanted = outcome(runs[0])
    return failures + [f"{p.name} differs from {runs[0].name}: {found}" for p in runs[1:] if (found := difference(wanted, outcome(p)))]


def with_stale_numbers(spec: Path, root: Path, cache: Path, more: tuple[str, ...]) -> Run:
    """The planted bug: the number of a run is chosen before the data are read, and its folder taken even if it is there."""
    number = 1 + sum(p.name.isdecimal() for p in root.glob("*"))

    def create(_root: Path) -> Run:
        (root / f"{number:04d}").mkdir(parents=True, exist_ok=True)
        return Run(root / f"{number:04d}")

    Run.create = create  # type: ignore[method-assign, assignment]  # in a process of our own
    return real.fresh(spec, root, cache, more)


def empty_store(trials: int, rng: random.Random) -> Outcome:
    """D6: rounds of processes that start together."""
    del rng  # what is random here is the machine's scheduling
    failures, longest = [], 0.0
    rounds = [min(TOGETHER, trials - begun) for begun in range(0, trials, TOGETHER)]
    with home() as folder:
        real.warm("table")
        spec = real.spec("table", folder)
        for place, count in enumerate(rounds):
            began = time.perf_counter()
            failures += [f"round {place}: {found}" for found in started(spec, folder / f"{place}", count)]
            longest = max(longest, time.perf_counter() - began)
        bugs = max(1, len(rounds) // 4)
        seen = sum(bool(started(spec, folder / f"planted-{place}", 4, with_stale_numbers)) for place in range(bugs))
    figures: dict[str, float | str] = {"processes at once": max(rounds), "rounds": len(rounds), "longest round, s": round(longest, 1)}
    return Outcome(trials, failures, Control("the number of a run chosen before the data are read", bugs, seen), figures)


def export(folder: Path, writer: int) -> None:
    """All states of one writer, in order, each an artefact put in the place of whatever is there."""
    for state in range(STATES):
        stores.export(writer * STATES + state)(folder, storage.DISK)


def watch(folder: Path, history: Path, done: Path) -> None:
    """Open the artefact until the writers have ended, and write down all that was seen."""
    seen: list[Any] = []
    while not done.exists():
        try:
            seen.append(opened(folder))
        except (OSError, ArtifactError) as error:
            seen.append(f"{type(error).__name__}: {error}")
    history.write_text(json.dumps(seen), "utf-8")


def opened(folder: Path) -> tuple[int, int]:
    """(writer, state) of the artefact, every file verified."""
    return divmod(int(Artifact.open(folder / "artifact", stores.KINDS).manifest.created), STATES)


def contradictions(history: list[Any], last: tuple[int, int]) -> list[str]:
    """What no order of whole writes explains."""
    wrong, newest = [str(seen) for seen in history if isinstance(seen, str)], collections.Counter[int]()
    for writer, state in (seen for seen in history if not isinstance(seen, str)):
        if state < newest[writer] or not (0 <= writer < WRITERS and 0 <= state < STATES):
            wrong.append(f"writer {writer}: state {state} was read after {newest[writer]}")
        newest[writer] = max(newest[writer], state)
    return wrong + ([] if last[1] == STATES - 1 else [f"at the end state {last[1]} of writer {last[0]} is there, not a last one"])


def one_path(folder: Path) -> tuple[list[str], int]:
    """Sixteen writers and two readers of one artefact: what was wrong, and how many times it was opened."""
    done, said = folder / "done", folder / "said"
    folder.mkdir()
    stores.export(0)(folder, storage.DISK)
    readers = [fork(functools.partial(watch, folder, folder / f"history-{n}", done), log=str(said)) for n in range(READERS)]
    ended = released([functools.partial(export, folder, writer) for writer in range(WRITERS)], said)
    done.touch()
    ended += all_ended(readers)
    wrong = [f"exit code {e.code}: {said.read_text('utf-8')[-300:]}" for e in ended if e.code]
    histories = [json.loads(p.read_text("utf-8")) for p in folder.glob("history-*")]
    try:
        last = opened(folder)
    except (OSError, ArtifactError) as error:
        return [*wrong, f"at the end: {error}"], sum(map(len, histories))
    return wrong + [found for history in histories for found in contradictions(history, last)], sum(map(len, histories))


def in_place(path: Path, files: Mapping[str, bytes], _disk: Disk) -> None:
    """The planted bug: files written where they are read."""
    path.mkdir(exist_ok=True)
    for name, data in files.items():
        with (path / name).open("wb") as file:
            file.write(data[: len(data) // 2])
            file.flush()
            time.sleep(0.001)
            file.write(data[len(data) // 2 :])


def resume(folder: Path, root: Path, number: int, count: int) -> None:
    """Resume the run; one that trains waits at its first record until all others have tried."""

    def until_all_came(_progress: Progress) -> None:
        (folder / f"training-{number}").touch()
        until = time.perf_counter() + PATIENCE_S
        while len(list(folder.glob("training-*")) + list(folder.glob("refused-*"))) < count and time.perf_counter() < until:
            time.sleep(0.001)

    try:
        real.learn(Path(), root, folder.parent / "cache", until_all_came)
    except TrainError as error:
        (folder / f"refused-{number}").write_text(str(error), "utf-8")


def one_run(spec: Path, whole: Path, folder: Path, count: int) -> list[str]:
    """A run that was stopped is resumed by many at once: what was wrong."""
    root = folder / "runs"
    folder.mkdir()
    finish(functools.partial(real.fresh, spec, root, folder.parent / "cache", (), lambda progress: os._exit(9) if progress.step == 6 else None))
    ended = released([functools.partial(resume, folder, root, number, count) for number in range(count)], folder / "said")
    wrong = [f"exit code {e.code}: {(folder / 'said').read_text('utf-8')[-300:]}" for e in ended if e.code]
    training, refused = list(folder.glob("training-*")), list(folder.glob("refused-*"))
    if (len(training), len(refused)) != (1, count - 1):
        wrong.append(f"{len(training)} of {count} trained, {len(refused)} were refused")
    expected = f"{root / '0001'}: expected a run that no other process is training, found one at work on it. Wait until it ends, or start a run of your own."
    wrong += [f"refused with {said!r}" for said in {p.read_text("utf-8") for p in refused} if said != expected]
    steps = [r["step"] for r in Run(root / "0001").records() if r["event"] == "step"]
    wrong += [] if steps == list(range(1, real.STEPS + 1)) else [f"the log has the steps {steps}"]
    different = difference(outcome(whole), outcome(root / "0001"))
    return [*wrong, f"it differs from the unbroken run: {different}"] if different else wrong


@contextmanager
def owned_by_all(_file: Path) -> Iterator[None]:
    """The planted bug: nobody asks whether another process is at work."""
    yield


@contextmanager
def planted(module: Any, name: str, bug: Any) -> Iterator[None]:
    """A bug in the place of what is right, in this process and its children."""
    right = getattr(module, name)
    setattr(module, name, bug)
    try:
        yield
    finally:
        setattr(module, name, right)


def writers(trials: int, rng: random.Random) -> Outcome:
    """D7: by turns one path and one run."""
    del rng  # what is random here is the machine's scheduling
    failures, reads, seconds, bugs = [], 0, 0.0, max(2, trials // 5)
    with home() as folder:
        real.unbroken("table", folder)
        spec, whole = real.spec("table", folder), folder / "table-whole" / "0001"
        for place in range(trials):
            began = time.perf_counter()
            if place % 2:
                found = one_run(spec, whole, folder / f"{place}", WRITERS)
            else:
                found, read = one_path(folder / f"{place}")
                reads, seconds = reads + read, seconds + time.perf_counter() - began
            failures += [f"trial {place}: {line}" for line in found[:3]]
        with planted(storage, "write_folder", in_place):
            seen = sum(bool(one_path(folder / f"torn-{place}")[0]) for place in range(bugs - bugs // 2))
        with planted(ownership, "sole", owned_by_all):
            seen += sum(bool(one_run(spec, whole, folder / f"shared-{place}", 4)) for place in range(bugs // 2))
    written = WRITERS * STATES * (trials - trials // 2)
    figures: dict[str, float | str] = {"writers": WRITERS, "artefacts written": written, "opened meanwhile": reads,
                                       "artefacts a second": round(written / seconds)}
    return Outcome(trials, failures, Control("files written where they are read; a run that many may train", bugs, seen), figures)


HARNESSES = (
    Harness("D6", "32 processes start at once on an empty store: none fails, each has its run, all have the same bits",
            empty_store, short=6, long=320),
    Harness("D7", "16 processes write one path, or resume one run: nothing lost, torn or invented; one trains, the others are told",
            writers, short=2, long=40),
)
