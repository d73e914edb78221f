"""Timing: quiet windows count, a burst of load does not."""

import pytest
import torch
from pretended import Pretended
from toy import RingCodec

from thuja.settings import AdamW, Train
from thuja.training.loop import begin
from thuja.training.timing import HOPELESS, TURNS, Stepper, race, steps_in_a_window, use_threads

TRAIN = Train(batch=16, optimizer=AdamW(), schedule="linear", warmup=0.0, ema=0.0, precision="float32", compile=False, device="cpu")


class Scripted:
    """A stepper whose windows take given times, one after the other, the last one for ever. The first is the warming up."""

    def __init__(self, clock: "Counter", *lengths: float) -> None:
        self.clock, self.lengths, self.windows = clock, list(lengths), 0

    def warm(self, patience: float) -> float:
        first = self._take()
        self.patient = first <= patience
        return first

    def window(self, number: int) -> float:
        assert number == 1, "pretended steps are long"
        self.windows += 1
        return self._take()

    def _take(self) -> float:
        taken = self.lengths.pop(0) if len(self.lengths) > 1 else self.lengths[0]
        self.clock.now += taken
        return taken


class Counter:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_the_fastest_window_counts_and_warming_up_does_not() -> None:
    clock = Counter()
    steppers = {"a": Scripted(clock, 0.5, 9.0, 1.0, 9.0), "b": Scripted(clock, 0.5, 9.3, 8.0, 1.2)}
    assert race(steppers, 0.0, clock) == {"a": 1.0, "b": 1.2}
    assert (steppers["a"].windows, steppers["b"].windows) == (TURNS, TURNS)


def test_a_race_goes_on_for_its_limit_and_little_longer() -> None:
    clock = Counter()
    race({"a": Scripted(clock, 1.0), "b": Scripted(clock, 1.1)}, 20.0, clock)
    assert 20 <= clock.now - 2.1 < 20 + 2.1


@pytest.mark.parametrize("burst", [1, 2, 9])
def test_a_burst_that_covers_most_windows_changes_nothing(burst: int) -> None:
    clock = Counter()
    loaded = {"a": Scripted(clock, *[5.0] * burst, 1.0), "b": Scripted(clock, *[4.0] * burst, 0.8)}
    assert race(loaded, 100.0, clock) == {"a": 1.0, "b": 0.8}


def test_a_burst_on_one_candidate_alone_does_not_throw_it_out() -> None:
    clock = Counter()
    assert race({"a": Scripted(clock, 1.0, 9.0, 9.0, 9.0, 0.7), "b": Scripted(clock, 1.0)}, 100.0, clock) == {"a": 0.7, "b": 1.0}


def test_a_hopeless_candidate_costs_its_warming_up_and_one_window() -> None:
    clock, slow = Counter(), 2 * HOPELESS
    steppers = {"a": Scripted(clock, 1.0), "b": Scripted(clock, slow), "c": Scripted(clock, 1.1)}
    assert race(steppers, 30.0, clock) == {"a": 1.0, "b": slow, "c": 1.1}
    assert steppers["b"].windows == 1
    assert steppers["a"].windows == steppers["c"].windows > TURNS


def test_one_far_behind_costs_one_step() -> None:
    clock = Counter()
    steppers = {"all": Scripted(clock, 10.0), "one": Scripted(clock, 1.5)}
    assert race(steppers, 30.0, clock) == {"all": 10.0, "one": 1.5}
    assert (steppers["all"].windows, steppers["all"].patient, steppers["one"].windows, steppers["one"].patient) == (0, False, 1, True)


def test_warming_up_takes_the_second_step_unless_patience_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Pretended(monkeypatch, lambda number, _model: 3.0 if number == 0 else 0.5)
    for patience, expected in ((2.0, 3.0), (4.0, 0.5)):
        clock.losses = 0
        assert Stepper(clock.bench, begin(clock.bench.task, RingCodec(), TRAIN), TRAIN).warm(patience) == expected


def test_a_race_that_one_has_won_ends_early() -> None:
    clock = Counter()
    steppers = {"a": Scripted(clock, 1.0), "b": Scripted(clock, 4.0)}
    race(steppers, 10.0**6, clock)
    assert (steppers["a"].windows, steppers["b"].windows) == (1, 1)


def test_a_window_holds_several_short_steps_or_one_long_one() -> None:
    assert [steps_in_a_window(s) for s in (10.0, 0.05, 0.02, 0.0011)] == [1, 1, 3, 46]


def test_a_stepper_makes_real_steps_with_its_own_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Pretended(monkeypatch, lambda _number, _model: 0.5 if torch.get_num_threads() == 3 else 9.0)
    train = TRAIN.model_copy(update={"threads": 3})
    state = begin(clock.bench.task, RingCodec(), train)
    stepper = Stepper(clock.bench, state, train)
    assert clock.losses == 0
    assert stepper.window(4) == 0.5
    use_threads(train.model_copy(update={"threads": 2}))
    assert stepper.warm() == 0.5
    assert (state.step, clock.losses) == (6, 6)
    use_threads(TRAIN)
    assert clock.threads == 3
