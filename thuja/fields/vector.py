"""A list of numbers of fixed length that stands for something: an embedding, compared with others of the same model and meaningless by itself."""

import math
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np

from thuja.core.errors import DataError
from thuja.fields.base import Field, histogram_distance

BINS = 20
UNIT = 1e-3
"""How far from 1 the length of a unit vector may be, which covers what rounding and 8-bit weights do."""
SHOWN = 32
"""Places whose means are compared between two periods."""


class Vector(Field):
    """`length` finite numbers; with `unit`, their squares sum to 1."""

    kind: Literal["vector"] = "vector"
    length: int = 128
    unit: bool = False

    @property
    def most_values(self) -> int:
        return max(2, self.length)

    def check(self, value: Any, where: str) -> None:
        if not isinstance(value, (list, tuple)) or len(value) != self.length:
            found = f"{len(value)} of them" if isinstance(value, (list, tuple)) else type(value).__name__
            raise DataError(where, expected=f"a list of {self.length} numbers", found=found, fix="Send what the model answered, whole.")
        for place, number in enumerate(value):
            if isinstance(number, bool) or not isinstance(number, (int, float)) or not _finite(number):
                raise DataError(f"{where}[{place}]", expected="a finite number", found=str(number)[:40], fix="Send what the model answered, unchanged.")
        if self.unit and abs(math.hypot(*value) - 1) > UNIT:
            raise DataError(where, expected="a vector of length 1", found=f"one of length {math.hypot(*value):.4g}", fix="Divide it by its length.")

    def to_json(self, value: Any) -> Any:
        return [float(number) for number in value]

    def from_json(self, value: Any, where: str) -> list[float]:
        self.check(value, where)
        return [float(number) for number in value]

    def json_schema(self) -> dict[str, Any]:
        number = {"type": "number", "minimum": -1, "maximum": 1} if self.unit else {"type": "number"}
        schema: dict[str, Any] = {"type": "array", "items": number, "minItems": self.length, "maxItems": self.length}
        return schema | ({"description": self.description} if self.description else {})

    def fake(self, rng: np.random.Generator, count: int) -> list[Any]:
        drawn = rng.standard_normal((count, self.length))
        if self.unit:
            drawn /= np.linalg.norm(drawn, axis=1, keepdims=True)
        return [[float(number) for number in row] for row in drawn]

    def summarise(self, values: Sequence[Any]) -> dict[str, Any]:
        """The spread of all numbers, and the mean direction: by these two, pictures of another kind show."""
        numbers = np.array([list(value) for value in values], float).reshape(-1, self.length)
        scaled = numbers * math.sqrt(self.length) if self.unit else numbers
        means = scaled.mean(axis=0)[:SHOWN] if len(scaled) else np.zeros(min(SHOWN, self.length))
        return {"rows": len(numbers), "counts": np.histogram(np.clip(scaled, -4, 4), bins=BINS, range=(-4, 4))[0].tolist(),
                "means": [round(float(mean), 4) for mean in means]}

    def distance(self, old: dict[str, Any], new: dict[str, Any]) -> float:
        apart = float(np.abs(np.asarray(old["means"]) - np.asarray(new["means"])).mean())
        return max(histogram_distance(old["counts"], new["counts"]), min(1.0, apart / 2))


def _finite(number: float) -> bool:
    try:
        return math.isfinite(number)
    except OverflowError:  # a whole number beyond a double
        return False
