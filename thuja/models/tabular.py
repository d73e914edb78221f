"""A network for tables: piecewise-linear embeddings of numbers, embeddings of categories, and an ensemble of MLPs that share their weights.

Source: Gorishniy, Kotelnikov, Babenko, "TabM: Advancing tabular deep learning with parameter-efficient ensembling", ICLR 2025, arXiv:2410.24210 (TabM-mini: the
members differ by a multiplicative adapter of the embedded row and by their heads, and share every matrix). Deviations: members also own their biases; categories
are embedded rather than one-hot; sizes fit two cores (16 members of width 256, where the paper has 32 of 512).
"""

from itertools import pairwise
from typing import Literal

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict, PositiveInt
from torch import Tensor, nn

from thuja.blocks.numeric import PiecewiseLinear


class Tabular(BaseModel):
    """Sizes of the table network."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    kind: Literal["tabular"] = "tabular"
    members: PositiveInt = 16
    """MLPs in the ensemble; they share their matrices."""
    width: PositiveInt = 256
    """Neurons of a hidden layer."""
    depth: PositiveInt = 2
    """Hidden layers."""
    embedding: PositiveInt = 16
    """Numbers that stand for one column."""
    bins: PositiveInt = 48
    """Pieces of the piecewise-linear embedding of a number, between quantiles of the training rows."""
    dropout: float = 0.1


class TabularNet(nn.Module):
    """numbers float32 [B, n] and categories int64 [B, c] to scores float32 [B, members, outputs]: logits, or standardised values."""

    first_id: Tensor
    target_mean: Tensor
    target_std: Tensor

    def __init__(self, settings: Tabular, quantiles: list[np.ndarray], sizes: list[int], outputs: int, target: tuple[float, float] = (0.0, 1.0)) -> None:
        """`quantiles`: for each number, evenly spaced ones; `sizes`: for each category, its ids (0 included); `outputs`: classes, or 1; `target`: mean and
        standard deviation of a regression target, kept with the weights."""
        super().__init__()
        self.register_buffer("target_mean", torch.tensor(target[0], dtype=torch.float32))
        self.register_buffer("target_std", torch.tensor(target[1], dtype=torch.float32))
        s, columns = settings, len(quantiles) + len(sizes)
        self.numbers = PiecewiseLinear(quantiles, s.bins, s.embedding) if quantiles else None
        self.categories = nn.Embedding(sum(sizes), s.embedding) if sizes else None
        if self.categories is not None:
            nn.init.uniform_(self.categories.weight, -(s.embedding**-0.5), s.embedding**-0.5)
        self.register_buffer("first_id", torch.tensor(np.cumsum([0, *sizes[:-1]]) if sizes else [], dtype=torch.int64))
        signs = torch.randn(s.members, columns, 1).expand(-1, -1, s.embedding)
        self.adapter = nn.Parameter(signs.reshape(s.members, 1, -1).clone())
        widths = [columns * s.embedding] + [s.width] * s.depth
        self.layers = nn.ModuleList(nn.Linear(i, o, bias=False) for i, o in pairwise(widths))
        self.biases = nn.ParameterList(torch.empty(s.members, 1, o).uniform_(-(i**-0.5), i**-0.5) for i, o in pairwise(widths))
        self.dropout = nn.Dropout(s.dropout)
        self.head = nn.Parameter(torch.empty(s.members, s.width, outputs).uniform_(-(s.width**-0.5), s.width**-0.5))
        self.head_bias = nn.Parameter(torch.zeros(s.members, 1, outputs))

    def _drop(self, x: Tensor) -> Tensor:
        if not self.training or not self.dropout.p:
            return x
        keep = 1 - self.dropout.p
        return x * (torch.empty_like(x[:1]).bernoulli_(keep) / keep)

    def forward(self, numbers: Tensor | None, categories: Tensor | None) -> Tensor:
        """Scores [B, members, outputs] of each member."""
        parts = []
        if self.numbers is not None:
            assert numbers is not None
            parts.append(self.numbers(numbers).flatten(1))
        if self.categories is not None:
            assert categories is not None
            parts.append(self.categories(categories + self.first_id).flatten(1))
        x = torch.cat(parts, dim=1) * self.adapter  # [members, B, columns * embedding]
        for layer, bias in zip(self.layers, self.biases, strict=True):
            x = self._drop(torch.relu(layer(x) + bias))
        return torch.baddbmm(self.head_bias, x, self.head).transpose(0, 1)
