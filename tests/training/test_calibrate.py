"""A budget becomes steps, with a clock that only pretended work moves."""

import pytest
from pretended import Pretended

from thuja.settings import AdamW, Train
from thuja.training.calibrate import calibrate

TRAIN = Train(budget=60.0, batch=16, optimizer=AdamW(), schedule="linear", warmup=0.0, ema=0.0, precision="float32", compile=False, device="cpu")


def test_the_steps_fit_into_what_is_left_of_the_budget(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Pretended(monkeypatch, lambda _number, _model: 0.1)
    chosen = calibrate(clock.bench, TRAIN)
    timing = clock.losses * 0.1
    assert chosen["train.steps"].value == pytest.approx((60 * 0.96 - timing) / 0.1, abs=1)
    assert timing < 0.05 * 60
    assert chosen["train.steps"].reason == "60 s at 100 ms a step, 1e-06 s a look, 1e-06 s a checkpoint"
    assert chosen["train.evaluate_every"].value == -(-chosen["train.steps"].value // 20)


def test_what_is_spent_already_is_not_spent_again(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Pretended(monkeypatch, lambda _number, _model: 0.1)
    all_of_it, less = (calibrate(clock.bench, TRAIN, spent=s)["train.steps"].value for s in (0.0, 10.0))
    assert all_of_it - less == pytest.approx(100, abs=1)


@pytest.mark.parametrize("loaded", [range(2, 5), range(5), range(9, 20)], ids=["early", "from the start", "late"])
def test_a_burst_of_load_while_timing_does_not_waste_the_budget(monkeypatch: pytest.MonkeyPatch, loaded: range) -> None:
    """Slow steps while timing cost their own seconds; the steps planned after them are those of a quiet machine."""
    clock = Pretended(monkeypatch, lambda number, _model: 0.3 if number in loaded else 0.1)
    began = clock.now
    steps = calibrate(clock.bench, TRAIN)["train.steps"].value
    assert steps == pytest.approx((60 * 0.96 - (clock.now - began)) / 0.1, abs=1.1)


def test_a_machine_that_is_slow_all_the_time_is_believed(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Pretended(monkeypatch, lambda _number, _model: 0.3)
    assert calibrate(clock.bench, TRAIN)["train.steps"].value == pytest.approx(60 * 0.96 / 0.3, rel=0.06)


@pytest.mark.parametrize("budget", [1.0, 10.0, 100.0])
def test_timing_takes_a_small_share_of_any_budget(monkeypatch: pytest.MonkeyPatch, budget: float) -> None:
    clock = Pretended(monkeypatch, lambda _number, _model: 0.001)
    began = clock.now
    calibrate(clock.bench, TRAIN.model_copy(update={"budget": budget}))
    assert clock.now - began < 0.04 * budget


def test_a_budget_too_short_for_a_step_still_makes_one(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Pretended(monkeypatch, lambda _number, _model: 50.0)
    assert calibrate(clock.bench, TRAIN)["train.steps"].value == 1


def test_typed_looks_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Pretended(monkeypatch, lambda _number, _model: 0.1)
    chosen = calibrate(clock.bench, TRAIN.model_copy(update={"evaluate_every": 7, "save_every": 9}))
    assert list(chosen) == ["train.steps"]
