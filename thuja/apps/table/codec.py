"""Rows of a table and arrays: one float32 array of numbers (NaN = missing) and one int64 array of categories (0 = missing or unknown). No torch.

Nothing is scaled here: every float operation is in the exported program, from the statistics that this codec holds.
"""

from collections.abc import Sequence
from functools import cached_property
from typing import Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict

from thuja.codec import Arrays, Codec, Columns, Rows
from thuja.core.errors import BadRows, DataError, ThujaError, did_you_mean
from thuja.fields import Category, Number, Schema, Scores

Problem = Literal["binary", "classes", "regression"]
PLAIN = frozenset({float, int, type(None), np.float64, np.float32, np.int64, np.int32})
"""Types that numpy turns into floats without a second look; None becomes NaN."""


NAMEABLE = PLAIN | {str, bool, np.str_, np.bool_}
"""Types that stand for a name without a second look."""


class NumberColumn(BaseModel):
    """A numeric column, as the training rows had it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    quantiles: tuple[float, ...]
    """Evenly spaced from the smallest to the largest value, ascending; equal neighbours are kept, so that their place tells their rank."""
    integer: bool = False
    """Whether every value was whole."""
    missing: float = 0.0
    """Share of the training rows without a value."""


class CategoryColumn(BaseModel):
    """A column of names; `names[i]` is encoded as i + 1, anything else as 0."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    names: tuple[str, ...]

    @cached_property
    def places(self) -> dict[str, int]:
        """What each name is encoded as; made once, for a column may have thousands of names and a request one row."""
        return {name: i for i, name in enumerate(self.names, 1)}


class TableCodec(Codec):
    """Columns of a table, how they are encoded, and what the answer means.

    Every input may be missing and every category may be unknown at serving time, whether training rows showed it or not: a missing number is answered as the
    median (plus what training learned of missingness, if there was any), an unknown name as the rare names are. Both are counted by the field's summary.
    """

    kind: Literal["table"] = "table"
    target: str
    problem: Problem
    numbers: tuple[NumberColumn, ...] = ()
    categories: tuple[CategoryColumn, ...] = ()
    names: tuple[str, ...] = ()
    """Classes in the order of the probabilities; in a binary problem the last is the positive one."""
    shares: tuple[float, ...] = ()
    """Of each class among the training rows that have one."""
    mean: float = 0.0
    """Of a regression target, in its unit."""
    std: float = 1.0
    """Of a regression target, in its unit; positive."""
    lower: float = 0.0
    """Smallest regression target."""
    upper: float = 0.0
    """Largest regression target."""

    def schema(self) -> Schema:  # type: ignore[override]
        """Fields by column name in; `label`, `probability` (of that label) and `probabilities`, or `value`, out."""
        numbers = {c.name: Number(integer=c.integer, missing=True, edges=tuple(np.unique(c.quantiles).tolist())) for c in self.numbers}
        categories = {c.name: Category(names=c.names, missing=True, unknown=True) for c in self.categories}
        if self.problem == "regression":
            return Schema(inputs={**numbers, **categories}, outputs={"value": Number(description=self.target)})
        label = Category(names=self.names, description=self.target)
        probability = Number(lower=0, upper=1, description="Of the label given.")
        return Schema(inputs={**numbers, **categories}, outputs={"label": label, "probability": probability, "probabilities": Scores(names=self.names)})

    def encode(self, rows: Rows) -> Columns:
        """`numbers` float32 [rows, n], `categories` int64 [rows, c] (each only if there are any), and the target int64 [rows] or float32 [rows].

        Raises: BadRows for text or infinity where a number belongs, a list or bytes where a name belongs, a missing or unknown target; DataError for an
        absent column.
        """
        bad: dict[int, ThujaError] = {}
        columns: Columns = {}
        if self.numbers:
            given = [_column(rows, c.name) for c in self.numbers]
            numbers = _plain_numbers(given)
            columns["numbers"] = numbers if numbers is not None else np.stack(
                [_numbers(values, c.name, bad) for values, c in zip(given, self.numbers, strict=True)], axis=1)
        if self.categories:
            columns["categories"] = np.stack([_categories(_column(rows, c.name), c, bad) for c in self.categories], axis=1)
        if self.target in rows:
            columns[self.target] = self._target(rows[self.target], bad)
        if bad:
            raise BadRows(bad)
        return columns

    def decode(self, outputs: Arrays) -> dict[str, list[Any]]:
        """`probability` float [rows, classes] or `value` float [rows] as plain values."""
        if self.problem == "regression":
            return {"value": [float(v) for v in outputs["value"]]}
        probability = outputs["probability"]
        best = probability.argmax(axis=1)
        return {"label": [self.names[i] for i in best],
                "probability": [float(p) for p in probability.max(axis=1)],
                "probabilities": [dict(zip(self.names, row, strict=True)) for row in probability.astype(float).tolist()]}

    def _target(self, values: Sequence[Any], bad: dict[int, ThujaError]) -> np.ndarray:
        if self.problem == "regression":
            array = _numbers(values, self.target, bad)
            for i in map(int, np.flatnonzero(np.isnan(array))):
                bad.setdefault(i, DataError(f"rows[{i}].{self.target}", expected="a number", found="nothing", fix="Fill the target in, or leave the row out."))
            return array
        array = _categories(values, CategoryColumn(name=self.target, names=self.names), bad) - 1
        for i in map(int, np.flatnonzero(array < 0)):
            found, fix = ("nothing", "Fill the target in, or leave the row out.") if values[i] is None else _unknown(values[i], self.names)
            bad.setdefault(i, DataError(f"rows[{i}].{self.target}", expected="a known class", found=found, fix=fix))
        return array


def _unknown(value: Any, names: Sequence[str]) -> tuple[str, str]:
    """What is said of a class that is none of `names`: found, and fix."""
    return repr(value)[:60], did_you_mean(name_of(value), names[:50])


def name_of(value: Any) -> str:
    """The name that a raw value stands for: whole numbers are written without a point, so that CSV's 1.0, JSON's 1 and "1" are one category.

    >>> name_of(1.0), name_of("1.0"), name_of("v1.0"), name_of(True)
    ('1', '1', 'v1.0', 'True')
    """
    text = str(value)
    return text[:-2] if text.endswith(".0") and text[:-2].lstrip("-").isdigit() else text


def floats(values: Sequence[Any]) -> np.ndarray | None:
    """Values as float64 with NaN for None; None where something is no plain number."""
    if isinstance(values, np.ndarray):
        return values.astype(np.float64) if values.dtype.kind in "fiu" else floats(values.tolist())
    return np.array(values, np.float64) if PLAIN.issuperset(map(type, values)) else None


def _column(rows: Rows, name: str) -> Sequence[Any]:
    if name not in rows:
        raise DataError(name, expected="a column of this name", found=f"{len(rows)} others", fix=did_you_mean(name, rows))
    return rows[name]


def _plain_numbers(columns: Sequence[Sequence[Any]]) -> np.ndarray | None:
    """float32 [rows, n] from lists of plain finite numbers, all columns at once (a request of one row, above all); None where one needs a second look."""
    if not all(isinstance(values, list) and PLAIN.issuperset(map(type, values)) for values in columns):
        return None
    with np.errstate(over="ignore"):
        narrow = np.array(columns, np.float64).T.astype(np.float32, order="C")
    return None if np.isinf(narrow).any() else narrow


def _numbers(values: Sequence[Any], name: str, bad: dict[int, ThujaError]) -> np.ndarray:
    """float32 [rows], NaN where missing; unusable values are put into `bad`."""
    array = floats(values)
    if array is None:
        field = Number(missing=True)
        array = np.full(len(values), np.nan)
        for i, value in enumerate(values):
            try:
                field.check(value, f"rows[{i}].{name}")
            except DataError as error:
                bad.setdefault(i, error)
            else:
                array[i] = np.nan if value is None else value
    with np.errstate(over="ignore"):
        narrow = array.astype(np.float32)
    for i in map(int, np.flatnonzero(np.isinf(narrow))):
        bad.setdefault(i, DataError(f"rows[{i}].{name}", expected="a finite number", found=f"{array[i]:g}",
                                    fix="Send a finite number below 3e38, or null where the value is missing."))
    return narrow


def _categories(values: Sequence[Any], column: CategoryColumn, bad: dict[int, ThujaError]) -> np.ndarray:
    """int64 [rows]: the place in `names` plus one, 0 where missing or unknown; what is no plain value is put into `bad`."""
    values = values.tolist() if isinstance(values, np.ndarray) else values
    if not NAMEABLE.issuperset(map(type, values)):
        odd = {i: value for i, value in enumerate(values) if not isinstance(value, str | int | float | np.generic | None)}
        for i, value in odd.items():
            bad.setdefault(i, DataError(f"rows[{i}].{column.name}", expected="a name", found=type(value).__name__, fix="Send plain text."))
        values = [None if i in odd else value for i, value in enumerate(values)]
    known = {v: 0 if v is None else column.places.get(name_of(v), 0) for v in set(values)}
    return np.fromiter(map(known.__getitem__, values), np.int64, len(values))
