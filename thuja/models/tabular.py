"""A network for tables: piecewise-linear embeddings of numbers, embeddings of categories, and an ensemble of MLPs that share their weights.

Source: Gorishniy, Kotelnikov, Babenko, "TabM: Advancing tabular deep learning with parameter-efficient ensembling", ICLR 2025, arXiv:2410.24210
(TabM-mini: the members differ by a multiplicative adapter of the embedded row and by their heads, and share every matrix). Deviations: members also own
their biases; categories are embedded rather than one-hot; a dropout mask is shared by the members (drawing one for each cost a third of a step on a CPU);
sizes fit two cores (8 members of width 192, where the paper has 32 of 512).
"""

from itertools import pairwise
from typing import Annotated, Literal, NamedTuple

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict, Field, PositiveInt
from torch import Tensor, nn

from thuja.blocks.numeric import PiecewiseLinear


class Tabular(BaseModel):
    """Sizes of the table network."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    kind: Literal["tabular"] = "tabular"
    members: PositiveInt = 8
    """MLPs in the ensemble; they share their matrices."""
    width: PositiveInt = 192
    """Neurons of a hidden layer."""
    depth: PositiveInt = 2
    """Hidden layers."""
    embedding: PositiveInt = 16
    """Length of the vector that stands for one column."""
    bins: PositiveInt = 96
    """Pieces of the piecewise-linear embedding of a number, between quantiles of the training rows."""
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.1
    """Share of hidden neurons that are silent in a training step."""


class Range(NamedTuple):
    """Of a regression target over the training rows, in its unit."""

    mean: float = 0.0
    std: float = 1.0
    lower: float = -float("inf")
    upper: float = float("inf")


STANDARD = Range()


class TabularNet(nn.Module):
    """numbers float32 [B, n] and categories int64 [B, c] to scores float32 [B, members, outputs]: logits, or standardised values."""

    first_id: Tensor
    range: Tensor

    def __init__(self, settings: Tabular, quantiles: list[np.ndarray], sizes: list[int], outputs: int, range: Range = STANDARD) -> None:
        """`quantiles`: for each number, evenly spaced ones; `sizes`: for each category, how many ids it has, 0 included; `outputs`: classes, or 1."""
        super().__init__()
        s, widths = settings, [(len(quantiles) + len(sizes)) * settings.embedding] + [settings.width] * settings.depth
        self.dropout = s.dropout
        self.register_buffer("range", torch.tensor(range))  # kept with the weights, like every other constant
        self.register_buffer("first_id", torch.tensor([sum(sizes[:c]) for c, _ in enumerate(sizes)], dtype=torch.int64))
        self.numbers = PiecewiseLinear(quantiles, s.bins, s.embedding) if quantiles else None
        self.categories = nn.Embedding(sum(sizes), s.embedding) if sizes else None
        if self.categories is not None:
            _uniform(self.categories.weight, s.embedding)
        scales = torch.randn(s.members, len(quantiles) + len(sizes), 1).expand(-1, -1, s.embedding)
        self.adapter = nn.Parameter(scales.reshape(s.members, 1, -1).clone())  # one scale a member and column to begin with
        self.layers = nn.ModuleList(nn.Linear(i, o, bias=False) for i, o in pairwise(widths))
        self.biases = nn.ParameterList(_uniform(torch.empty(s.members, 1, o), i) for i, o in pairwise(widths))
        self.head = nn.Parameter(_uniform(torch.empty(s.members, s.width, outputs), s.width))
        self.head_bias = nn.Parameter(torch.zeros(s.members, 1, outputs))
        for parameter in (self.adapter, *self.biases, self.head, self.head_bias):
            parameter.hidden = False  # stacks of vectors, which Muon would take for matrices

    def forward(self, numbers: Tensor | None, categories: Tensor | None) -> Tensor:
        """Scores [B, members, outputs] of each member. An argument is None where the table has no such columns."""
        parts = []
        if self.numbers is not None:
            assert numbers is not None
            parts.append(self.numbers(numbers).flatten(1))
        if self.categories is not None:
            assert categories is not None
            parts.append(self.categories(categories + self.first_id).flatten(1))
        x = torch.cat(parts, dim=1) * self.adapter  # [members, B, columns * embedding]
        for layer, bias in zip(self.layers, self.biases, strict=True):
            x = torch.relu(layer(x) + bias)
            if self.training and self.dropout:
                x = x * torch.empty_like(x[:1]).bernoulli_(1 - self.dropout).div_(1 - self.dropout)
        return torch.baddbmm(self.head_bias, x, self.head).transpose(0, 1)

    def standardised(self, target: Tensor) -> Tensor:
        """A regression target [B] as the members see it."""
        return (target - self.range[0]) / self.range[1]

    def value(self, scores: Tensor) -> Tensor:
        """The answer [B] in the target's unit: the mean over the members, never outside what training rows showed."""
        return torch.clamp(scores.mean(dim=1).squeeze(1) * self.range[1] + self.range[0], self.range[2], self.range[3])


def _uniform(weight: Tensor, fan_in: int) -> Tensor:
    return nn.init.uniform_(weight, -(fan_in**-0.5), fan_in**-0.5)
