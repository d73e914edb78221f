"""U-Net: a path down, on which places become fewer and channels more, and a path up again that is given what each step down has seen.

Source: Ronneberger, Fischer and Brox 2015, arXiv 1505.04597. Differs: convolutions keep the size and are followed by batch normalisation (as in Cicek et al.
2016, arXiv 1606.06650); the way up repeats places (nearest) and convolves, after Odena et al. 2016, "Deconvolution and checkerboard artifacts"; with `patch`
above 1 the network works on squares of pixels and gives a class to each of their pixels, by the rearrangement of Shi et al. 2016, arXiv 1609.05158.
"""

from itertools import pairwise
from typing import Annotated, Literal

import torch
from pydantic import Field, PositiveInt
from torch import Tensor, nn
from torch.nn import functional as F

from thuja.blocks.convolution import convolution, convolution_block
from thuja.blocks.initialisation import Rule, he_, initialise
from thuja.settings import Section

INITIALISATION: dict[type[nn.Module], Rule] = {nn.Conv2d: he_}


class UNet(Section):
    """A U-Net; one level a width."""

    kind: Literal["unet"] = "unet"
    widths: Annotated[tuple[PositiveInt, ...], Field(min_length=2, max_length=7)] = (16, 32, 64, 128)
    """Channels of each level, from the picture's own size to the coarsest; every level halves height and width."""
    depth: PositiveInt = 2
    """Convolutions of 3 x 3 at each level, on the way down and on the way up."""
    patch: Literal[1, 2, 4] = 1
    """Pixels along the side of the squares that the first level works on: 2 takes a quarter of the time and draws thin lines nearly as well."""

    @property
    def align(self) -> int:
        """Height and width must be a multiple of this."""
        return self.patch << (len(self.widths) - 1)

    @property
    def reach(self) -> int:
        """Pixels beyond which nothing changes an answer: those of the convolutions on both ways, at the size of their level, and what lies between the corners
        of a coarse place."""
        levels = [self.patch << level for level in range(len(self.widths))]
        return self.depth * (2 * sum(levels) - levels[-1]) + levels[-1]

    def build(self, channels: int, classes: int) -> "UNetwork":
        """Fresh weights."""
        return UNetwork(self, channels, classes)


class UNetwork(nn.Module):
    """float32 [B, channels, H, W], standardised, to logits [B, classes, H, W]; H and W are multiples of `settings.align`."""

    def __init__(self, settings: UNet, channels: int, classes: int) -> None:
        super().__init__()
        widths, square = settings.widths, settings.patch**2
        self.patch = settings.patch
        self.down = nn.ModuleList([stack(i, o, settings.depth) for i, o in pairwise((channels * square, *widths))])
        self.up = nn.ModuleList([stack(low + high, high, settings.depth) for high, low in pairwise(widths)])
        self.head = convolution(widths[0], classes * square, kernel=1, bias=True)
        initialise(self, INITIALISATION)
        nn.init.normal_(self.head.weight, std=0.1)  # at first, no class is much likelier than another
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(self, x: Tensor) -> Tensor:
        """Logits."""
        x = F.pixel_unshuffle(x, self.patch) if self.patch > 1 else x
        seen: list[Tensor] = []
        for level, block in enumerate(self.down):
            x = block(F.max_pool2d(x, 2) if level else x)
            seen.append(x)
        for block, before in zip(reversed(self.up), reversed(seen[:-1]), strict=True):
            x = block(torch.cat([F.interpolate(x, scale_factor=2.0, mode="nearest"), before], dim=1))
        logits: Tensor = self.head(x)
        return F.pixel_shuffle(logits, self.patch) if self.patch > 1 else logits


def stack(inputs: int, outputs: int, depth: int) -> nn.Sequential:
    """`depth` convolutions with normalisation and activation."""
    return nn.Sequential(*[convolution_block(inputs if i == 0 else outputs, outputs) for i in range(depth)])
