"""Values in the order of time, and moments: what has been measured, step after step, and when."""

import math
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Literal

import numpy as np

from thuja.core.errors import DataError
from thuja.fields.base import Field, histogram_distance

SHOWN = 12
"""Values in an example."""


class Series(Field):
    """Numbers in equal steps of time, the latest last: a list of numbers, or an array float [steps]. A gap is null (NaN in an array)."""

    kind: Literal["series"] = "series"
    least: int = 1
    """Fewest steps."""
    most: int = 4096
    """Most steps; longer ones are refused, never cut in silence."""
    gaps: bool = True
    """Whether single values may be missing; one at least must be there."""
    missing: bool = False
    """Whether the whole series may be left out."""
    edges: tuple[float, ...] = ()
    """Inner bin edges of the training values, used by `summarise`; empty means signed powers of ten."""

    @property
    def most_values(self) -> int:
        return self.most

    def check(self, value: Any, where: str) -> None:
        self.array(value, where)

    def array(self, value: Any, where: str) -> np.ndarray | None:
        """A raw value as float64 [steps] with NaN for gaps; None where the whole is missing. Raises: DataError."""
        if value is None:
            if not self.missing:
                raise DataError(where, expected="a list of numbers", found="nothing", fix="Send the values in the order of time, the latest last.")
            return None
        if not isinstance(value, (list, tuple)) and not (isinstance(value, np.ndarray) and value.ndim == 1 and value.dtype.kind in "fiu"):
            raise DataError(where, expected="a list of numbers", found=type(value).__name__, fix="Send the values in the order of time, the latest last.")
        if not self.least <= len(value) <= self.most:
            wanted = f"{self.least}" if self.least == self.most else f"{self.least} to {self.most}"
            raise DataError(where, expected=f"{wanted} values", found=str(len(value)),
                            fix="Send the latest ones." if len(value) > self.most else "Send more of the past: this is shorter than the window that is read.")
        numbers = value.astype(np.float64) if isinstance(value, np.ndarray) else _numbers(value, where)
        self._check_numbers(numbers, where)
        return numbers

    def _check_numbers(self, numbers: np.ndarray, where: str) -> None:
        there = ~np.isnan(numbers)
        if np.isinf(numbers).any():
            place = int(np.isinf(numbers).argmax())
            raise DataError(where, expected="finite numbers", found=f"{numbers[place]} at place {place}", fix="Send null where nothing was measured.")
        if not there.any():
            raise DataError(where, expected="at least one number", found=f"{len(numbers)} gaps", fix="Send what was measured.")
        if not self.gaps and not there.all():
            raise DataError(where, expected="a number at every step", found=f"a gap at place {int(there.argmin())}", fix="Fill the gaps.")

    def to_json(self, value: Any) -> Any:
        if value is None:
            return None
        listed = value.tolist() if isinstance(value, np.ndarray) else value
        return [None if one is None or one != one else float(one) for one in listed]

    def from_json(self, value: Any, where: str) -> np.ndarray | None:
        return self.array(value, where)

    def json_schema(self) -> dict[str, Any]:
        steps = min(max(self.least, 3), self.most, SHOWN)
        schema = {"type": ["array", "null"] if self.missing else "array", "items": {"type": ["number", "null"] if self.gaps else "number"},
                  "minItems": self.least, "maxItems": self.most, "examples": [[round(math.sin(i), 2) for i in range(steps)]]}
        return schema | ({"description": self.description} if self.description else {})

    def fake(self, rng: np.random.Generator, count: int) -> list[Any]:
        return [None if self.missing and i % 11 == 10 else self._one(rng, i) for i in range(count)]

    def _one(self, rng: np.random.Generator, i: int) -> list[float | None]:
        """A walk with a wave on it; every few: constant, all zero, very large, nearly constant, with gaps."""
        steps = int(rng.integers(self.least, self.most + 1)) if i % 3 else self.least
        values = rng.normal(size=steps).cumsum() / 4 + np.sin(np.arange(steps) * 2 * np.pi / 24) + 3
        match i % 8:
            case 1:
                values = np.full(steps, 5.25)
            case 3:
                values = np.zeros(steps)
            case 4:
                values = values * 1e5
            case 6:
                values = 1 + values * 1e-3
        gap = rng.random(steps) < 0.2 if self.gaps and i % 4 == 2 else np.zeros(steps, bool)
        gap[rng.integers(steps)] = False
        return [None if missing else float(v) for v, missing in zip(values, gap, strict=True)]

    def summarise(self, values: Sequence[Any]) -> dict[str, Any]:
        arrays = [np.asarray(self.to_json(v), float) for v in values if v is not None]
        together = np.concatenate(arrays) if arrays else np.zeros(0)
        finite = together[np.isfinite(together)]
        edges = np.array(self.edges or [-1e3, -100, -10, -1, -0.1, 0, 0.1, 1, 10, 100, 1e3])
        counts = np.bincount(np.searchsorted(edges, finite, side="right"), minlength=len(edges) + 1)
        lengths = np.array([len(a) for a in arrays], int)
        return {"rows": len(values), "missing": int(len(together) - len(finite)), "counts": counts.tolist(),
                "lengths": np.histogram(np.log2(lengths + 1), bins=20, range=(0, 20))[0].tolist(),
                "mean": float(finite.mean()) if len(finite) else None, "std": float(finite.std()) if len(finite) else None}

    def distance(self, old: dict[str, Any], new: dict[str, Any]) -> float:
        return histogram_distance([*old["counts"], old["missing"]], [*new["counts"], new["missing"]])


class Moment(Field):
    """A date, or a date and time, in ISO 8601: 2026-01-31T12:00. Without an offset it is taken as the data's own clock."""

    kind: Literal["moment"] = "moment"
    missing: bool = True
    """Whether it may be left out."""

    def check(self, value: Any, where: str) -> None:
        self.seconds(value, where)

    def seconds(self, value: Any, where: str) -> int | None:
        """Whole seconds since 1970; None where missing. Raises: DataError."""
        if value is None and self.missing:
            return None
        if not isinstance(value, str):
            found = "nothing" if value is None else type(value).__name__
            raise DataError(where, expected="a time", found=found, fix="Write it as 2026-01-31T12:00.")
        try:
            found_time = datetime.fromisoformat(value)
        except ValueError as error:
            raise DataError(where, expected="a time", found=repr(value[:40]), fix="Write it as 2026-01-31T12:00.") from error
        return int((found_time if found_time.tzinfo else found_time.replace(tzinfo=UTC)).timestamp())

    def to_json(self, value: Any) -> Any:
        return value

    def from_json(self, value: Any, where: str) -> str | None:
        self.check(value, where)
        return None if value is None else str(value)

    def json_schema(self) -> dict[str, Any]:
        schema = {"type": ["string", "null"] if self.missing else "string", "format": "date-time", "examples": ["2026-01-31T12:00"]}
        return schema | ({"description": self.description} if self.description else {})

    def fake(self, rng: np.random.Generator, count: int) -> list[Any]:
        minutes = rng.integers(0, 60 * 24 * 365 * 60, count)
        made = [datetime.fromtimestamp(60 * int(m), UTC).strftime("%Y-%m-%dT%H:%M") for m in minutes]
        return [None if self.missing and i % 5 == 4 else f"{made[i]}:00+00:00" if i % 3 == 1 else made[i] for i in range(count)]

    def summarise(self, values: Sequence[Any]) -> dict[str, Any]:
        seconds = [self.seconds(v, "value") for v in values]
        months = np.bincount([datetime.fromtimestamp(s, UTC).month - 1 for s in seconds if s is not None], minlength=12)
        return {"rows": len(seconds), "missing": seconds.count(None), "months": months.tolist()}

    def distance(self, old: dict[str, Any], new: dict[str, Any]) -> float:
        return histogram_distance([*old["months"], old["missing"]], [*new["months"], new["missing"]])


def _numbers(values: Sequence[Any], where: str) -> np.ndarray:
    """float64 [steps], NaN for None."""
    out = np.empty(len(values))
    for place, one in enumerate(values):
        if one is None:
            out[place] = np.nan
        elif isinstance(one, bool) or not isinstance(one, (int, float, np.integer, np.floating)):
            raise DataError(where, expected="a list of numbers", found=f"{repr(one)[:30]} at place {place}", fix="Send plain numbers, and null for gaps.")
        elif isinstance(one, int) and abs(one) > sys.float_info.max:
            raise DataError(where, expected="finite numbers", found=f"one beyond a double at place {place}", fix="Check the unit.")
        else:
            out[place] = one
    return out
