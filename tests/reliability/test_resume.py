"""The harness of T1."""

import random
from pathlib import Path

import torch

from reliability import resume
from reliability.resume import HARNESSES, MATRIX, STOPS, WAYS
from reliability.work import Rings, newest


def test_some_cells_of_the_matrix() -> None:
    found = HARNESSES[0].run(HARNESSES[0].short, random.Random(0))
    assert found.passed, (found.failures, found.control)


def test_the_matrix_has_every_way_with_every_stop() -> None:
    assert len(MATRIX) == len(set(MATRIX)) == len(WAYS) * len(STOPS) + 3 >= 150


def test_a_death_really_cuts_the_run(tmp_path: Path) -> None:
    torch.set_num_threads(1)
    task, train = Rings(), resume.Train(**resume.PLAIN)
    ended = resume.finish(lambda: resume.sitting(tmp_path / "run", task, train, ("death", 10), 1))
    assert ended.code == 9 and newest(tmp_path / "run") in (4, 8)
