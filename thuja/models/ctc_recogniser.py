"""A speech recogniser: spectrogram, subsampling, conformer layers, and for every frame the probability of each token or of nothing new.

Source: Gulati et al. 2020, arXiv 2005.08100 (the encoder), Graves et al. 2006 (the output); see `thuja.blocks.conformer` and `thuja.losses.ctc`.
"""

from collections.abc import Sequence
from typing import Annotated, Literal, Self

import torch
from pydantic import BaseModel, ConfigDict, Field, PositiveInt, model_validator
from torch import Tensor, nn

from thuja.blocks.conformer import ConformerLayer, Subsampling
from thuja.blocks.spectrogram import LogMel, inside

FULL_SCALE = 32768.0
Share = Annotated[float, Field(ge=0, lt=1)]


class CtcRecogniser(BaseModel):
    """Sizes of the recogniser."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    kind: Literal["ctc-recogniser"] = "ctc-recogniser"
    bands: Annotated[int, Field(ge=8, le=128)] = 40
    """Steps of pitch of the spectrogram; 80 for wide-band recordings."""
    subsampling: Literal[2, 4] = 4
    """Frames of 10 ms that become one: 2 for fast speech in single characters."""
    dim: PositiveInt = 64
    """Numbers that stand for a frame, in every layer."""
    depth: PositiveInt = 3
    """Conformer layers."""
    heads: PositiveInt = 4
    """Attentions side by side; `dim / heads` must be even."""
    hidden: PositiveInt = 128
    """Width of the two networks of a layer."""
    kernel: Annotated[int, Field(ge=3)] = 15
    """Frames that a convolution sees; odd."""
    dropout: Share = 0.1

    @model_validator(mode="after")
    def _possible(self) -> Self:
        if self.dim % (2 * self.heads):
            raise ValueError(f"dim must be a multiple of 2 * heads = {2 * self.heads}, not {self.dim}")
        if self.kernel % 2 == 0:
            raise ValueError(f"kernel must be odd, not {self.kernel}")
        return self

    def build(self, rate: int, tokens: int, mean: Sequence[float], std: Sequence[float]) -> "CtcRecogniserNet":
        """`rate`: samples a second. `tokens`: the blank included. `mean`, `std`: of each band over the training rows."""
        return CtcRecogniserNet(self, rate, tokens, (mean, std))


class CtcRecogniserNet(nn.Module):
    """Samples in 16-bit units [B, T] and lengths int64 [B] to log-probabilities [B, F, tokens], of which the first `places` of each row count."""

    mean: Tensor
    scale: Tensor

    def __init__(self, settings: CtcRecogniser, rate: int, tokens: int, statistics: tuple[Sequence[float], Sequence[float]]) -> None:
        super().__init__()
        s = self.settings = settings
        self.spectrogram = LogMel(rate, s.bands)
        self.register_buffer("mean", torch.tensor(statistics[0], dtype=torch.float32))
        self.register_buffer("scale", 1 / torch.tensor(statistics[1], dtype=torch.float32).clamp(min=0.1))
        self.subsampling = Subsampling(s.bands, s.dim, s.subsampling)
        self.dropout = nn.Dropout(s.dropout)
        self.layers = nn.ModuleList(ConformerLayer(s.dim, s.heads, s.hidden, s.kernel, s.dropout) for _ in range(s.depth))
        self.head = nn.Linear(s.dim, tokens)

    def features(self, samples: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """The spectrogram [B, ceil(T / hop), bands], each band of mean 0 and variance 1 over the training rows, and its frames, int64 [B]."""
        spectrogram = (self.spectrogram(samples.float() / FULL_SCALE) - self.mean) * self.scale
        return spectrogram, (lengths + self.spectrogram.hop - 1) // self.spectrogram.hop

    def recognise(self, spectrogram: Tensor, frames: Tensor) -> tuple[Tensor, Tensor]:
        """From `features` to log-probabilities [B, F, tokens] and how many of them count, int64 [B]."""
        places = self.subsampling.lengths(frames)
        x = self.dropout(self.subsampling(spectrogram, frames))
        mask = inside(places, x.shape[1])
        for layer in self.layers:
            x = layer(x, mask)
        return self.head(x).float().log_softmax(-1), places

    def forward(self, samples: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Both in turn."""
        return self.recognise(*self.features(samples, lengths))
