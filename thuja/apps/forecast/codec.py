"""Windows of series and arrays. No torch."""

from collections.abc import Sequence
from functools import cached_property
from typing import Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, PositiveInt

from thuja.codec import Arrays, Codec, Columns, Rows
from thuja.core.errors import BadRows, DataError, SpecError, ThujaError, did_you_mean
from thuja.fields import Moment, Schema, Series

HISTORY, FUTURE, START, SERIES = "history", "future", "start", "series"
OWN = (HISTORY, FUTURE, START, SERIES, "unit", "naive", "known", "past")
"""Names that columns of the data may not have."""
UNKNOWN = -(1 << 62)
"""`start` where no time is given."""
LONGER = 4
"""Histories up to so many times the context are taken; the latest values are read."""
Cycle = Literal["day", "week", "year"]


class Known(BaseModel):
    """A covariate, and what is typical of it in the training windows."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    mean: float
    std: float
    """Positive."""
    edges: tuple[float, ...] = ()


class OneSeries(BaseModel):
    """What is typical of a series in the training windows."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    unit: float
    """Standard deviation of its values; 0 for a constant one."""
    naive: float
    """Mean absolute change over a season; 0 where it just repeats."""


class ForecastCodec(Codec):
    """How much past is read, how far ahead is answered, and the covariates.

    Encodes `history` float32 [rows, context] (NaN is a gap), `start` int64 [rows] (seconds since 1970, or `UNKNOWN`), `past` float32 [rows, past, context] and
    `known` float32 [rows, known, context + horizon] where there are such covariates; with the truth `future` float32 [rows, horizon], and `unit` and `naive`
    float32 [rows] of the series the row is from.
    """

    kind: Literal["forecast"] = "forecast"
    context: PositiveInt
    horizon: PositiveInt
    every: float = 0.0
    """Seconds from one step to the next; 0 where times are plain numbers or not known."""
    season: PositiveInt = 1
    """Steps of the cycle that is to be expected."""
    calendar: tuple[Cycle, ...] = ()
    """Cycles whose phase is read from the time."""
    known: tuple[Known, ...] = ()
    past: tuple[Known, ...] = ()
    series: tuple[OneSeries, ...]
    edges: tuple[float, ...] = ()
    """Of the training values, for summaries."""

    @cached_property
    def fields(self) -> dict[str, Series]:
        """The series that go in, by name."""
        read = f"The last {self.context} values are read; the latest is the last."
        both = f"Values at the last {self.context} steps and at the {self.horizon} steps to come."
        found = {HISTORY: Series(least=self.context, most=LONGER * self.context, edges=self.edges, description=read)}
        found |= {c.name: Series(least=self.context, most=LONGER * self.context, edges=c.edges, description=read) for c in self.past}
        return found | {c.name: Series(least=self.context + self.horizon, most=LONGER * self.context + self.horizon, edges=c.edges, description=both)
                        for c in self.known}

    def schema(self) -> Schema:  # type: ignore[override]
        """`history`, `start` (the time of the first step to come) and covariates in; `forecast`, `low` and `high` out."""
        moment = {START: Moment(description="The time of the first step to come" + ("." if self.calendar else "; not needed."))} if self.every else {}
        steps = Series(least=self.horizon, most=self.horizon, gaps=False, edges=self.edges)
        said = {"forecast": f"The next {self.horizon} steps.", "low": "One value in ten lies below.", "high": "One value in ten lies above."}
        return Schema(inputs={**self.fields, **moment}, outputs={name: steps.model_copy(update={"description": words}) for name, words in said.items()})

    def encode(self, rows: Rows) -> Columns:
        """Raises: BadRows for what is no series of the right length, no time, or has no truth at all; DataError for an absent column."""
        bad: dict[int, ThujaError] = {}
        history = self._stacked(rows, HISTORY, self.context, bad)
        columns: Columns = {HISTORY: history, START: self._starts(rows, len(history), bad)}
        if self.past:
            columns["past"] = np.stack([self._stacked(rows, c.name, self.context, bad) for c in self.past], axis=1)
        if self.known:
            columns["known"] = np.stack([self._stacked(rows, c.name, self.context + self.horizon, bad) for c in self.known], axis=1)
        if FUTURE in rows:
            columns[FUTURE] = self._future(rows[FUTURE], bad)
            columns |= self._typical(rows, len(history))
        if bad:
            raise BadRows(bad)
        return columns

    def decode(self, outputs: Arrays) -> dict[str, list[Any]]:
        """`value`, `low` and `high` float [rows, horizon] as lists of numbers."""
        return {name: outputs[array].astype(float).tolist() for name, array in (("forecast", "value"), ("low", "low"), ("high", "high"))}

    def _stacked(self, rows: Rows, name: str, steps: int, bad: dict[int, ThujaError]) -> np.ndarray:
        """The last `steps` values of each row: float32 [rows, steps]."""
        if name not in rows:
            raise DataError(name, expected="a column of this name", found=f"{len(rows)} others", fix=did_you_mean(name, rows))
        out = np.full((len(rows[name]), steps), np.nan)
        for i, value in enumerate(rows[name]):
            try:
                array = self.fields[name].array(value, f"rows[{i}].{name}")
                assert array is not None
                out[i] = array[len(array) - steps :]
            except DataError as error:
                bad.setdefault(i, error)
        return self._narrow(out, name, bad)

    def _narrow(self, wide: np.ndarray, name: str, bad: dict[int, ThujaError]) -> np.ndarray:
        """As float32, which must hold the values."""
        with np.errstate(over="ignore"):
            narrow = wide.astype(np.float32)
        for i in map(int, np.flatnonzero(np.isinf(narrow).any(axis=1))):
            bad.setdefault(i, DataError(f"rows[{i}].{name}", expected="numbers below 3e38", found=f"{np.nanmax(np.abs(wide[i])):g}", fix="Choose a unit."))
        if name == HISTORY:
            for i in map(int, np.flatnonzero(np.isnan(narrow).all(axis=1))):
                bad.setdefault(i, DataError(f"rows[{i}].{name}", expected=f"a number among the last {self.context} values", found="gaps only",
                                            fix="Send what was measured."))
        return narrow

    def _starts(self, rows: Rows, count: int, bad: dict[int, ThujaError]) -> np.ndarray:
        out = np.full(count, UNKNOWN, np.int64)
        if START not in rows:
            if self.every:
                raise DataError(START, expected="a column of this name", found=f"{len(rows)} others", fix=did_you_mean(START, rows))
            return out
        field = Moment()
        for i, value in enumerate(rows[START]):
            if not self.every and isinstance(value, (int, float)):
                out[i] = int(value)  # a plain number orders rows, and is never read
                continue
            try:
                seconds = field.seconds(value, f"rows[{i}].{START}")
            except DataError as error:
                bad.setdefault(i, error)
            else:
                out[i] = UNKNOWN if seconds is None else seconds
        return out

    def _future(self, values: Sequence[Any], bad: dict[int, ThujaError]) -> np.ndarray:
        """float32 [rows, horizon], NaN where the truth is missing."""
        field = Series(least=self.horizon, most=self.horizon)
        out = np.full((len(values), self.horizon), np.nan)
        for i, value in enumerate(values):
            try:
                out[i] = field.array(value, f"rows[{i}].{FUTURE}")
            except DataError as error:
                bad.setdefault(i, error)
        return self._narrow(out, FUTURE, bad)

    def _typical(self, rows: Rows, count: int) -> Columns:
        """`unit` and `naive` of each row's series; those of an unknown one are zero, and its rows do not count in scaled figures."""
        places = {one.name: one for one in self.series}
        nobody = OneSeries(name="", unit=0.0, naive=0.0)
        names = rows.get(SERIES, [""] * count)
        found = [places.get(str(name), nobody) for name in names]
        return {"unit": np.array([one.unit for one in found], np.float32), "naive": np.array([one.naive for one in found], np.float32)}


def refuse_names(names: Sequence[str]) -> None:
    """Raises: SpecError for a covariate with the name of a column that windows have already."""
    for name in names:
        if name in OWN:
            raise SpecError("task", expected=f"covariates with names other than {', '.join(OWN)}", found=repr(name), fix="Give the column another name.")
