"""The resume matrix: every way of training Thuja has, stopped at every kind of place, in processes of their own, comes to the bits of a run that was never
stopped. (T1)

A run is 24 steps, four epochs of six. A *stop* is SIGTERM (the state is saved at that very step) or the death of the process there (it goes on from an older
checkpoint). Before each sitting the global random generators are put wherever chance wants, since nothing may depend on them. Thuja has no worker processes;
what it has are threads that encode, and the three applications are stopped with one of them and continued, from an empty cache, with four.
"""

import functools
import os
import random
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import nn

from reliability import real
from reliability.forks import finish, home
from reliability.outcome import Control, Harness, Outcome
from reliability.work import Rings, difference, newest, outcome, prepared
from thuja.codec import Columns
from thuja.settings import SGD, AdamW, Muon, Train
from thuja.task import Batch, Draw
from thuja.training import checkpoint, optim
from thuja.training.session import Progress
from thuja.verbs.train import carry_out

STEPS, ROWS = 24, 96
PLAIN: dict[str, Any] = {"steps": STEPS, "batch": 16, "optimizer": AdamW(learning_rate=1e-2), "schedule": "linear", "warmup": 0.1, "ema": 0.0,
                         "precision": "float32", "compile": False, "device": "cpu", "evaluate_every": 3, "save_every": 4, "watch": False}
MUON = Muon(adamw=AdamW(learning_rate=1e-2))


class Way(NamedTuple):
    """One way of training."""

    train: dict[str, Any] = {}
    task: dict[str, Any] = {}
    threads: int = 1


WAYS = {
    "AdamW": Way(), "SGD": Way({"optimizer": SGD()}), "SGD without momentum": Way({"optimizer": SGD(momentum=0)}), "Muon": Way({"optimizer": MUON}),
    "constant": Way({"schedule": "constant"}), "cosine": Way({"schedule": "cosine"}), "trapezoid": Way({"schedule": "trapezoid"}),
    "half of it warm-up": Way({"warmup": 0.5}), "two parts": Way({"accumulate": 2}), "five uneven parts": Way({"accumulate": 5}),
    "clipping": Way({"clip": 0.5}), "moving average": Way({"ema": 0.9}), "moving average, Muon, parts": Way({"ema": 0.99, "optimizer": MUON, "accumulate": 3}),
    "bfloat16": Way({"precision": "bfloat16"}), "bfloat16, moving average, parts": Way({"precision": "bfloat16", "ema": 0.9, "accumulate": 2}),
    "much dropout": Way(task={"dropout": 0.5}), "much noise": Way(task={"noise": 0.5}), "texts": Way(task={"words": True}),
    "texts, Muon, moving average": Way({"optimizer": MUON, "ema": 0.9}, {"words": True}), "early stopping": Way({"patience": 3, "ema": 0.9}),
    "two steps that are not finite": Way(task={"burst": (7, 8)}), "the same, moving average, Muon": Way({"ema": 0.9, "optimizer": MUON}, {"burst": (7, 8)}),
    "a batch larger than an epoch": Way({"batch": 100}), "batches across epochs": Way({"batch": 7}), "two threads": Way({"batch": 96}, {"width": 512}, 2),
}
STOPS: dict[str, tuple[tuple[str, int], ...]] = {
    "after the first step": (("term", 1),), "within an epoch": (("term", 9),), "at the edge of an epoch": (("term", 12),),
    "before the last step": (("term", 23),),
    "death within an epoch": (("death", 10),), "twice": (("term", 5), ("death", 17)), "three times": (("death", 6), ("term", 12), ("death", 21)),
}
ENCODERS = "four threads that encode"


class Case(NamedTuple):
    """One cell of the matrix."""

    way: str
    """A key of WAYS, or an application."""
    stops: str
    """A key of STOPS."""


MATRIX = [Case(way, stops) for way in WAYS for stops in STOPS] + [Case(a, "within an epoch") for a in real.APPLICATIONS]


def stopper(kind: str, step: int) -> Callable[[Progress], None]:
    """Stops the process at a step."""

    def stop(progress: Progress) -> None:
        if progress.step == step:
            if kind == "death":
                os._exit(9)
            os.kill(os.getpid(), signal.SIGTERM)

    return stop


def sitting(folder: Path, task: Rings, train: Train, stop: tuple[str, int] | None, chance: int) -> None:
    """From where the run is to its end, or to a stop."""
    random.seed(chance)
    np.random.seed(chance)  # the global one is meant
    torch.manual_seed(chance)
    carry_out(prepared(folder, task, train, ROWS), stopper(*stop) if stop else None)


def whole(folder: Path, task: Rings, way: Way) -> Path:
    """The run that was never stopped, made where it is absent."""
    path = folder / "whole"
    if not path.is_dir():
        ended = finish(functools.partial(sitting, path, task, Train(**PLAIN | way.train), None, 0), threads=way.threads, log=str(folder.with_suffix(".said")))
        assert ended.code == 0, (ended, folder.with_suffix(".said").read_text("utf-8")[-300:])
    return path


def stopped(folder: Path, task: Rings, way: Way, stops: str, rng: random.Random) -> str:
    """A run with these stops: what differs from the one without; empty where nothing does."""
    wanted, path, said = outcome(whole(folder, task, way)), folder / stops, folder.with_suffix(".said")
    for stop in (*STOPS[stops], None):
        ended = finish(functools.partial(sitting, path, task, Train(**PLAIN | way.train), stop, rng.getrandbits(31)), threads=way.threads, log=str(said))
        if ended.code not in ((0,) if stop is None or stop[0] == "term" else (0, 9)):
            return f"exit code {ended.code}: {said.read_text('utf-8')[-300:]}"
        if stop is not None and stop[0] == "term" and newest(path) < min(stop[1], int(max(wanted.files)[:8])):
            return f"SIGTERM in step {stop[1]} left the checkpoint of step {newest(path)}"
    return difference(wanted, outcome(path))


def with_encoders(count: int, work: Callable[[], object]) -> None:
    """As on a machine of so many cores, on which as many threads encode."""
    os.sched_getaffinity = lambda _process: set(range(count))  # in a process of our own
    work()


def application(folder: Path, name: str) -> str:
    """An application stopped within an epoch with one encoding thread, and continued from an empty cache with four."""
    if not (folder / f"{name}-whole").is_dir():
        real.unbroken(name, folder)
    spec, root = real.spec(name, folder), folder / f"{name}-stopped"
    ended = finish(functools.partial(with_encoders, 1, lambda: real.learn(spec, root, folder / f"{name}-one", stopper("term", 9))))
    if ended.code:
        return f"exit code {ended.code}"
    going_on = functools.partial(real.learn, spec, root, folder / f"{name}-four")
    return real.continued(functools.partial(with_encoders, 4, going_on), root, folder / f"{name}-whole")


class SkipsAll(Rings):
    """The planted bug: after a stop the order begins anew."""

    def batches(self, model: nn.Module, columns: Columns, draw: Draw) -> Iterator[Batch]:
        return super().batches(model, columns, draw._replace(start=0))


class CountsRates(Rings):
    """The planted bug: a schedule that counts its own calls, and is not saved."""

    def build(self, codec: Any) -> Any:
        true, made = optim.factor, iter(range(10**9))
        optim.factor = lambda schedule, warmup, _step, steps: true(schedule, warmup, next(made), steps)  # type: ignore[assignment]  # in a process of our own
        return super().build(codec)


class ForgetsMoments(Rings):
    """The planted bug: the optimiser's moments are not restored."""

    def build(self, codec: Any) -> Any:
        true = checkpoint.restore

        def restore(root: Path, state: Any, *more: Any) -> Any:
            found = true(root, state, *more)
            for optimizer in (o for made in state.optimizers for o in made if found is not None):
                for moments in optimizer.state.values():
                    for moment in moments.values():
                        moment.zero_()
            return found

        checkpoint.restore = restore  # type: ignore[assignment]  # in a process of our own
        return super().build(codec)


def caught(folder: Path, trials: int, rng: random.Random) -> Control:
    """Each planted bug, at several kinds of stops: is it seen?"""
    planted, places = (SkipsAll, CountsRates, ForgetsMoments), ("within an epoch", "twice", "three times")
    cases = [(bug, stops) for stops in places for bug in planted][:trials]
    seen = sum(bool(stopped(folder / bug.__name__, bug(), WAYS["AdamW"], stops, rng)) for bug, stops in cases)
    return Control("the order of rows begins anew; a schedule that is not restored; optimiser moments that are not restored", len(cases), seen)


def run(trials: int, rng: random.Random) -> Outcome:
    """The whole matrix, or some of its cells."""
    torch.set_num_threads(1)
    cases = MATRIX if trials >= len(MATRIX) else rng.sample([c for c in MATRIX if c.way in WAYS and WAYS[c.way].threads == 1], trials)
    failures = []
    with home() as folder:
        carry_out(prepared(folder / "warm", Rings(words=True), Train(**PLAIN | {"optimizer": MUON, "steps": 4}), ROWS))
        for case in cases:
            if case.way in WAYS:
                way = WAYS[case.way]
                found = stopped(folder / case.way, Rings(**way.task), way, case.stops, rng)
            else:
                found = application(folder, case.way)
            failures += [f"{case.way}, stopped {case.stops}: {found}"] if found else []
        control = caught(folder, 9 if trials >= len(MATRIX) else 3, rng)
    return Outcome(len(cases), failures, control, {"ways of training": len({c.way for c in cases}), "kinds of stops": len({c.stops for c in cases})})


HARNESSES = (Harness("T1", "stopped anywhere, any number of times, in every way of training: the same bits", run, short=8, long=len(MATRIX)),)
