"""The stop-watch of a peer's script: seconds since its process was started, what it spends on the test rows taken off, and when to stop.

A script is started as `python bare_torch.py WORKLOAD RECIPE --arrays FOLDER --started SECONDS ...` and prints a line of JSON per epoch. It needs numpy and
the peer, nothing of Thuja.
"""

import argparse
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import numpy as np


class Over(Exception):
    """The goal is reached or the time is up; raised out of whatever loop the peer has."""


class Job(NamedTuple):
    """What a script is asked to do."""

    workload: str
    recipe: str
    """documented or tuned."""
    arrays: Path
    goal: float
    cap: float
    seed: int
    started: float
    """`time.time()` of the caller just before it started the process."""

    def read(self) -> dict[str, np.ndarray]:
        """The arrays of the workload, read afresh; the clock runs."""
        with np.load(self.arrays / f"{self.workload}.npz") as file:
            return dict(file)


class Clock:
    """Counts all but the evaluation, which a user would not make every epoch."""

    def __init__(self, job: Job) -> None:
        self.job, self.epochs, self.apart = job, 0, 0.0

    @property
    def seconds(self) -> float:
        return time.time() - self.job.started - self.apart

    @contextmanager
    def evaluating(self) -> Iterator[None]:
        """What happens inside is not counted."""
        before = time.time()
        yield
        self.apart += time.time() - before

    def epoch(self, accuracy: float) -> None:
        """Report the accuracy on the test rows after an epoch. Raises: Over."""
        self.epochs += 1
        print(json.dumps({"epoch": self.epochs, "seconds": round(self.seconds, 3), "metric": round(float(accuracy), 5)}), flush=True)
        if accuracy >= self.job.goal:
            raise Over("the goal is reached")
        if self.seconds > self.job.cap:
            raise Over("the time is up")


def job(description: str | None) -> Job:
    """The command line of a peer's script."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("workload", choices=("mnist", "cifar10", "sst2", "adult"))
    parser.add_argument("recipe", choices=("documented", "tuned"))
    parser.add_argument("--arrays", type=Path, required=True)
    parser.add_argument("--goal", type=float, required=True)
    parser.add_argument("--cap", type=float, default=300.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--started", type=float, required=True)
    return Job(**vars(parser.parse_args()))
