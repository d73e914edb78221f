"""kill -9 at uniformly random moments of the whole life of a run, which is then continued to its end: is the result the unbroken run's, bit for bit? (D1)

Nine kills of ten hit 60 steps of a small network with dropout, batch normalisation, augmentation, noise in the loss, texts of different lengths, a moving
average, accumulation, AdamW and early stopping, with a checkpoint every 7 steps and a look every 5; every third run is killed a second time while it goes
on. One of ten hits the three applications through `thuja.train`, from reading the data on. Compared are the bytes of the last checkpoint (weights, moving
average, optimiser, history of looks), every loss and look of the log, and the rows of every step that was ever begun.
"""

import functools
import random
import signal
import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import torch
from torch import nn

from reliability import real
from reliability.forks import finish, fork, home, lifetime, signalled
from reliability.outcome import Control, Harness, Outcome
from reliability.work import Rings, difference, newest, outcome, prepared, traced
from thuja.codec import Columns
from thuja.run import Run
from thuja.settings import AdamW, Train
from thuja.task import Batch, Draw
from thuja.verbs.train import carry_out

STEPS, SAVE_EVERY = 60, 7
TRAIN = Train(steps=STEPS, batch=32, accumulate=3, optimizer=AdamW(learning_rate=1e-2), schedule="cosine", warmup=0.1, ema=0.95, precision="float32",
              compile=False, device="cpu", evaluate_every=5, save_every=SAVE_EVERY, patience=50)
TASK = Rings(words=True)
LOST = 2 * SAVE_EVERY
"""Steps that a kill may cost: one interval, and one save that was in flight."""


class ByTheClock(Rings):
    """The planted bug: an order of rows that the clock seeds."""

    def batches(self, model: nn.Module, columns: Columns, draw: Draw) -> Iterator[Batch]:
        return super().batches(model, columns, draw._replace(seed=time.time_ns()))


class Counted(Rings):
    """The planted bug: randomness that is neither saved nor a function of the step, but counted in the process."""

    def augment(self, batch: Batch, rng: torch.Generator) -> Batch:
        return super().augment(batch, RANDOM)


RANDOM = torch.Generator().manual_seed(0)


class Hit(NamedTuple):
    """Where a kill hit."""

    begun: int
    """The last step that had been begun."""
    saved: int
    """The step of the newest checkpoint; 0 for none."""


class Killed(NamedTuple):
    """One run, killed once or twice and continued to its end."""

    different: str
    """What is not as in the unbroken run; empty where nothing differs."""
    hits: list[Hit]


def work(folder: Path, task: Rings) -> None:
    """The small run, from wherever it is to its end."""
    carry_out(prepared(folder, task, TRAIN))


@functools.cache
def warm() -> None:
    """Train once in this process, so that what torch loads on first use is loaded before the forks."""
    torch.set_num_threads(1)
    with home() as folder:
        work(folder / "warm", TASK)


def unbroken(folder: Path, task: Rings) -> float:
    """Make the run that others are compared with; how long it lives, in seconds."""
    warm()
    return lifetime(functools.partial(work, folder / "whole", task))


def killed(folder: Path, task: Rings, moments: list[float]) -> Killed:
    """Kill the small run at these moments, in seconds of each of its lives, then let it end."""
    hits = []
    for moment in moments:
        ended = signalled(fork(functools.partial(work, folder, task)), signal.SIGKILL, moment)
        if ended.code == -signal.SIGKILL:
            hits.append(Hit(max((step for step, _ in traced(folder / "trace")), default=0), newest(folder)))
    said = folder.with_suffix(".said")
    ended = finish(functools.partial(work, folder, task), log=str(said))
    different = compared(folder.parent / "whole", folder) if ended.code == 0 else f"it went on to exit code {ended.code}: {said.read_text()[-300:]}"
    return Killed(different, hits)


def compared(whole: Path, folder: Path) -> str:
    """What differs between the unbroken run and this one, the rows of every step begun included."""
    rows = dict(traced(whole / "trace"))
    strange = sorted({step for step, found in traced(folder / "trace") if rows[step] != found})
    return ", ".join(filter(None, [difference(outcome(whole), outcome(folder)), f"the rows of steps {strange}" if strange else ""]))


def small(folder: Path, kills: int, rng: random.Random) -> list[Killed]:
    """Runs until so many kills have hit; every third run is meant to be killed twice."""
    seconds = unbroken(folder, TASK)
    found: list[Killed] = []
    while sum(len(k.hits) for k in found) < kills:
        times = 2 if len(found) % 3 == 2 else 1
        found.append(killed(folder / f"{len(found)}", TASK, [rng.uniform(0, seconds) for _ in range(times)]))
    return found


def applications(folder: Path, kills: int, rng: random.Random) -> list[Killed]:
    """Runs of the three applications in turn, each from an empty cache, until so many kills have hit."""
    found: list[Killed] = []
    lives: dict[str, float] = {}
    while sum(len(k.hits) for k in found) < kills:
        application = real.APPLICATIONS[len(found) % len(real.APPLICATIONS)]
        spec = real.spec(application, folder)
        if application not in lives:
            lives[application] = real.unbroken(application, folder)
        root = folder / f"{application}-{len(found)}"
        going = functools.partial(real.learn, spec, root, root.with_suffix(".cache"))
        hit = signalled(fork(going), signal.SIGKILL, rng.uniform(0, lives[application])).code == -signal.SIGKILL
        hits = [Hit(0, max((newest(run.path) for run in Run.all(root)), default=0))] if hit else []
        found.append(Killed(real.continued(going, root, folder / f"{application}-whole"), hits))
    return found


def caught(folder: Path, trials: int, rng: random.Random) -> Control:
    """Each planted bug in turn, killed when there is a checkpoint to go on from: is it seen?"""
    planted: list[Callable[[], Rings]] = [ByTheClock, Counted]
    seen = 0
    for place in range(trials):
        task, inside = planted[place % 2](), folder / f"{place}"
        seconds, found = unbroken(inside, task), Killed("", [])
        while not any(0 < hit.saved < STEPS for hit in found.hits):
            moment = rng.uniform(0.3, 1.0) * seconds
            found = killed(inside / f"{moment}", task, [moment])
        seen += bool(found.different)
    return Control("rows in an order that the clock seeds; random numbers counted in the process instead of by step", trials, seen)


def run(trials: int, rng: random.Random) -> Outcome:
    """About nine tenths of the kills on the small run, the others on the applications."""
    few = max(1, trials // 10)
    with home() as folder:
        ours, theirs = small(folder / "small", trials - few, rng), applications(folder / "applications", few, rng)
        control = caught(folder / "planted", min(20, max(2, trials // 10)), rng)
    hits = [hit for k in ours for hit in k.hits]
    lost = [hit.begun - hit.saved for hit in hits]
    failures = [k.different for k in (*ours, *theirs) if k.different]
    failures += [f"killed in step {hit.begun}, the newest checkpoint is of step {hit.saved}: more than {LOST} are lost" for hit in hits
                 if hit.begun - hit.saved > LOST]
    figures: dict[str, float | str] = {
        "kills of the small run": len(hits), "kills of the applications": sum(len(k.hits) for k in theirs),
        "runs killed twice": sum(len(k.hits) > 1 for k in ours),
        "kills before the first checkpoint": sum(hit.saved == 0 for hit in hits), "steps lost, median": statistics.median(lost), "steps lost, worst": max(lost),
        "saved every, steps": SAVE_EVERY,
    }
    return Outcome(len(hits) + int(figures["kills of the applications"]), failures, control, figures)


HARNESSES = (Harness("D1", "kill -9 at any moment, then resume: the same bits as a run that was never stopped", run, short=6, long=600),)
