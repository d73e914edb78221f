"""A forger that makes pictures of noise in one pass, and a critic that learns to tell them from real ones.

The critic compares: a real picture should score above a made one beside it, and the forger wants the opposite. So no score runs away, and with the slope of
the critic held small both on real and on made pictures the game settles, without the tricks that older networks needed: no batch norm, no momentum.

Source: Goodfellow et al. 2014, arXiv 1406.2661; the comparing loss, Jolicoeur-Martineau 2018, arXiv 1807.00734; the slopes, Mescheder et al. 2018, arXiv
1801.04406; both together with residual networks that have no norms, Huang et al. 2024, arXiv 2501.05441 (R3GAN); the class as a direction that features are
projected on, Miyato and Koyama 2018, arXiv 1802.05637. Differs: plain 3x3 convolutions instead of grouped ones between 1x1, nearest and mean in place of
bilinear resampling, which CPUs do faster.
"""

import itertools
from typing import Annotated, Literal

import torch
from pydantic import Field, NonNegativeFloat, PositiveInt
from torch import Tensor, nn
from torch.nn import functional

from thuja.blocks.convolution import convolution
from thuja.settings import Section

Width = Annotated[int, Field(gt=0, multiple_of=8)]


class Gan(Section):
    """A generative adversarial network: answers in a single pass, in a few milliseconds; its pictures are crisp and less varied than those of a flow."""

    kind: Literal["gan"] = "gan"
    width: Width = 32
    """Channels at full size; each halving of the size doubles them."""
    noise: PositiveInt = 64
    """Random numbers that a picture is made of."""
    halvings: Annotated[int, Field(ge=1, le=5)] = 2
    """How often the size is halved: pictures of 28 or 32 pixels begin as 7 or 8."""
    penalty: NonNegativeFloat = 1.0
    """Weight of the critic's squared slope; more is steadier and slower."""

    def build(self, channels: int, shape: tuple[int, int], classes: int) -> "GanNet":
        """Fresh weights for pictures of so many channels and this height and width."""
        return GanNet(self, channels, shape, classes)


class Residual(nn.Module):
    """x + two 3x3 convolutions, each after a leaky ReLU; it begins as the identity."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first, self.second = (convolution(channels, channels, bias=True) for _ in range(2))
        nn.init.zeros_(self.second.weight)

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, H, W] to the same shape."""
        body: Tensor = self.second(functional.leaky_relu(self.first(functional.leaky_relu(x, 0.2)), 0.2))
        return x + body


class Forger(nn.Module):
    """Noise float32 [B, noise] and classes int64 [B] to pictures [B, channels, height, width], standardised."""

    def __init__(self, settings: Gan, channels: int, shape: tuple[int, int], classes: int) -> None:
        super().__init__()
        self.shape, whole = shape, 2**settings.halvings
        self.small = tuple(-(-side // whole) for side in shape)
        widths = [settings.width * 2**level for level in reversed(range(settings.halvings + 1))]
        self.label = nn.Embedding(classes, settings.noise)
        self.begin = nn.Linear(2 * settings.noise, widths[0] * self.small[0] * self.small[1])
        self.stages = nn.ModuleList(Residual(width) for width in widths)
        self.narrow = nn.ModuleList(convolution(a, b, kernel=1) for a, b in itertools.pairwise(widths))
        self.head = convolution(widths[-1], channels, bias=True)
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(self, noise: Tensor, label: Tensor) -> Tensor:
        """See the class."""
        x = self.begin(torch.cat([noise, self.label(label)], dim=1)).unflatten(1, (-1, *self.small))
        for level, stage in enumerate(self.stages):
            x = stage(functional.interpolate(self.narrow[level - 1](x), scale_factor=2.0) if level else x)
        pictures: Tensor = self.head(functional.leaky_relu(x, 0.2))
        return pictures[:, :, : self.shape[0], : self.shape[1]]


class Critic(nn.Module):
    """Pictures [B, channels, H, W], standardised, and classes int64 [B] to scores [B]: the higher, the more like a real one of this class."""

    def __init__(self, settings: Gan, channels: int, shape: tuple[int, int], classes: int) -> None:
        super().__init__()
        whole = 2**settings.halvings
        self.padding = (0, -shape[1] % whole, 0, -shape[0] % whole)
        widths = [settings.width * 2**level for level in range(settings.halvings + 1)]
        self.stem = convolution(channels, widths[0], bias=True)
        self.stages = nn.ModuleList(Residual(width) for width in widths)
        self.widen = nn.ModuleList(convolution(a, b, kernel=1) for a, b in itertools.pairwise(widths))
        places = -(-shape[0] // whole) * -(-shape[1] // whole)
        self.summary = nn.Linear(widths[-1] * places, widths[-1])
        self.score, self.label = nn.Linear(widths[-1], 1), nn.Embedding(classes, widths[-1])
        nn.init.normal_(self.label.weight, std=widths[-1] ** -0.5)
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(self, pictures: Tensor, label: Tensor) -> Tensor:
        """See the class."""
        x = self.stem(functional.pad(pictures, self.padding))
        for level, stage in enumerate(self.stages):
            x = stage(functional.avg_pool2d(self.widen[level - 1](x), 2) if level else x)
        features = functional.leaky_relu(self.summary(functional.leaky_relu(x, 0.2).flatten(1)), 0.2)
        scores: Tensor = self.score(features).squeeze(1) + (features * self.label(label)).sum(dim=1)
        return scores


class GanNet(nn.Module):
    """Forger and critic."""

    def __init__(self, settings: Gan, channels: int, shape: tuple[int, int], classes: int) -> None:
        super().__init__()
        self.settings = settings
        self.forger, self.critic = Forger(settings, channels, shape, classes), Critic(settings, channels, shape, classes)


def critic_loss(net: GanNet, real: Tensor, label: Tensor, rng: torch.Generator) -> tuple[Tensor, Tensor]:
    """The critic's loss, and the mean squared slope in it: `real` [B, C, H, W] against as many made of fresh noise, class by class."""
    with torch.no_grad():
        made = net.forger(torch.randn(len(real), net.settings.noise, generator=rng, device=real.device), label)
    high, slope = _score(net.critic, real, label)
    low, other = _score(net.critic, made, label)
    slope = slope + other
    return functional.softplus(low - high).mean() + 0.5 * net.settings.penalty * slope, slope


@torch.enable_grad()  # a slope is wanted also where nothing is learned
def _score(critic: Critic, pictures: Tensor, label: Tensor) -> tuple[Tensor, Tensor]:
    """Scores [B], and the mean of their squared slope in the pixels."""
    pictures = pictures.detach().clone().requires_grad_()
    scores = critic(pictures, label)
    (slope,) = torch.autograd.grad(scores.sum(), pictures, create_graph=True)
    return scores, slope.square().flatten(1).sum(dim=1).mean()


def forger_loss(net: GanNet, real: Tensor, label: Tensor, rng: torch.Generator) -> Tensor:
    """The forger's loss: its pictures should score above the real ones beside them."""
    made = net.forger(torch.randn(len(real), net.settings.noise, generator=rng, device=real.device), label)
    with torch.no_grad():
        truth = net.critic(real, label)
    return functional.softplus(truth - net.critic(made, label)).mean()
