"""A generator fits the contract: no input, noise drawn in the loss from the step's generator, and a program that integrates the flow from given noise.

Conditional flow matching with straight paths (Lipman et al. 2023, arXiv 2210.02747).
"""

from typing import Literal, Self

import numpy as np
import torch
from points import PointCodec
from torch import Tensor, nn
from torch.nn.functional import mse_loss

from thuja.codec import Codec
from thuja.settings import AdamW, Train
from thuja.task import Batch, Goal, Loss, Program, Source, Task
from thuja.training.look import answers
from thuja.training.loop import begin, steps


class Flow(nn.Module):
    """The answer for noise: the flow's end, by 40 Euler steps."""

    def __init__(self, velocity: nn.Module) -> None:
        super().__init__()
        self.velocity = velocity

    def forward(self, noise: Tensor) -> Tensor:
        for i in range(40):
            noise = noise + self.velocity(torch.cat([noise, torch.full_like(noise[:, :1], i / 40)], dim=1)) / 40
        return noise


class Generation(Task):
    kind: Literal["generation"] = "generation"

    def prepare(self, source: Source) -> tuple[Self, PointCodec]:
        return self, PointCodec()

    def build(self, codec: Codec) -> nn.Module:
        return nn.Sequential(nn.Linear(3, 64), nn.SiLU(), nn.Linear(64, 64), nn.SiLU(), nn.Linear(64, 64), nn.SiLU(), nn.Linear(64, 2))

    def loss(self, model: nn.Module, batch: Batch, rng: torch.Generator) -> Loss:
        point = batch["point"]
        noise = torch.randn(point.shape, generator=rng)
        time = torch.rand(len(point), 1, generator=rng)
        return Loss(mse_loss(model(torch.cat([noise + time * (point - noise), time], dim=1)), point - noise))

    def programs(self, model: nn.Module, codec: Codec) -> dict[str, Program]:
        return {"predict": Program(Flow(model).eval(), ("noise",), ("point",))}

    @property
    def goal(self) -> Goal:
        return Goal("loss", "min")


def test_a_flow_turns_noise_into_a_ring() -> None:
    angle = np.random.default_rng(0).uniform(0, 2 * np.pi, 2000)
    task, codec = Generation(), PointCodec()
    columns = codec.encode({"x": 2 * np.cos(angle), "y": 2 * np.sin(angle)})
    train = Train(steps=700, batch=256, optimizer=AdamW(learning_rate=5e-3), schedule="cosine", warmup=0.05, ema=0.99, device="cpu")
    state = begin(task, codec, train)
    for _ in steps(task, state, columns, train):
        pass
    noise = np.random.default_rng(1).standard_normal((500, 2))
    outputs = answers(task.programs(state.best_model, codec), codec.encode({"noise_x": noise[:, 0], "noise_y": noise[:, 1]}))
    radius = np.hypot(*outputs["point"].T)
    around = np.histogram(np.arctan2(outputs["point"][:, 1], outputs["point"][:, 0]), bins=8, range=(-np.pi, np.pi))[0]
    assert np.mean(np.abs(radius - 2) < 0.3) > 0.85  # of the noise itself: 15 %
    assert around.min() > 500 / 8 / 3  # every direction is there
