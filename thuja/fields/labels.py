"""Several of a set of names at once, or none."""

from collections import Counter
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np

from thuja.core.errors import DataError, did_you_mean
from thuja.fields.base import Field, histogram_distance

MOST_COUNTED = 1000


class Labels(Field):
    """Those of `names` that fit, each once, as a list; an empty list where none does."""

    kind: Literal["labels"] = "labels"
    names: tuple[str, ...] = ()
    threshold: float | None = None
    """As an output: the probability from which a name is in the list."""

    @property
    def most_values(self) -> int:
        return max(2, len(self.names))

    def check(self, value: Any, where: str) -> None:
        if not isinstance(value, (list, tuple)):
            raise DataError(where, expected="a list of names", found=type(value).__name__, fix='Give a list such as ["cat", "dog"]; an empty one is allowed.')
        for i, name in enumerate(value):
            if not isinstance(name, str) or name not in self.names:
                raise DataError(f"{where}[{i}]", expected="a known name", found=repr(name)[:60], fix=did_you_mean(str(name)[:60], self.names[:50]))
        if len(set(value)) < len(value):
            twice = next(name for name, times in Counter(value).items() if times > 1)
            raise DataError(where, expected="each name once", found=f"{twice!r} twice", fix="Leave one of them out.")

    def to_json(self, value: Any) -> Any:
        return list(value)

    def from_json(self, value: Any, where: str) -> list[str]:
        self.check(value, where)
        return list(value)

    def json_schema(self) -> dict[str, Any]:
        item: dict[str, Any] = {"type": "string"} | ({"enum": list(self.names)} if len(self.names) <= MOST_COUNTED else {})
        schema = {"type": "array", "items": item, "uniqueItems": True}
        return schema | ({"description": self.description} if self.description else {})

    def fake(self, rng: np.random.Generator, count: int) -> list[Any]:
        share = rng.random((count, len(self.names))) < 2 / max(len(self.names), 2)
        return [[name for name, there in zip(self.names, row, strict=True) if there] for row in share]

    def summarise(self, values: Sequence[Any]) -> dict[str, Any]:
        counts = Counter(name for value in values for name in value)
        return {"rows": len(values), "none": sum(not value for value in values), "counts": {name: counts.get(name, 0) for name in self.names[:MOST_COUNTED]}}

    def distance(self, old: dict[str, Any], new: dict[str, Any]) -> float:
        names = sorted({*old["counts"], *new["counts"]})
        return histogram_distance(*([s["counts"].get(name, 0) for name in names] + [s["none"]] for s in (old, new)))
