"""The harness of D1, and that what it compares is what must be equal."""

import random
from pathlib import Path

import torch

from reliability import kill
from reliability.kill import HARNESSES, TASK, TRAIN
from reliability.work import Outcome, Rings, difference, outcome, prepared, traced
from thuja.verbs.train import carry_out


def test_killed_and_continued_is_the_same() -> None:
    found = HARNESSES[0].run(HARNESSES[0].short, random.Random(0))
    assert found.passed, (found.failures, found.control)
    assert found.trials >= HARNESSES[0].short and found.figures["kills of the applications"] == 1


def test_another_seed_differs_in_everything(tmp_path: Path) -> None:
    torch.set_num_threads(1)
    short = TRAIN.model_copy(update={"steps": 9})
    for name, seed in (("whole", 0), ("other", 1)):
        carry_out(prepared(tmp_path / name, TASK, short.model_copy(update={"seed": seed})))
    found = kill.compared(tmp_path / "whole", tmp_path / "other")
    changed = "00000009/manifest.json, 00000009/model.safetensors, 00000009/optimizer.safetensors, 00000009/raw.safetensors, 00000009/state.json"
    assert found == f"{changed}, the log, the rows of steps [1, 2, 3, 4, 5, 6, 7, 8, 9]"


def test_a_run_without_a_checkpoint_is_not_equal_to_one_with(tmp_path: Path) -> None:
    assert outcome(tmp_path).files == {}
    assert difference(Outcome({"00000060/state.json": "a"}, "b"), Outcome({}, "b")) == "00000060/state.json"


def test_the_trace_keeps_every_step_begun_and_its_rows(tmp_path: Path) -> None:
    carry_out(prepared(tmp_path, Rings(), TRAIN.model_copy(update={"steps": 3, "batch": 4, "accumulate": 1}), rows=8))
    found = traced(tmp_path / "trace")
    assert [step for step, _ in found][:3] == [1, 2, 3]
    assert sorted(found[0][1] + found[1][1]) == list(range(8))
