"""A fixed number of measurements taken together, such as what a policy sees, or the amounts that it does."""

import math
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np

from thuja.core.errors import DataError
from thuja.fields.base import Field, histogram_distance

BINS = 16
WIDEST = 1e30
"""Larger numbers are no measurements; they would become infinite inside a network."""


class Observation(Field):
    """`size` finite numbers in a fixed order: a list, or an array float [size]."""

    kind: Literal["observation"] = "observation"
    size: int = 1
    low: tuple[float, ...] = ()
    """Where each number usually begins, as seen when the model was made: for examples and for comparing two periods, nothing is refused by it. Empty: -1."""
    high: tuple[float, ...] = ()
    """Where each number usually ends. Empty: 1."""

    @property
    def most_values(self) -> int:
        return max(2, self.size)

    def check(self, value: Any, where: str) -> None:
        self.array(value, where)

    def array(self, value: Any, where: str) -> np.ndarray:
        """A raw value as float64 [size]. Raises: DataError."""
        if not isinstance(value, (list, tuple)) and not (isinstance(value, np.ndarray) and value.ndim == 1 and value.dtype.kind in "fiu"):
            raise DataError(where, expected=f"a list of {self.size} numbers", found="nothing" if value is None else type(value).__name__,
                            fix="Send the numbers in the order in which the environment gives them.")
        if len(value) != self.size:
            raise DataError(where, expected=f"{self.size} numbers", found=str(len(value)), fix="Send one observation, whole, in the order of the environment.")
        for place, number in enumerate(value):
            if isinstance(number, bool) or not isinstance(number, (int, float, np.integer, np.floating)):
                raise DataError(f"{where}[{place}]", expected="a number", found=str(number)[:40] or "empty text", fix="Send plain numbers such as 0.25.")
            if not -WIDEST <= number <= WIDEST:
                raise DataError(f"{where}[{place}]", expected="a finite number", found=str(number)[:40], fix="Send what was measured.")
        return np.asarray(value, np.float64)

    def to_json(self, value: Any) -> Any:
        return [float(number) for number in value]

    def from_json(self, value: Any, where: str) -> list[float]:
        return self.to_json(self.array(value, where))  # type: ignore[no-any-return]

    def json_schema(self) -> dict[str, Any]:
        example = [round(float(middle), 4) for middle in self._range.mean(axis=0)]
        schema: dict[str, Any] = {"type": "array", "items": {"type": "number"}, "minItems": self.size, "maxItems": self.size, "examples": [example]}
        return schema | ({"description": self.description} if self.description else {})

    def fake(self, rng: np.random.Generator, count: int) -> list[Any]:
        """Within the usual range; every few all zero, or three times as far out."""
        low, high = self._range
        drawn = rng.uniform(low, high, (count, self.size))
        drawn[3::8], drawn[5::8] = 0.0, 3 * drawn[5::8]
        return drawn.tolist()  # type: ignore[no-any-return]

    def summarise(self, values: Sequence[Any]) -> dict[str, Any]:
        """For each number a histogram over its usual range, what lies outside in the outermost bins."""
        low, high = self._range
        found = np.array([list(value) for value in values], np.float64).reshape(-1, self.size)
        share = (found - low) / np.maximum(high - low, 1e-12)
        place = np.clip(np.floor(share * (BINS - 2)).astype(np.int64) + 1, 0, BINS - 1)
        counts = [np.bincount(column, minlength=BINS).tolist() for column in place.T]
        return {"rows": len(found), "counts": counts, "mean": found.mean(axis=0).tolist() if len(found) else None}

    def distance(self, old: dict[str, Any], new: dict[str, Any]) -> float:
        return max((histogram_distance(a, b) for a, b in zip(old["counts"], new["counts"], strict=True)), default=0.0)

    @property
    def _range(self) -> np.ndarray:
        """[2, size]: where each number usually begins and ends."""
        low, high = (np.resize(np.array(given or (plain,), np.float64), self.size) for given, plain in ((self.low, -1.0), (self.high, 1.0)))
        return np.stack([low, np.where(high > low, high, low + math.ulp(1.0))])
