"""Trouble inside one step: memory that does not suffice, numbers that are not finite."""

import shutil
from pathlib import Path
from typing import Any, ClassVar

import pytest
import torch
import toy
from test_train import outcome, prepared

from thuja.core.errors import TrainError
from thuja.run import Run
from thuja.settings import AdamW, Train
from thuja.task import Batch, Loss
from thuja.training.loop import State, begin, steps
from thuja.training.update import all_finite, cut, out_of_memory
from thuja.verbs import train as fit

PLAIN = Train(steps=6, batch=32, optimizer=AdamW(learning_rate=1e-2), schedule="linear", warmup=0.1, ema=0.9, precision="float32", device="cpu")


class Tight(toy.Ring):
    """Has room for so many rows; notices only after the forward pass, when running statistics and random generators have moved."""

    room: ClassVar[int] = 10**9
    error: ClassVar[Any] = torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")

    def loss(self, model: torch.nn.Module, batch: Batch, rng: torch.Generator) -> Loss:
        found = super().loss(model, batch, rng)
        if len(batch["side"]) > self.room:
            raise self.error
        return found


def trained(task: toy.Ring, train: Train = PLAIN, parts: int = 1) -> State:
    state = begin(task, toy.RingCodec(), train)
    state.parts = parts
    for _ in steps(task, state, toy.columns(128), train):
        pass
    return state


def values(state: State) -> list[torch.Tensor]:
    return [*state.model.state_dict().values(), *state.best_model.state_dict().values()]


@pytest.mark.parametrize("error", [torch.OutOfMemoryError("CUDA out of memory"), MemoryError("std::bad_alloc"), RuntimeError(
    "[enforce fail at alloc_cpu.cpp:121] err == 0. DefaultCPUAllocator: can't allocate memory: you tried to allocate 64 bytes. Error code 12")])
def test_the_step_is_made_again_in_more_parts_as_if_it_had_always_been(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    expected = trained(toy.Ring(), parts=4)
    monkeypatch.setattr(Tight, "room", 8)
    monkeypatch.setattr(Tight, "error", error)
    found = trained(Tight())
    assert found.parts == 4
    assert all(torch.equal(a, b) for a, b in zip(values(found), values(expected), strict=True))


def test_another_error_is_not_taken_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Tight, "room", 8)
    monkeypatch.setattr(Tight, "error", RuntimeError("mat1 and mat2 shapes cannot be multiplied"))
    with pytest.raises(RuntimeError, match=r"^mat1 and mat2 shapes cannot be multiplied$"):
        trained(Tight())
    assert not out_of_memory(ValueError("memory"))


def test_no_room_for_a_single_row(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Tight, "room", 0)
    with pytest.raises(TrainError) as caught:
        trained(Tight(norm=False))
    assert str(caught.value) == ("train: memory: expected room for the network and one row, found CUDA out of memory. Tried to allocate 2.00 GiB. "
                                 "Use a smaller network, or more memory.")


def test_parts_are_in_the_log_the_note_and_the_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Tight, "room", 16)
    seen: list[fit.Progress] = []
    run = prepared(tmp_path)
    tight = run._replace(spec=run.spec.model_copy(update={"task": Tight()}))
    fit.carry_out(tight, seen.append)
    assert seen[0].note == "Memory did not suffice at step 1: each batch is now made in 2 parts, and the updates stay those of whole batches."
    assert [r for r in Run(tmp_path).records() if r["event"] == "memory"] == [{"event": "memory", "step": 1, "parts": 2}]
    monkeypatch.setattr(Tight, "room", 10**9)  # a resumed run goes on in two parts, though there is room now
    whole = outcome(tmp_path)
    shutil.rmtree(tmp_path / "checkpoints/00000040")
    fit.carry_out(tight)
    assert outcome(tmp_path) == whole


class Ill(toy.Ring):
    """A loss, or a gradient, that is no number at the steps whose rows say so."""

    gradient: bool = False
    steps: ClassVar[set[int]] = set()
    made: ClassVar[list[int]] = [0]

    def loss(self, model: torch.nn.Module, batch: Batch, rng: torch.Generator) -> Loss:
        found = super().loss(model, batch, rng)
        self.made[0] += 1
        if self.made[0] not in self.steps:
            return found
        nothing = (0 * next(model.parameters()).sum()).sqrt()  # its value is 0, its gradient is not finite
        return found._replace(total=found.total + nothing if self.gradient else found.total * float("inf"))


@pytest.mark.parametrize("gradient", [False, True])
def test_a_careful_step_that_is_not_finite_changes_nothing(monkeypatch: pytest.MonkeyPatch, gradient: bool) -> None:
    monkeypatch.setattr(Ill, "steps", {3})
    monkeypatch.setattr(Ill, "made", [0])
    state = begin(Ill(gradient=gradient), toy.RingCodec(), PLAIN)
    state.careful = True
    before: list[torch.Tensor] = []
    for step in steps(Ill(gradient=gradient), state, toy.columns(128), PLAIN):
        moments = [value for optimizer in state.optimizers[0] for kept in optimizer.state.values() for value in kept.values()]
        now = [value.clone() for value in [*values(state), *moments]]
        assert step.skipped == (step.number == 3)
        assert all(torch.equal(a, b) for a, b in zip(before, now, strict=False)) == (step.number in (1, 3))
        before = now
    assert all_finite(before)


def test_what_is_finite() -> None:
    assert all_finite([])
    assert all_finite([torch.tensor(1e30), torch.zeros(0), torch.ones(3, dtype=torch.int64), torch.full((9,), 1e38)])
    for bad in (float("nan"), float("inf"), -float("inf")):
        assert not all_finite([torch.ones(3), torch.tensor([0.0, bad, 1.0])])


def test_parts_cover_the_batch_and_are_never_empty() -> None:
    batch = {"x": torch.arange(5)}
    assert [(part["x"].tolist(), share) for part, share in cut(batch, 2)] == [([0, 1, 2], 0.6), ([3, 4], 0.4)]
    assert [part["x"].tolist() for part, _ in cut(batch, 8)] == [[0], [1], [2], [3], [4]]
