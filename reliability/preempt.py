"""SIGTERM with 30 seconds of grace at uniformly random moments of the whole life of `thuja.train`: reading and encoding the data, before step one, in a look,
in a save, between two steps, at the end. Is everything saved, the exit code 0, and the continued run the unbroken one, bit for bit? (D10)

Half of the moments are random; at the others the signal comes as soon as something is under way: the cache being written, the folder of the run being made, a
checkpoint being written. Nothing may be lost: the newest checkpoint must be of the last step that was logged.
"""

import functools
import os
import random
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from reliability import real
from reliability.forks import Ended, fork, home, wait
from reliability.outcome import Control, Harness, Outcome
from reliability.work import newest
from thuja.run import Run

GRACE_S = 30.0
LISTENS_S = 10.0
"""A process that does not listen for SIGTERM by then is not going to."""
AIMS = ("cache/columns/.tmp-*", "runs/0001", "runs/0001/checkpoints/.tmp-*", "runs/0001/checkpoints/0*")
"""What is waited for before the signal is sent, as files below the folder of a trial: encoding, before step one, a save, just after one."""


class Stopped(NamedTuple):
    """What a SIGTERM did."""

    different: str
    """What was wrong; empty where nothing was."""
    seconds: float
    """From the signal to the end."""
    where: str
    """"before step one", "in training", or "too late" where the run had ended before."""


Work = Callable[[Path, Path, Path], object]
"""Trains: the spec, the root of runs and the cache."""


def moment(folder: Path, aim: str | None, after_s: float, limit_s: float) -> None:
    """Wait for some seconds, or until something is under way."""
    if aim is None:
        time.sleep(after_s)
        return
    until = time.perf_counter() + limit_s
    while time.perf_counter() < until and not any(folder.glob(aim)):
        time.sleep(0.0002)


def under_way(child: int) -> None:
    """Wait until `train` has begun and listens for SIGTERM: before that there is nothing of ours in the process yet."""
    until = time.perf_counter() + LISTENS_S
    while time.perf_counter() < until:
        caught = next(line for line in Path(f"/proc/{child}/status").read_text("utf-8").splitlines() if line.startswith("SigCgt:"))
        if int(caught.split()[1], 16) >> (signal.SIGTERM - 1) & 1:
            return
        time.sleep(0.0002)


def terminated(spec: Path, folder: Path, work: Work, when: Callable[[], None]) -> tuple[Ended, str]:
    """Train in a process of its own, and terminate it at a moment: how it ended, and where it was."""
    root, cache = folder / "runs", folder / "cache"
    folder.mkdir()
    child = fork(functools.partial(work, spec, root, cache), log=str(folder / "said"))
    if work is not deaf:
        under_way(child)
    when()
    begun = bool(Run.all(root))
    os.kill(child, signal.SIGTERM)
    ended = wait(child, GRACE_S)
    over = any(r["event"] == "end" for run in Run.all(root) for r in run.records())
    return ended, "too late" if over else "in training" if begun else "before step one"


def trial(application: str, home_: Path, folder: Path, when: Callable[[], None], work: Work = real.learn) -> Stopped:
    """One run, terminated at a moment and continued to its end."""
    spec = real.spec(application, home_)
    ended, where = terminated(spec, folder, work, when)
    if ended.code:
        said = (folder / "said").read_text("utf-8")[-300:]
        return Stopped(f"{application}, {where}: exit code {ended.code} after {ended.seconds:.2f} s: {said}", ended.seconds, where)
    for run in Run.all(folder / "runs"):
        logged = max((r["step"] for r in run.records() if r["event"] == "step"), default=0)
        if newest(run.path) < logged:
            return Stopped(f"{application}, {where}: step {logged} was made, the newest checkpoint is of step {newest(run.path)}", ended.seconds, where)
    going_on = functools.partial(real.learn, spec, folder / "runs", folder / "cache")
    return Stopped(real.continued(going_on, folder / "runs", home_ / f"{application}-whole"), ended.seconds, where)


def deaf(spec: Path, root: Path, cache: Path) -> None:
    """The planted bug: nobody listens for SIGTERM."""
    signal.signal = lambda _number, _handler: None  # type: ignore[assignment]  # in a process of our own
    real.learn(spec, root, cache)


def hasty(spec: Path, root: Path, cache: Path) -> None:
    """The planted bug: SIGTERM ends the process at once with exit code 0, and nothing is saved."""
    true = signal.signal
    signal.signal = lambda number, _handler: true(number, lambda *_: os._exit(0))  # type: ignore[assignment]  # in a process of our own
    real.learn(spec, root, cache)


def caught(folder: Path, trials: int) -> Control:
    """Each planted bug in turn, terminated between two saves: is it seen?"""
    seen = 0
    for place in range(trials):
        inside = folder / f"planted-{place}"
        when = functools.partial(logged, inside / "runs" / "0001", 6)
        seen += bool(trial("table", folder, inside, when, (deaf, hasty)[place % 2]).different)
    return Control("a run that does not listen for SIGTERM; one that ends at once and saves nothing", trials, seen)


def logged(path: Path, step: int) -> None:
    """Wait until a step is in the log of a run, which happens at its looks, and is not saved yet."""
    until = time.perf_counter() + GRACE_S
    while time.perf_counter() < until:
        run = Run(path)
        if path.is_dir() and newest(path) < step - 1 <= max((r.get("step", 0) for r in run.records()), default=0):
            return
        time.sleep(0.0005)


def run(trials: int, rng: random.Random) -> Outcome:
    """The applications in turn; every second signal is aimed at something under way."""
    found: list[Stopped] = []
    with home() as folder:
        applications = real.APPLICATIONS if trials >= 12 else real.APPLICATIONS[:1]
        lives = {name: real.unbroken(name, folder) for name in applications}
        for place in range(trials):
            name, inside = applications[place % len(applications)], folder / f"{place}"
            aim = AIMS[place // 2 % len(AIMS)] if place % 2 else None
            found.append(trial(name, folder, inside, functools.partial(moment, inside, aim, rng.uniform(0, lives[name]), 2 * lives[name])))
        control = caught(folder, 2 if trials < 12 else 10)
    where = [stopped.where for stopped in found]
    figures: dict[str, float | str] = {
        "before step one": where.count("before step one"), "in training": where.count("in training"), "after the end": where.count("too late"),
        "longest from signal to exit, s": round(max(stopped.seconds for stopped in found), 3), "grace, s": GRACE_S}
    return Outcome(trials, [stopped.different for stopped in found if stopped.different], control, figures)


HARNESSES = (Harness("D10", "SIGTERM at any moment: all is saved, exit code 0 within the grace, and the same bits when continued", run, short=3, long=120),)
