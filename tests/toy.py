"""A small real application for tests of the engine: points inside or outside a ring, with dropout, augmentation, batch normalisation and noise in the loss."""

from collections.abc import Sequence
from typing import Any, Literal, Self

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from thuja.codec import Arrays, Codec, Columns, Rows
from thuja.core.errors import BadRows, DataError, ThujaError
from thuja.fields import Category, Number, Schema
from thuja.task import Batch, Goal, Loss, Program, Source, Task


class RingCodec(Codec):
    kind: Literal["ring"] = "ring"
    names: tuple[str, ...] = ("inside", "outside")

    def schema(self) -> Schema:
        return Schema(inputs={"x": Number(), "y": Number()}, outputs={"label": Category(names=self.names)})

    def encode(self, rows: Rows) -> Columns:
        bad: dict[int, ThujaError] = {}
        fields = self.schema().inputs
        for name in ("x", "y"):
            if name not in rows:
                raise DataError(name, expected="a column of this name", found="none")
            for i, value in enumerate(rows[name]):
                try:
                    fields[name].check(value, f"rows[{i}].{name}")
                except DataError as error:
                    bad.setdefault(i, error)
        if bad:
            raise BadRows(bad)
        columns: Columns = {"point": np.stack([np.asarray(rows[n], np.float32) for n in ("x", "y")], axis=1)}
        if "side" in rows:
            columns["side"] = np.array([self.names.index(v) for v in rows["side"]], np.int64)
        return columns

    def decode(self, outputs: Arrays) -> dict[str, list[Any]]:
        return {"label": [self.names[i] for i in outputs["probability"].argmax(axis=1)]}


class Answer(nn.Module):
    def __init__(self, body: nn.Module) -> None:
        super().__init__()
        self.body = body

    def forward(self, point: Tensor) -> Tensor:
        return self.body(point).softmax(dim=1)


class Ring(Task):
    kind: Literal["ring"] = "ring"
    width: int = 32
    dropout: float = 0.1
    noise: float = 0.02
    norm: bool = True

    def prepare(self, source: Source) -> tuple[Self, RingCodec]:
        return self, RingCodec()

    def build(self, codec: Codec) -> nn.Module:
        layers: Sequence[nn.Module] = [nn.Linear(2, self.width), nn.ReLU(), nn.BatchNorm1d(self.width) if self.norm else nn.Identity(),
                                       nn.Linear(self.width, self.width), nn.ReLU(), nn.Dropout(self.dropout), nn.Linear(self.width, 2)]
        return nn.Sequential(*layers)

    def loss(self, model: nn.Module, batch: Batch, rng: torch.Generator) -> Loss:
        logits = model(batch["point"])
        logits = logits + self.noise * torch.randn(logits.shape, generator=rng)
        return Loss(cross_entropy(logits, batch["side"]), {"size": logits.square().mean()})

    def augment(self, batch: Batch, rng: torch.Generator) -> Batch:
        return batch | {"point": batch["point"] + self.noise * torch.randn(batch["point"].shape, generator=rng)}

    def programs(self, model: nn.Module, codec: Codec) -> dict[str, Program]:
        return {"predict": Program(Answer(model).eval(), ("point",), ("probability",))}

    @property
    def goal(self) -> Goal:
        return Goal("accuracy", "max")

    @property
    def targets(self) -> tuple[str, ...]:
        return ("side",)


def rows(count: int, seed: int = 0) -> dict[str, list[Any]]:
    """Raw rows, half of them inside."""
    rng = np.random.default_rng(seed)
    angle, radius = rng.uniform(0, 2 * np.pi, count), np.where(np.arange(count) % 2 == 0, rng.uniform(0, 1, count), rng.uniform(1.2, 2, count))
    return {"x": (radius * np.cos(angle)).tolist(), "y": (radius * np.sin(angle)).tolist(), "side": ["inside", "outside"] * (count // 2)}


def columns(count: int, seed: int = 0) -> Columns:
    """Encoded rows."""
    return RingCodec().encode(rows(count, seed))
