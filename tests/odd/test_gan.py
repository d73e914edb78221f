"""A GAN fits the contract: two objectives, each moving its own parameters (Goodfellow et al. 2014, arXiv 1406.2661, with the non-saturating loss)."""

from typing import Literal, Self

import numpy as np
import torch
from points import PointCodec
from torch import nn
from torch.nn.functional import softplus

from thuja.codec import Codec
from thuja.settings import AdamW, Train
from thuja.task import Batch, Goal, Loss, Objective, Program, Source, Task
from thuja.training.look import answers
from thuja.training.loop import begin, steps


class Adversaries(Task):
    kind: Literal["adversaries"] = "adversaries"

    def prepare(self, source: Source) -> tuple[Self, PointCodec]:
        return self, PointCodec()

    def build(self, codec: Codec) -> nn.Module:
        return nn.ModuleDict({"forger": nn.Sequential(nn.Linear(2, 32), nn.ReLU(), nn.Linear(32, 32), nn.ReLU(), nn.Linear(32, 2)),
                              "judge": nn.Sequential(nn.Linear(2, 32), nn.LeakyReLU(0.2), nn.Linear(32, 32), nn.LeakyReLU(0.2), nn.Linear(32, 1))})

    def loss(self, model: nn.Module, batch: Batch, rng: torch.Generator) -> Loss:
        """The forger's: the judge should take its points for true ones."""
        forged = model["forger"](torch.randn(batch["point"].shape, generator=rng))
        return Loss(softplus(-model["judge"](forged)).mean())

    def judged(self, model: nn.Module, batch: Batch, rng: torch.Generator) -> Loss:
        """The judge's: true points high, forged ones low; with the gradient penalty on true points (R1, Mescheder et al. 2018)."""
        with torch.no_grad():
            forged = model["forger"](torch.randn(batch["point"].shape, generator=rng))
        true = batch["point"].clone().requires_grad_()
        score = model["judge"](true)
        (slope,) = torch.autograd.grad(score.sum(), true, create_graph=True)
        penalty = slope.square().sum(1).mean()
        return Loss(softplus(model["judge"](forged)).mean() + softplus(-score).mean() + 0.1 * penalty, {"penalty": penalty})

    def objectives(self, model: nn.Module) -> tuple[Objective, ...]:
        return (Objective("judge", list(model["judge"].parameters()), lambda batch, rng: self.judged(model, batch, rng)),
                Objective("forger", list(model["forger"].parameters()), lambda batch, rng: self.loss(model, batch, rng)))

    def programs(self, model: nn.Module, codec: Codec) -> dict[str, Program]:
        return {"predict": Program(model["forger"].eval(), ("noise",), ("point",))}

    @property
    def goal(self) -> Goal:
        return Goal("loss", "min")


SETTINGS = Train(steps=800, batch=128, optimizer=AdamW(learning_rate=2e-3, betas=(0.5, 0.9)), schedule="linear", warmup=0.0, ema=0.98, device="cpu")


def points() -> dict[str, np.ndarray]:
    """A tilted ellipse of points around (2, -1)."""
    normal = np.random.default_rng(0).standard_normal((2000, 2))
    return {"x": 2 + 0.7 * normal[:, 0], "y": -1 + 0.3 * normal[:, 1] + 0.4 * normal[:, 0]}


def test_the_forger_learns_the_points() -> None:
    task, codec, true = Adversaries(), PointCodec(), points()
    state = begin(task, codec, SETTINGS)
    for step in steps(task, state, codec.encode(true), SETTINGS):
        last = step
    assert set(last.losses) == {"judge", "forger", "penalty"}
    noise = np.random.default_rng(1).standard_normal((1000, 2))
    outputs = answers(task.programs(state.best_model, codec), codec.encode({"noise_x": noise[:, 0], "noise_y": noise[:, 1]}))
    wanted = np.stack([true["x"], true["y"]], axis=1)
    np.testing.assert_allclose(outputs["point"].mean(0), wanted.mean(0), atol=0.2)
    np.testing.assert_allclose(np.cov(outputs["point"].T), np.cov(wanted.T), atol=0.25)


def test_an_objective_moves_its_own_parameters_only() -> None:
    """Judge frozen by taking its objective away: the forger's loss goes through it, and leaves neither a change nor a gradient."""

    class ForgerOnly(Adversaries):
        def objectives(self, model: nn.Module) -> tuple[Objective, ...]:
            return Adversaries.objectives(self, model)[1:]

    codec = PointCodec()
    state = begin(ForgerOnly(), codec, SETTINGS)
    before = [p.clone() for p in state.model["judge"].parameters()]
    next(steps(ForgerOnly(), state, codec.encode(points()), SETTINGS))
    assert all(torch.equal(a, b) and b.grad is None for a, b in zip(before, state.model["judge"].parameters(), strict=True))
    assert all(p.grad is not None for p in state.model["forger"].parameters())
