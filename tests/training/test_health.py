"""Each diagnosis with a model that has exactly that illness, and healthy controls that pass."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import toy
from test_train import TRAIN, prepared
from torch import nn

from thuja.core.errors import TrainError
from thuja.run import Run
from thuja.training import health
from thuja.training.prepare import Prepared
from thuja.verbs import train as fit


def with_gradients(model: nn.Module, rows: torch.Tensor) -> nn.Module:
    model(rows).square().mean().backward()
    return model


def deep(layers: int, gain: float, activation: type[nn.Module]) -> nn.Sequential:
    torch.manual_seed(0)
    model = nn.Sequential(*[m for _ in range(layers) for m in (nn.Linear(16, 16), activation())])
    for m in model:
        if isinstance(m, nn.Linear):
            nn.init.normal_(m.weight, std=gain / 4)
    return model


ROWS = torch.randn(32, 16, generator=torch.Generator().manual_seed(0))


def test_vanishing_gradients() -> None:
    model = with_gradients(deep(24, 1.0, nn.Sigmoid), ROWS)
    with pytest.raises(TrainError) as caught:
        health.check_gradients(model, 40)
    assert caught.value.where == "step 40, layer 0"
    assert caught.value.expected == "a gradient that reaches the first layer"
    assert caught.value.found.endswith("at the last layer (vanishing)")
    assert caught.value.fix == "Use fewer layers, residual connections, normalisation, or He initialisation with ReLU."


def test_exploding_gradients() -> None:
    model = with_gradients(deep(24, 8.0, nn.Identity), ROWS)
    with pytest.raises(TrainError) as caught:
        health.check_gradients(model, 40)
    assert caught.value.where == "step 40, layer 0"
    assert caught.value.found.endswith("(exploding)")
    assert caught.value.fix == "Set train.clip to 1, lower train.learning_rate, or add normalisation between the layers."


def test_healthy_gradients_pass() -> None:
    health.check_gradients(with_gradients(deep(8, 2**0.5, nn.ReLU), ROWS), 40)
    health.check_gradients(nn.BatchNorm1d(3), 40)  # nothing to look at


def units(model: nn.Module, rows: torch.Tensor) -> dict[str, float]:
    with health.watched_units(model) as shares, torch.no_grad():
        model(rows)
    return shares


def test_dead_units() -> None:
    model = deep(3, 2**0.5, nn.ReLU)
    with torch.no_grad():
        model[2].bias.fill_(-100)
    with pytest.raises(TrainError) as caught:
        health.check_units(units(model, ROWS), 32, 40)
    assert str(caught.value) == ("step 40, 3: expected at most 95% of the units to be zero on all of 32 rows, found 100% (dead units). "
                                 "Lower train.learning_rate, use a longer train.warmup, or use an activation such as GELU.")


def test_dead_units_of_an_activation_that_is_no_module() -> None:
    class Functional(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.second = nn.Linear(16, 16), nn.Linear(16, 2)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.second((self.first(x) - 100).relu())

    with pytest.raises(TrainError) as caught:
        health.check_units(units(Functional(), ROWS), 32, 40)
    assert caught.value.where == "step 40, input of second"


def test_living_units_pass_and_pictures_count_by_channel() -> None:
    health.check_units(units(deep(3, 2**0.5, nn.ReLU), ROWS), 32, 40)
    picture = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU())
    with torch.no_grad():
        picture[0].bias.copy_(torch.tensor([-100.0, 0.5, 0.5, 0.5]))
    shares = units(picture, torch.randn(8, 1, 6, 6, generator=torch.Generator().manual_seed(0)))
    assert shares == {"1": 0.25, "input of 0": 0.0}


TARGET = np.arange(60) % 3


def test_the_same_answer_for_every_row() -> None:
    outputs = {"probability": np.tile([[0.2, 0.5, 0.3]], (60, 1))}
    health.check_answers(outputs, TARGET, 19, 100)  # too early to tell
    with pytest.raises(TrainError) as caught:
        health.check_answers(outputs, TARGET, 20, 100)
    assert str(caught.value) == ("step 20, validation: expected answers that depend on the input, found the same for all 60 rows (class 1). "
                                 "Raise or lower train.learning_rate tenfold, and look at the inputs with `thuja check`.")
    with pytest.raises(TrainError) as caught:
        health.check_answers({"value": np.full(60, 2.5)}, TARGET.astype(np.float32), 20, 100)
    assert caught.value.found == "the same for all 60 rows (2.5)"


def test_worse_than_guessing() -> None:
    outputs = {"probability": np.roll(np.eye(3)[TARGET] * 0.8 + 0.2 / 3, 1, axis=1)}  # surely wrong
    health.check_answers(outputs, TARGET, 29, 100)
    with pytest.raises(TrainError) as caught:
        health.check_answers(outputs, TARGET, 30, 100)
    assert str(caught.value) == ("step 30, validation: expected a log loss below 1.099, that of the classes' frequencies, found 2.708 after 30% of the steps. "
                                 "Lower train.learning_rate, and look for shuffled or constant labels with `thuja check`.")
    with pytest.raises(TrainError) as caught:
        health.check_answers({"value": -TARGET.astype(np.float64)}, TARGET.astype(np.float32), 30, 100)
    assert caught.value.expected == "an error (RMSE) below 0.8165, that of the mean"


def test_healthy_answers_pass() -> None:
    rng = np.random.default_rng(0)
    rare = (np.arange(1000) % 200 == 0).astype(np.int64)
    score = np.clip(0.01 + 0.1 * rare + 0.02 * rng.random(1000), 0, 1)  # never above a half, and yet it ranks
    health.check_answers({"probability": np.stack([1 - score, score], axis=1)}, rare, 90, 100)
    weighted = np.clip(0.3 + 0.3 * rare + 0.4 * rng.random(1000), 0, 1)  # a weighted loss: worse than guessing by log loss, and yet it ranks
    health.check_answers({"probability": np.stack([1 - weighted, weighted], axis=1)}, rare, 90, 100)
    sure = np.eye(3)[np.where(rng.random(60) < 0.3, (TARGET + 1) % 3, TARGET)]  # overconfident: infinite log loss, 70 % right
    health.check_answers({"probability": sure}, TARGET, 90, 100)
    health.check_answers({"value": TARGET + rng.normal(size=60)}, TARGET.astype(np.float32), 90, 100)
    health.check_answers({"probability": np.tile([[0.2, 0.8]], (60, 1))}, np.ones(60, np.int64), 90, 100)  # one class only: nothing to tell apart
    health.check_answers({"boxes": np.zeros((60, 4))}, TARGET, 90, 100)  # not ours to judge


def test_forecasts_of_several_steps_are_judged_where_the_truth_is_known() -> None:
    steps = np.stack([TARGET, TARGET + 1], axis=1).astype(np.float32)
    steps[::3, 1] = np.nan
    health.check_answers({"value": steps * 0.9 + 0.1}, steps, 90, 100)
    with pytest.raises(TrainError) as caught:
        health.check_answers({"value": np.full(steps.shape, 0.5)}, steps, 90, 100)
    assert caught.value.found == "the same for all 100 rows (0.5)"
    with pytest.raises(TrainError) as caught:
        health.check_answers({"value": -steps}, steps, 90, 100)
    assert caught.value.expected.startswith("an error (RMSE) below 1.02")


def test_the_first_bad_module_is_named() -> None:
    model = nn.Sequential(nn.Linear(2, 2), nn.ReLU(), nn.Linear(2, 2))
    with torch.no_grad():
        model[2].weight.fill_(float("inf"))
    with health.first_bad(model) as found:
        model(torch.ones(1, 2))
    assert found == ["2"]
    with health.first_bad(model) as found:
        model[1](torch.ones(1, 2))
    assert found == []


def test_losses_that_are_not_finite() -> None:
    health.check_losses(11, {"loss": [0.3, 0.2]}, "head", 0.01)
    with pytest.raises(TrainError) as caught:
        health.check_losses(11, {"loss": [0.3, float("nan")]}, "head", 0.01)
    assert str(caught.value) == ("step 12, loss: expected a finite number, found nan (first in `head`). "
                                 "Lower train.learning_rate (now 0.01), set train.clip to 1, or set train.precision to float32.")


def sick(folder: Path, monkeypatch: pytest.MonkeyPatch, **train: Any) -> Prepared:
    """A run whose second layer is dead from the start."""
    build = toy.Ring.build

    def dead(self: toy.Ring, codec: Any) -> nn.Module:
        model = build(self, codec)
        with torch.no_grad():
            model[3].bias.fill_(-1000.0)
        return model

    monkeypatch.setattr(toy.Ring, "build", dead)
    return prepared(folder, TRAIN.model_copy(update=train), norm=False)


def test_a_sick_run_is_stopped_and_the_log_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(TrainError) as caught:
        fit.carry_out(sick(tmp_path, monkeypatch))
    assert caught.value.where == "step 10, layer 0"
    assert caught.value.found == "norm 0.0e+00 there, 0.0e+00 at the last layer (vanishing)"
    assert Run(tmp_path).records()[-1] == {"event": "ill", "step": 10, **caught.value.parts()}


def test_a_run_that_is_not_watched_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fit.carry_out(sick(tmp_path, monkeypatch, watch=False))
    assert Run(tmp_path).records()[-1]["event"] == "end"


def test_branches_that_begin_at_zero_are_given_some_steps() -> None:
    from thuja.blocks.transformer import Encoder

    torch.manual_seed(0)
    model = nn.Sequential(Encoder(16, 2, 2, 32), nn.Linear(16, 16))
    model(torch.randn(2, 3, 16)).square().mean().backward()
    health.check_gradients(model, 1)
    with pytest.raises(TrainError, match="vanishing"):
        health.check_gradients(model, 5)
