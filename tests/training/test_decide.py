"""Measured decisions, with a clock that only pretended work moves: what is chosen, what is said, and when nothing is measured at all."""

from typing import Any

import pytest
import torch
from pretended import Pretended, bf16
from torch import nn
from toy import Ring

from thuja.settings import AdamW, Train
from thuja.training import decide as module
from thuja.training.decide import decide

ASKED = Train(budget=100.0)
SETTLED = Train(budget=100.0, batch=16, optimizer=AdamW(), schedule="linear", warmup=0.0, ema=0.0, precision="float32", compile=False, threads=4, device="cpu")


def settled(**changes: Any) -> Train:
    return SETTLED.model_copy(update=changes)


def by_threads(four: float, two: float, one: float):
    costs = {4: four, 2: two, 1: one}
    return lambda _number, _model: costs[torch.get_num_threads()] * (5 if bf16() else 1)


def test_fewer_threads_are_taken_where_they_are_clearly_faster(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Pretended(monkeypatch, by_threads(four=0.02, two=0.01, one=0.018))
    chosen = decide(clock.bench, ASKED, SETTLED)
    assert chosen["train.threads"] == (2, "measured, ms a step: 4 threads 20, 2 threads 10, 1 thread 18")
    assert chosen["train.precision"] == ("float32", "measured, ms a step: float32 10, bfloat16 50")
    assert list(chosen) == ["train.threads", "train.precision"]


def test_a_little_faster_is_not_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Pretended(monkeypatch, by_threads(four=0.0100, two=0.0097, one=0.0096))
    assert decide(clock.bench, ASKED, SETTLED)["train.threads"] == (4, "measured, ms a step: 4 threads 10, 2 threads 9.7, 1 thread 9.6")


def test_bfloat16_is_taken_where_it_is_clearly_faster(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Pretended(monkeypatch, lambda _number, _model: 0.004 if bf16() else 0.01)
    chosen = decide(clock.bench, ASKED, settled(threads=1))
    assert chosen == {"train.precision": ("bfloat16", "measured, ms a step: float32 10, bfloat16 4")}


def test_a_typed_value_is_never_raced(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: set[tuple[int, bool]] = set()

    def cost(_number: int, _model: nn.Module) -> float:
        seen.add((torch.get_num_threads(), bf16()))
        return 0.01

    clock = Pretended(monkeypatch, cost)
    asked = ASKED.model_copy(update={"threads": 4, "compile": False})
    assert list(decide(clock.bench, asked, SETTLED)) == ["train.precision"]
    assert seen == {(4, False), (4, True)}
    losses = clock.losses
    assert decide(clock.bench, asked.model_copy(update={"precision": "float32"}), SETTLED) == {}
    assert clock.losses == losses


@pytest.mark.parametrize("train", [settled(budget=29.0), settled(budget=None, steps=99), settled(budget=1000.0, steps=99), settled(device="cuda")],
                         ids=["a short budget", "few steps", "few steps in a long budget", "an accelerator"])
def test_nothing_is_computed_where_measuring_cannot_pay(monkeypatch: pytest.MonkeyPatch, train: Train) -> None:
    clock = Pretended(monkeypatch, by_threads(four=10.0, two=1.0, one=1.0))
    assert decide(clock.bench, ASKED, train) == {}
    assert clock.losses == 0


@pytest.mark.parametrize(("steps", "measured"), [(2900, False), (3100, True)])
def test_typed_steps_are_worth_measuring_from_half_a_minute(monkeypatch: pytest.MonkeyPatch, steps: int, measured: bool) -> None:
    clock = Pretended(monkeypatch, by_threads(four=0.01, two=0.001, one=0.01))
    chosen = decide(clock.bench, Train(steps=steps), settled(budget=None, steps=steps))
    assert bool(chosen) == measured
    if not measured:
        assert clock.losses == 3
    else:
        assert chosen["train.threads"].value == 2


def test_a_burst_of_load_changes_no_decision(monkeypatch: pytest.MonkeyPatch) -> None:
    quiet = by_threads(four=0.01, two=0.02, one=0.03)
    clock = Pretended(monkeypatch, lambda number, model: quiet(number, model) * (8 if number < 40 else 1))
    chosen = decide(clock.bench, Train(budget=1000.0, compile=False), settled(budget=1000.0))
    assert (chosen["train.threads"].value, chosen["train.precision"].value) == (4, "float32")


def test_in_a_run_of_few_steps_only_threads_are_raced(monkeypatch: pytest.MonkeyPatch) -> None:
    """As where a second program keeps a core busy: a step on two threads takes seven times as long as on one."""
    clock = Pretended(monkeypatch, by_threads(four=0.7, two=0.7, one=0.1))
    began = clock.now
    assert decide(clock.bench, ASKED, SETTLED) == {"train.threads": (1, "measured, ms a step: 4 threads 700, 2 threads 700, 1 thread 100")}
    assert clock.now - began < 0.1 * 100


@pytest.mark.parametrize("step_s", [0.005, 0.1, 0.5])
def test_decisions_take_a_small_share_of_the_run(monkeypatch: pytest.MonkeyPatch, step_s: float) -> None:
    clock = Pretended(monkeypatch, lambda _number, _model: step_s)
    began = clock.now
    decide(clock.bench, ASKED, settled(threads=2))
    assert clock.now - began < max(0.05 * 100, 20 * step_s)


class Compiling:
    """`nn.Module.compile` as it would be: it marks the network, and the first loss pays for it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, speed: float, seconds: float) -> None:
        self.compiled: list[nn.Module] = []
        self.paid, self.speed, self.seconds = False, speed, seconds
        monkeypatch.setattr(nn.Module, "compile", lambda model: self.compiled.append(model))
        monkeypatch.setattr(module, "has_compiler", lambda: True)
        monkeypatch.setattr("shutil.which", lambda name: f"/usr/bin/{name}")

    def cost(self, _number: int, model: nn.Module) -> float:
        if not any(model is other for other in self.compiled):
            return 0.01
        extra, self.paid = (0.0 if self.paid else self.seconds), True
        return 0.01 * self.speed + extra


@pytest.mark.parametrize(("speed", "seconds", "expected"), [
    (0.6, 20.0, (True, "measured, ms a step: as it is 10, compiled 6; compiling took 20 s")),
    (0.97, 1.0, (False, "measured, ms a step: as it is 10, compiled 9.7; compiling took 1 s")),
    (0.9, 70.0, (False, "measured, ms a step: as it is 10, compiled 9; compiling took 70 s")),
], ids=["pays", "hardly faster", "costs more than it wins"])
def test_compiling_is_taken_where_it_wins_back_its_time(monkeypatch: pytest.MonkeyPatch, speed: float, seconds: float, expected: tuple[bool, str]) -> None:
    compiling = Compiling(monkeypatch, speed, seconds)
    clock = Pretended(monkeypatch, compiling.cost)
    chosen = decide(clock.bench, Train(budget=600.0, precision="float32"), settled(budget=600.0, threads=1))
    assert chosen == {"train.compile": expected}


def test_compiling_is_not_tried_in_a_shorter_run_or_without_a_compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    compiling = Compiling(monkeypatch, 0.1, 0.0)
    clock = Pretended(monkeypatch, compiling.cost)
    asked = Train(budget=600.0, precision="float32")
    assert decide(clock.bench, asked, settled(budget=590.0, threads=1)) == {}
    monkeypatch.setattr(module, "has_compiler", lambda: False)
    assert decide(clock.bench, asked, settled(budget=600.0, threads=1)) == {}
    assert not compiling.compiled


def test_a_compiler_that_fails_leaves_the_network_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    compiling = Compiling(monkeypatch, 0.5, 20.0)
    clock = Pretended(monkeypatch, compiling.cost)
    paid = Ring.loss

    def loss(task, model, batch, rng):
        if any(model is other for other in compiling.compiled):
            raise RuntimeError("no such header\nand a long trace")
        return paid(task, model, batch, rng)

    monkeypatch.setattr(Ring, "loss", loss)
    chosen = decide(clock.bench, Train(budget=600.0, precision="float32"), settled(budget=600.0, threads=1))
    assert chosen == {"train.compile": (False, "compiling failed: no such header")}
