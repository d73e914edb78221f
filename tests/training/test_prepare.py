"""What precedes step one: measured choices end in the settled spec with their reasons, and a continued run measures nothing."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
import toy

from thuja.apps import CODECS, TASKS
from thuja.settings import Check, HashSplit, Train
from thuja.spec import Spec
from thuja.task import Choice
from thuja.training import prepare as module
from thuja.training.prepare import prepare, reopen


@pytest.fixture(autouse=True)
def ring(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """The toy application is known, the cache is our own, and torch gets its threads back."""
    before = torch.get_num_threads()
    monkeypatch.setitem(TASKS, "ring", "toy:Ring")
    monkeypatch.setitem(CODECS, "ring", "toy:RingCodec")
    monkeypatch.setenv("THUJA_CACHE", str(tmp_path / "cache"))
    yield
    torch.set_num_threads(before)


def spec(**train: object) -> Spec[toy.Ring]:
    made: Spec[toy.Ring] = Spec(task=toy.Ring(), check=Check(enabled=False), train=Train(**train))
    return made.model_copy(update={"data": made.data.model_copy(update={"split": HashSplit()})})


def test_a_short_run_keeps_the_plain_choices_and_says_why(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    made = prepare(spec(steps=5), toy.rows(100), (), tmp_path / "runs")
    train, reasons = made.spec.train, made.run.read("reasons.json")
    assert (train.threads, train.precision, train.compile) == (1, "float32", False)
    assert reasons["train.threads"] == [1, "all cores that this process may use; a longer run on a CPU measures whether fewer are faster"]
    assert reasons["train.compile"] == [False, "compiling takes some 20 s; only a run of many minutes on a CPU measures whether it pays"]
    assert reasons["train.precision"] == ["float32", "on most CPUs bfloat16 gains nothing; a longer run measures it"]


def test_what_was_measured_is_saved_used_and_not_measured_again(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    used: list[int] = []

    def calibrated(_bench, train, spent):
        used.append(torch.get_num_threads())
        assert (train.threads, train.steps) == (3, "auto") and spent >= 0
        return {"train.steps": Choice(7, "timed"), "train.evaluate_every": Choice(7, "timed"), "train.save_every": Choice(7, "timed")}

    monkeypatch.setattr(module, "decide", lambda _bench, _asked, _settled: {"train.threads": Choice(3, "measured")})
    monkeypatch.setattr(module, "calibrate", calibrated)
    made = prepare(spec(budget="5s"), toy.rows(100), (), tmp_path / "runs")
    assert used == [3]
    assert made.spec.train.steps == 7
    assert made.run.read("reasons.json")["train.threads"] == [3, "measured"]
    torch.set_num_threads(1)
    monkeypatch.delattr(module, "decide")
    monkeypatch.delattr(module, "calibrate")
    again = reopen(made.run, toy.rows(100))
    assert again.spec == made.spec
    assert torch.get_num_threads() == 3


def test_a_typed_number_of_threads_is_used(tmp_path: Path) -> None:
    made = prepare(spec(steps=5, threads=2), toy.rows(100), (), tmp_path / "runs")
    assert made.run.read("reasons.json")["train.threads"] == [2, "typed in the spec"]
    assert torch.get_num_threads() == 2
