"""A number: an amount, a measurement, a score."""

import math
import sys
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np

from thuja.core.errors import DataError
from thuja.fields.base import Field, histogram_distance


class Number(Field):
    """A finite real number, or nothing where `missing` is allowed."""

    kind: Literal["number"] = "number"
    lower: float | None = None
    """Smallest value allowed."""
    upper: float | None = None
    """Largest value allowed."""
    integer: bool = False
    """Whether only whole numbers make sense."""
    missing: bool = False
    """Whether the value may be absent (null, NaN, an empty cell)."""
    edges: tuple[float, ...] = ()
    """Inner bin edges of the training data, used by `summarise`; empty means signed powers of ten."""

    def check(self, value: Any, where: str) -> None:
        if value is None or (isinstance(value, float) and math.isnan(value)):
            if not self.missing:
                raise DataError(where, expected="a number", found="nothing", fix="Give a value, or allow missing values in the spec and train again.")
            return
        if isinstance(value, bool) or not isinstance(value, (int, float, np.integer, np.floating)):
            raise DataError(where, expected="a number", found=_short(value), fix="Send a plain number such as 3.5.")
        if not -sys.float_info.max <= value <= sys.float_info.max:  # also whole numbers that are too long for a float
            found = _short(value) if isinstance(value, int) else str(value)
            raise DataError(where, expected="a finite number", found=found, fix="Send a finite number, or null where missing values are allowed.")
        if self.lower is not None and value < self.lower:
            raise DataError(where, expected=f"at least {self.lower:g}", found=f"{value:g}", fix="Check the unit and the sign.")
        if self.upper is not None and value > self.upper:
            raise DataError(where, expected=f"at most {self.upper:g}", found=f"{value:g}", fix="Check the unit.")

    def to_json(self, value: Any) -> Any:
        if value is None or not math.isfinite(value):
            return None
        return int(value) if self.integer else float(value)

    def from_json(self, value: Any, where: str) -> float | None:
        self.check(value, where)
        return None if value is None else float(value)

    def json_schema(self) -> dict[str, Any]:
        schema: dict[str, Any] = {"type": "integer" if self.integer else "number"}
        if self.missing:
            schema = {"type": [schema["type"], "null"]}
        if self.lower is not None:
            schema["minimum"] = self.lower
        if self.upper is not None:
            schema["maximum"] = self.upper
        return schema | ({"description": self.description} if self.description else {})

    def fake(self, rng: np.random.Generator, count: int) -> list[Any]:
        low = self.lower if self.lower is not None else (self.edges[0] if self.edges else -3.0)
        high = self.upper if self.upper is not None else (self.edges[-1] if self.edges else low + 6.0)
        values = [float(v) for v in rng.uniform(low, max(high, low), count)]
        if self.integer:
            values = [float(round(v)) for v in values]
        return [None if self.missing and i % 7 == 6 else v for i, v in enumerate(values)]

    def summarise(self, values: Sequence[Any]) -> dict[str, Any]:
        array = np.asarray(values, float)  # None becomes NaN
        finite = array[np.isfinite(array)]
        edges = np.array(self.edges or [-1e3, -100, -10, -1, -0.1, 0, 0.1, 1, 10, 100, 1e3])
        counts = np.bincount(np.searchsorted(edges, finite, side="right"), minlength=len(edges) + 1)
        return {"rows": len(array), "missing": int(len(array) - len(finite)), "counts": counts.tolist(),
                "mean": float(finite.mean()) if len(finite) else None, "std": float(finite.std()) if len(finite) else None,
                "min": float(finite.min()) if len(finite) else None, "max": float(finite.max()) if len(finite) else None}

    def distance(self, old: dict[str, Any], new: dict[str, Any]) -> float:
        return histogram_distance([*old["counts"], old["missing"]], [*new["counts"], new["missing"]])


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 40 else f"{text[:37]}..."
