"""Whole series and arrays: one ragged column of steps. No torch."""

from collections.abc import Sequence
from functools import cached_property
from typing import Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, PositiveInt

from thuja.codec import Arrays, Codec, Columns, Ragged, Rows
from thuja.core.errors import BadRows, DataError, ThujaError, did_you_mean
from thuja.fields import AnyField, Category, Number, Schema, Scores, Series

STEPS = "steps"
LONGER = 4
"""Series up to so many times the longest of the training rows are taken."""
Problem = Literal["classes", "regression"]


class Channel(BaseModel):
    """One of the series of a row, as the training rows had it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    mean: float
    std: float
    """Positive; very large for a channel that never varies, which then says nothing."""
    edges: tuple[float, ...] = ()


class SeriesCodec(Codec):
    """The channels, what is said of them, and how much is read.

    Encodes `steps`, ragged float32 [all steps, channels + 1]: the values (NaN is a gap), and a last column of ones, so that padding with zeros can be told from
    measured zeros; and the target, int64 or float32 [rows].
    """

    kind: Literal["series"] = "series"
    channels: tuple[Channel, ...]
    target: str
    problem: Problem
    longest: PositiveInt
    """Steps of the longest training row."""
    window: int | None = None
    """Only the last so many steps are read; None: all."""
    names: tuple[str, ...] = ()
    """Classes in the order of the probabilities; of two, the last counts as positive."""
    mean: float = 0.0
    std: float = 1.0
    lower: float = 0.0
    upper: float = 0.0
    """Of a regression target, in its unit."""
    cap: float | None = None
    """Larger targets count as this."""

    @cached_property
    def fields(self) -> dict[str, Series]:
        """The series that go in, by name."""
        read = f"The last {self.window} steps are read; the latest is the last." if self.window else ""
        return {c.name: Series(most=LONGER * self.longest, edges=c.edges, description=read) for c in self.channels}

    def schema(self) -> Schema:  # type: ignore[override]
        """A series for each channel in; `label`, `probability` (of that label) and `probabilities`, or `value`, out."""
        inputs: dict[str, AnyField] = {**self.fields}
        if self.problem == "regression":
            return Schema(inputs=inputs, outputs={"value": Number(description=self.target)})
        label, probability = Category(names=self.names, description=self.target), Number(lower=0, upper=1, description="Of the label given.")
        return Schema(inputs=inputs, outputs={"label": label, "probability": probability, "probabilities": Scores(names=self.names)})

    def encode(self, rows: Rows) -> Columns:
        """Raises: BadRows for what is no series, for channels of different lengths, and for a missing or unknown target; DataError for an absent column."""
        bad: dict[int, ThujaError] = {}
        for name in self.fields:
            if name not in rows:
                raise DataError(name, expected="a column of this name", found=f"{len(rows)} others", fix=did_you_mean(name, rows))
        count = len(rows[self.channels[0].name])
        arrays = [self._steps(rows, i, bad) for i in range(count)]
        targets = self._targets(rows[self.target], bad) if self.target in rows else None
        if bad:
            raise BadRows(bad)
        offsets = np.concatenate([np.zeros(1, np.int64), np.cumsum([len(a) for a in arrays], dtype=np.int64)])
        columns: Columns = {STEPS: Ragged(np.concatenate(arrays) if arrays else np.zeros((0, len(self.channels) + 1), np.float32), offsets)}
        return columns if targets is None else columns | {self.target: targets}

    def decode(self, outputs: Arrays) -> dict[str, list[Any]]:
        """`probability` float [rows, classes] or `value` float [rows] as plain values."""
        if self.problem == "regression":
            return {"value": [float(v) for v in outputs["value"]]}
        probability = outputs["probability"]
        return {"label": [self.names[i] for i in probability.argmax(axis=1)], "probability": probability.max(axis=1).astype(float).tolist(),
                "probabilities": [dict(zip(self.names, row, strict=True)) for row in probability.astype(float).tolist()]}

    def _steps(self, rows: Rows, i: int, bad: dict[int, ThujaError]) -> np.ndarray:
        """float32 [steps, channels + 1] of a row; an empty one where it is bad."""
        found: list[np.ndarray] = []
        for name, field in self.fields.items():
            try:
                array = field.array(rows[name][i], f"rows[{i}].{name}")
            except DataError as error:
                bad.setdefault(i, error)
                return np.zeros((0, len(self.channels) + 1), np.float32)
            assert array is not None
            if found and len(array) != len(found[0]):
                bad.setdefault(i, DataError(f"rows[{i}].{name}", expected=f"{len(found[0])} values, as in {self.channels[0].name!r}", found=str(len(array)),
                                            fix="Give all series of a row the same length; a gap is null."))
                return np.zeros((0, len(self.channels) + 1), np.float32)
            found.append(array)
        kept = np.stack([*found, np.ones(len(found[0]))], axis=1)
        with np.errstate(over="ignore"):
            narrow = kept[-self.window if self.window else 0 :].astype(np.float32)
        if np.isinf(narrow).any():
            bad.setdefault(i, DataError(f"rows[{i}]", expected="numbers below 3e38", found=f"{np.nanmax(np.abs(kept)):g}", fix="Choose another unit."))
        return narrow

    def _targets(self, values: Sequence[Any], bad: dict[int, ThujaError]) -> np.ndarray:
        if self.problem == "regression":
            return self._amounts(values, bad)
        places = {name: i for i, name in enumerate(self.names)}
        out = np.zeros(len(values), np.int64)
        for i, value in enumerate(values):
            out[i] = places.get(class_name(value), -1)
            if out[i] < 0:
                found = "nothing" if missing(value) else repr(value)[:60]
                bad.setdefault(i, DataError(f"rows[{i}].{self.target}", expected="a known class", found=found,
                                            fix=did_you_mean(class_name(value), self.names[:50])))
        return out

    def _amounts(self, values: Sequence[Any], bad: dict[int, ThujaError]) -> np.ndarray:
        field, out = Number(), np.zeros(len(values), np.float32)
        for i, value in enumerate(values):
            try:
                field.check(value, f"rows[{i}].{self.target}")
            except DataError as error:
                bad.setdefault(i, error)
            else:
                out[i] = value if self.cap is None else min(value, self.cap)
        return out


def class_name(value: Any) -> str:
    """The class that a raw value stands for: whole numbers are written without a point, so that CSV's 1.0 and JSON's 1 are one class.

    >>> class_name(1.0), class_name(1), class_name("up")
    ('1', '1', 'up')
    """
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def missing(value: Any) -> bool:
    """Whether nothing is there: None, an empty text, not a number."""
    return value is None or value == "" or value != value
