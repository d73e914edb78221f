"""The latest steps of a unit (an engine, a patient, a machine) as a row, with what is to be said of the unit at the last of them."""

from collections.abc import Iterator, Mapping
from typing import Literal, NamedTuple

import numpy as np

from thuja.codec import Rows
from thuja.core import digest
from thuja.core.errors import DataError
from thuja.data.rows import Bad, Kind, Source, hash_rows, in_batches
from thuja.data.timeline import PARTS, Timeline, Wanted, lay_out


class Plan(NamedTuple):
    """What is cut out of a table with a row a step."""

    unit: str
    """The column that names the unit a row belongs to."""
    time: str
    """The column that orders the rows of a unit."""
    inputs: tuple[str, ...]
    """Columns of numbers that are read."""
    target: str
    """A column of numbers: its value at the last step is to be learned."""
    window: int
    """Steps that are read; a unit with fewer gives one row of all it has."""
    judged: Literal["auto", "last", "all"] = "auto"
    """Which rows of validation and test units count: the one at their last step, or those at every step, as in training. Auto: the last, except where all
    units of the part end with the same target: those that ran until they failed would ask one question over and over."""


class Segments:
    """Rows with a column of arrays, float64 [steps], for each input, the target, the unit and the time of the last step: a `thuja.data.rows.Source`."""

    def __init__(self, line: Timeline, plan: Plan, last: np.ndarray, fingerprint: str) -> None:
        """`last`: int64 [rows], the last step of each row."""
        self.line, self.plan, self.last = line, plan, last
        self.bad: tuple[Bad, ...] = ()
        self._fingerprint = fingerprint
        self._owner = np.searchsorted(line.offsets, last, side="right") - 1
        self._first = np.maximum(last - plan.window + 1, line.offsets[self._owner])
        self.kinds: dict[str, Kind] = {**dict.fromkeys(plan.inputs, "other"), plan.target: "number", plan.unit: "text", plan.time: "number"}
        self.names = tuple(self.kinds)

    def __len__(self) -> int:
        return len(self.last)

    def take(self, index: np.ndarray, names: tuple[str, ...] = ()) -> Rows:
        return {name: self._column(name, np.asarray(index, np.int64)) for name in names or self.names}

    def batches(self, size: int = 1024) -> Iterator[Rows]:
        return in_batches(self, size)

    def ids(self, index: np.ndarray) -> list[str]:
        return [f"{self.line.names[owner]}@{self.line.times[last]:g}" for owner, last in zip(self._owner[index], self.last[index], strict=True)]

    def hashes(self, index: np.ndarray, names: tuple[str, ...]) -> np.ndarray:
        return hash_rows(self.take(index, names), names, self.kinds)

    def fingerprint(self) -> str:
        return self._fingerprint

    def _column(self, name: str, index: np.ndarray) -> list[object]:
        if name == self.plan.unit:
            return [self.line.names[owner] for owner in self._owner[index]]
        if name == self.plan.time:
            return list(self.line.times[self.last[index]].tolist())
        values = self.line.values[name]
        if name == self.plan.target:
            return list(values[self.last[index]].tolist())
        return [values[first : last + 1] for first, last in zip(self._first[index], self.last[index], strict=True)]


def cut(parts: Mapping[str, Source], plan: Plan) -> dict[str, Source]:
    """The rows of every part. Raises: DataError, as `timeline.lay_out`, and where a row lies in another part than its past: a unit belongs to one part."""
    line = lay_out(parts, Wanted(plan.time, (*plan.inputs, plan.target), plan.unit))
    mixed = np.flatnonzero(np.minimum.reduceat(line.part, line.offsets[:-1]) != np.maximum.reduceat(line.part, line.offsets[:-1]))
    if len(mixed):
        raise DataError("data.split", expected="units that are wholly in one part", found=f"{line.names[mixed[0]]!r} in several",
                        fix=f"Split by group: data.group: {plan.unit}.")
    fingerprints = [parts[name].fingerprint() for name in PARTS if name in parts]
    there = ~np.isnan(line.values[plan.target])
    found: dict[str, Source] = {}
    for number, name in enumerate(PARTS):
        if name in parts:
            last = _ends(line, plan, number, whole=number > 0 and plan.judged != "all")
            segments = Segments(line, plan, last[there[last]], digest.of_data(["segments", *fingerprints, list(plan), name]))
            segments.bad = tuple(Bad(f"{line.names[np.searchsorted(line.offsets, e, side='right') - 1]}@{line.times[e]:g}", f"no {plan.target!r}")
                                 for e in last[~there[last]])
            found[name] = segments
    return found


def _ends(line: Timeline, plan: Plan, part: int, *, whole: bool) -> np.ndarray:
    """The last step of each row of a part."""
    ends: np.ndarray = line.offsets[1:][line.part[line.offsets[:-1]] == part] - 1
    if whole and (plan.judged == "last" or len(np.unique(line.values[plan.target][ends])) > 1):
        return ends
    at = np.flatnonzero(line.part == part)
    owner = np.searchsorted(line.offsets, at, side="right") - 1
    full = at - line.offsets[owner] >= plan.window - 1
    short = np.diff(line.offsets)[owner] < plan.window
    kept: np.ndarray = at[full | (short & (at == line.offsets[owner + 1] - 1))]
    return kept
