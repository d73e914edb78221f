"""Numbers that are not finite, seen by the run: back to the last checkpoint, carefully on, and a diagnosis where that does not help."""

from pathlib import Path
from typing import Any, ClassVar

import pytest
import torch
import toy
from test_train import TRAIN, prepared

from thuja.core.errors import TrainError
from thuja.run import Run
from thuja.task import Batch, Loss
from thuja.training.loop import step_seeds
from thuja.training.prepare import Prepared
from thuja.verbs import train as fit
from thuja.verbs.train import Progress

LONG = TRAIN.model_copy(update={"steps": 100})


class Ill(toy.Ring):
    """At some steps the loss is no number; before others, once, a weight."""

    losses: ClassVar[set[int]] = set()
    weights: ClassVar[set[int]] = set()

    def loss(self, model: torch.nn.Module, batch: Batch, rng: torch.Generator) -> Loss:
        step = STEPS.get(rng.initial_seed())  # None in a look
        if step in self.weights:
            self.weights.remove(step)
            with torch.no_grad():
                model[0].weight[0, 0] = float("nan")
        found = super().loss(model, batch, rng)
        return found._replace(total=found.total * float("nan")) if step in self.losses else found


STEPS = {step_seeds(0, step)[1]: step + 1 for step in range(200)}
"""The step of each generator's seed."""


def ill(folder: Path, monkeypatch: pytest.MonkeyPatch, losses: Any = (), weights: Any = ()) -> Prepared:
    monkeypatch.setattr(Ill, "losses", set(losses))
    monkeypatch.setattr(Ill, "weights", set(weights))
    made = prepared(folder, LONG)
    return made._replace(spec=made.spec.model_copy(update={"task": Ill()}))


def events(folder: Path, *kinds: str) -> list[dict[str, Any]]:
    return [{k: v for k, v in r.items() if k not in ("event", "seconds")} for r in Run(folder).records() if r["event"] in kinds]


def test_a_loss_that_is_no_number_is_left_out_from_the_last_checkpoint_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Progress] = []
    fit.carry_out(ill(tmp_path, monkeypatch, losses=[31, 32, 60]), seen.append)
    assert events(tmp_path, "back") == [{"step": 28, "from": 31, "name": "loss", "value": "nan"}]
    assert [(r["step"], r["losses"]["loss"]) for r in events(tmp_path, "skipped")] == [(31, "nan"), (32, "nan"), (60, "nan")]
    assert [p.note for p in seen if p.note] == ["loss was nan at step 31: back to step 28; from here each step is looked at, and "
                                                 "left out where it is not finite."]
    assert [r["step"] for r in events(tmp_path, "step")] == [s for s in range(1, 101) if s not in (31, 32, 60)]
    assert events(tmp_path, "end")[0]["step"] == 100


def test_before_the_first_checkpoint_it_begins_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fit.carry_out(ill(tmp_path, monkeypatch, losses=[2]))
    assert events(tmp_path, "back") == [{"step": 0, "from": 2, "name": "loss", "value": "nan"}]


@pytest.mark.parametrize("step", [30, 35, 40, 100])  # 35: a checkpoint, 40: a look, 100: the last
def test_a_weight_that_is_no_number_is_got_rid_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: int) -> None:
    fit.carry_out(ill(tmp_path / "ill", monkeypatch, weights=[step]))
    assert events(tmp_path / "ill", "skipped") == []
    assert [r["from"] for r in events(tmp_path / "ill", "back")] == [step]
    fit.carry_out(prepared(tmp_path / "well", LONG))
    one, other = (Run(tmp_path / name).best_checkpoint() / "model.safetensors" for name in ("ill", "well"))
    assert one.read_bytes() == other.read_bytes()


class Stopped(BaseException):
    pass


@pytest.mark.parametrize("stop", [20, 31, 34, 36, 59, 60, 61, 90])
def test_a_resumed_run_does_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stop: int) -> None:
    from test_train import outcome

    sick = [30, 31, 60]
    fit.carry_out(ill(tmp_path / "whole", monkeypatch, losses=sick))

    def interrupt(progress: Progress) -> None:
        if progress.step >= stop:
            raise Stopped

    with pytest.raises(Stopped):
        fit.carry_out(ill(tmp_path / "broken", monkeypatch, losses=sick), interrupt)
    fit.carry_out(ill(tmp_path / "broken", monkeypatch, losses=sick))
    assert outcome(tmp_path / "broken") == outcome(tmp_path / "whole")
    assert events(tmp_path / "broken", "skipped") == events(tmp_path / "whole", "skipped")


@pytest.mark.parametrize(("losses", "first"), [(range(40, 101), 40), ([10, 20, *range(50, 80, 2)], 66), ([100], 100)])
def test_too_many_steps_left_out_stop_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, losses: Any, first: int) -> None:
    with pytest.raises(TrainError) as caught:
        fit.carry_out(ill(tmp_path, monkeypatch, losses=losses))
    assert str(caught.value) == (f"step {first}, loss: expected a finite number, found nan (first in `the loss`). "
                                 "Lower train.learning_rate (now 0.01), set train.clip to 1, or set train.precision to float32.")


def test_weights_that_are_lost_again_and_again_stop_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Lasting(Ill):
        def loss(self, model: torch.nn.Module, batch: Batch, rng: torch.Generator) -> Loss:
            self.weights.update({30} & {STEPS.get(rng.initial_seed())})
            return super().loss(model, batch, rng)

    made = ill(tmp_path, monkeypatch)
    with pytest.raises(TrainError) as caught:
        fit.carry_out(made._replace(spec=made.spec.model_copy(update={"task": Lasting()})))
    assert caught.value.where == "step 30, weights"
    assert caught.value.found == "nan (first in `the weights`)"
