"""A network that says in which direction a noisy picture has to go, for flow matching: a U-Net that is told the time and the class.

The path from noise n to a picture d is straight, x = (1 - t) n + t d, and its velocity is d - n. Where pictures have variance 1, the best guess of it that is
linear in x is (2 t - 1) / D x with D = t^2 + (1 - t)^2, and what is left has variance 1 / D. So the network is given x / sqrt(D), answers for what is left at
one scale, ((1 - t) d - t n) / sqrt(D), and the velocity is put together from both: no time is harder than another because of its units.

Source: flow matching with straight paths, Lipman et al. 2023, arXiv 2210.02747, and Liu et al. 2023, arXiv 2209.03003; U-Net, Ronneberger et al. 2015, arXiv
1505.04597; residual blocks told time and class, Dhariwal and Nichol 2021, arXiv 2105.05233; one scale for all times, Karras et al. 2022, arXiv 2206.00364,
section 5, which for straight paths is the target of Salimans and Ho 2022, arXiv 2202.00512, appendix D. Differs: pictures are first folded, so that 2 x 2
pixels are one place with four times the channels, which on a CPU saves three quarters of the work at the finest level; what a level hands across is added,
not put beside.
"""

import itertools
from typing import Annotated, Literal, cast

import torch
from pydantic import Field, PositiveInt
from torch import Tensor, nn
from torch.nn import functional

from thuja.blocks.condition import AdaptiveNorm, TimeEmbedding
from thuja.blocks.convolution import convolution
from thuja.settings import Section, Share

Width = Annotated[int, Field(gt=0, multiple_of=16)]


class UNetVelocity(Section):
    """Flow matching: noise becomes a picture in a few steps along a learned velocity. Slower to answer than a GAN, and much easier to train."""

    kind: Literal["flow"] = "flow"
    width: Width = 64
    """Channels of the first level; the second has twice as many, the third three times."""
    levels: Annotated[int, Field(ge=1, le=4)] = 2
    """Each half the size of the one before."""
    blocks: PositiveInt = 2
    """Residual blocks of each level on the way down, and as many on the way up."""
    fold: Literal[1, 2, 4] = 2
    """Side of the squares of pixels that are one place."""
    steps: Annotated[int, Field(ge=1, le=256)] = 8
    """From noise to picture; more are slower, and finer up to some point."""
    solver: Literal["heun", "euler"] = "heun"
    """heun: each step is taken twice, the second time with the mean of the velocities at both ends. euler: once."""
    guidance: Annotated[float, Field(ge=0, le=8)] = 1.5
    """Where a request says nothing. 1: the class is only told; more: the difference that it makes is exaggerated, for plainer and less varied pictures."""
    unlabelled: Share = 0.1
    """Share of the training pictures whose class is not told, so that the difference it makes is known."""

    def build(self, channels: int, classes: int) -> "UNetVelocityNet":
        """Fresh weights for pictures of so many channels."""
        return UNetVelocityNet(self, channels, classes)


class Block(nn.Module):
    """x + two 3x3 convolutions, each after a norm that is told the condition and an activation; it begins as the identity."""

    def __init__(self, channels: int, dim: int) -> None:
        super().__init__()
        self.norms = nn.ModuleList(AdaptiveNorm(channels, dim) for _ in range(2))
        self.convolutions = nn.ModuleList(convolution(channels, channels) for _ in range(2))
        nn.init.zeros_(self.convolutions[1].get_parameter("weight"))

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        """[B, C, H, W] and [B, dim] to [B, C, H, W]."""
        kept = x
        for norm, mix in zip(self.norms, self.convolutions, strict=True):
            x = mix(functional.silu(norm(x, condition)))
        return kept + x


class UNetVelocityNet(nn.Module):
    """Noisy pictures float32 [B, channels, H, W], times [B] from 0 (noise) to 1 (picture) and classes int64 [B] to velocities [B, channels, H, W].

    The class `classes`, one after the last, stands for "any".
    """

    def __init__(self, settings: UNetVelocity, channels: int, classes: int) -> None:
        super().__init__()
        self.fold, self.levels, self.classes = settings.fold, settings.levels, classes
        widths = [settings.width * (level + 1) for level in range(settings.levels)]
        dim = 4 * settings.width
        self.time, self.label = TimeEmbedding(dim), nn.Embedding(classes + 1, dim)
        nn.init.normal_(self.label.weight, std=0.5)
        folded = channels * self.fold**2
        self.stem = convolution(folded, widths[0], bias=True)
        self.down = nn.ModuleList(nn.ModuleList(Block(width, dim) for _ in range(settings.blocks)) for width in widths)
        self.up = nn.ModuleList(nn.ModuleList(Block(width, dim) for _ in range(settings.blocks)) for width in widths)
        self.shrink = nn.ModuleList(convolution(a, b, stride=2, bias=True) for a, b in itertools.pairwise(widths))
        self.grow = nn.ModuleList(convolution(b, a, kernel=1) for a, b in itertools.pairwise(widths))
        self.norm = AdaptiveNorm(widths[0], dim)
        self.head = convolution(widths[0], folded, bias=True)
        nn.init.zeros_(self.head.weight)
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(self, x: Tensor, time: Tensor, label: Tensor) -> Tensor:
        """See the class."""
        along = time[:, None, None, None]
        size = along.square() + (1 - along).square()
        rest = self.rest(x * size.rsqrt(), time, label)
        return (2 * along - 1) / size * x + size.rsqrt() * rest

    def rest(self, x: Tensor, time: Tensor, label: Tensor) -> Tensor:
        """What no linear guess can know, at one scale for all times: from a noisy picture of variance 1."""
        condition = functional.silu(self.time(time) + self.label(label))
        height, width = x.shape[2:]
        step = self.fold * 2 ** (self.levels - 1)
        x = functional.pad(x, (0, -width % step, 0, -height % step))
        x = self.stem(functional.pixel_unshuffle(x, self.fold))
        kept = []
        for level, blocks in enumerate(self.down):
            x = self.shrink[level - 1](x) if level else x
            for block in cast(nn.ModuleList, blocks):
                x = block(x, condition)
            kept.append(x)
        for level in reversed(range(self.levels)):
            if level < self.levels - 1:
                x = kept[level] + functional.interpolate(self.grow[level](x), scale_factor=2.0)
            for block in cast(nn.ModuleList, self.up[level]):
                x = block(x, condition)
        x = self.head(functional.silu(self.norm(x, condition)))
        return functional.pixel_shuffle(x, self.fold)[:, :, :height, :width]


def path_loss(net: UNetVelocityNet, pictures: Tensor, label: Tensor, rng: torch.Generator, unlabelled: float) -> Tensor:
    """Mean squared error of `rest`: pictures standardised [B, C, H, W], each at a random time with fresh noise, some without their class.

    Times are the sigmoid of normal numbers (Esser et al. 2024, arXiv 2403.03206, section 3.1), drawn one from each of B strips of equal probability (Kingma et
    al. 2021, arXiv 2107.00630, appendix I.1): the middle of the way, where the class is decided, is seen most, and losses vary less from batch to batch.
    """
    rows, device = len(pictures), pictures.device
    strips = (torch.arange(rows, device=device) + torch.rand(rows, generator=rng, device=device)) / rows
    time = torch.special.ndtri(strips.clamp(1e-5, 1 - 1e-5)).sigmoid()
    time = time[torch.randperm(rows, generator=rng, device=device)]
    noise = torch.randn(pictures.shape, generator=rng, device=device)
    dropped = torch.rand(rows, generator=rng, device=device) < unlabelled
    label = torch.where(dropped, net.classes, label)
    along = time[:, None, None, None]
    scale = (along.square() + (1 - along).square()).rsqrt()
    found = net.rest(scale * (along * pictures + (1 - along) * noise), time, label)
    return functional.mse_loss(found.float(), scale * ((1 - along) * pictures - along * noise))
