"""The programs of a generator: for a flow, noise from the seed and then a step at a time along the velocity; for a GAN, a single pass.

Steps are a program of their own, repeated from outside (`thuja.codec.repeated`), and not unrolled in one graph: the graph then holds the network twice rather
than sixteen times, which export, scan and load feel; a server joins the steps of different requests and lets a short one through between those of a long one;
and what the state shows on its way is the picture that the flow is heading for. What it costs is a picture handed out and in at each step.
"""

import math

import torch
from torch import Tensor, nn

from thuja.apps.image_generation.codec import GUIDANCE, SEED
from thuja.blocks.noise import normal
from thuja.blocks.normalisation import Standardise
from thuja.models.gan import GanNet
from thuja.models.unet_velocity import UNetVelocity, UNetVelocityNet
from thuja.task import Program

FLOW, FORGER = 1, 2
"""Streams of noise, so that the two kinds never share one."""


class Generator(nn.Module):
    """What is trained: pixels to standardised pictures, and the network."""

    def __init__(self, standardise: Standardise, network: UNetVelocityNet | GanNet, shape: tuple[int, int, int]) -> None:
        """`shape`: channels, height, width."""
        super().__init__()
        self.standardise, self.network, self.shape = standardise, network, shape

    def pixels(self, x: Tensor) -> Tensor:
        """Standardised pictures [B, C, H, W] to uint8 [B, H, W, C]."""
        scale, shift = self.standardise.scale, self.standardise.shift
        levels = (x.permute(0, 2, 3, 1) - shift) / scale
        return levels.round().clamp(0, 255).to(torch.uint8)


class Begin(nn.Module):
    """Class, seed and strength of guidance [B] to the first state: noise, and a picture of nothing yet."""

    def __init__(self, generator: Generator) -> None:
        super().__init__()
        self.generator = generator

    def forward(self, label: Tensor, seed: Tensor, guidance: Tensor) -> tuple[Tensor, ...]:
        """`image`, `done`, then what only `Step` reads: the noisy picture, the number of steps made, class and strength."""
        noise = normal(seed, FLOW, math.prod(self.generator.shape)).view(-1, *self.generator.shape)
        return self.generator.pixels(0 * noise), seed < 0, noise, torch.zeros_like(seed), label.clone(), guidance.clone()


class Step(nn.Module):
    """One step along the velocity for every row that is not done."""

    def __init__(self, generator: Generator, settings: UNetVelocity) -> None:
        super().__init__()
        self.generator, self.steps, self.heun = generator, settings.steps, settings.solver == "heun"

    def forward(self, image: Tensor, done: Tensor, x: Tensor, place: Tensor, label: Tensor, guidance: Tensor) -> tuple[Tensor, ...]:
        """The state to what of it changes: `image`, `done`, the noisy picture and the number of steps made."""
        length = 1.0 / self.steps
        time = place.float() * length
        velocity = self.velocity(x, time, label, guidance)
        if self.heun:
            ahead = self.velocity(x + length * velocity, (time + length).clamp(max=1.0), label, guidance)
            velocity = (velocity + ahead) / 2
        moving = ~done[:, None, None, None]
        heading = x + (1 - time)[:, None, None, None] * velocity
        x, place = torch.where(moving, x + length * velocity, x), torch.where(done, place, place + 1)
        return torch.where(moving, self.generator.pixels(heading), image), place >= self.steps, x, place

    def velocity(self, x: Tensor, time: Tensor, label: Tensor, guidance: Tensor) -> Tensor:
        """Guided: away from where pictures of any class go. Both are asked together, as one batch of twice the rows."""
        network = self.generator.network
        assert isinstance(network, UNetVelocityNet)
        labels = torch.cat([label, torch.full_like(label, network.classes)])
        both = network(torch.cat([x, x]), torch.cat([time, time]), labels)
        told, untold = both[: x.shape[0]], both[x.shape[0] :]  # `chunk` would fix the number of rows in the graph
        guided: Tensor = untold + guidance[:, None, None, None] * (told - untold)
        return guided


class Forge(nn.Module):
    """Class and seed [B] to `image`."""

    def __init__(self, generator: Generator) -> None:
        super().__init__()
        self.generator = generator

    def forward(self, label: Tensor, seed: Tensor) -> Tensor:
        """uint8 [B, H, W, C]."""
        network = self.generator.network
        assert isinstance(network, GanNet)
        return self.generator.pixels(network.forger(normal(seed, FORGER, network.settings.noise), label))


STATE = ("image", "done", "_x", "_place", "_label", "_guidance")


def programs(generator: Generator, label: str, image: str, settings: UNetVelocity | None) -> dict[str, Program]:
    """`predict`, and `step` for a flow, whose `settings` are given. `label` and `image` are names of columns."""
    if settings is None:
        return {"predict": Program(Forge(generator).eval(), (label, SEED), (image,))}
    state = (image, *STATE[1:])
    return {"predict": Program(Begin(generator).eval(), (label, SEED, GUIDANCE), state), "step": Program(Step(generator, settings).eval(), state, state[:4])}
