"""One of a set of names, and scores over such a set."""

from collections import Counter
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np

from thuja.core.errors import DataError, did_you_mean
from thuja.fields.base import Field, histogram_distance


class Category(Field):
    """One of `names`; a name never seen in training is allowed where `unknown` is, and counts as unknown."""

    kind: Literal["category"] = "category"
    names: tuple[str, ...] = ()
    missing: bool = False
    """Whether the value may be absent."""
    unknown: bool = False
    """Whether a name outside `names` is taken (as an input); an output never is."""

    def check(self, value: Any, where: str) -> None:
        if value is None or value == "":
            if not self.missing:
                raise DataError(where, expected="a name", found="nothing", fix="Give a value, or allow missing values in the spec and train again.")
            return
        if isinstance(value, (list, dict, bytes)):
            raise DataError(where, expected="a name", found=type(value).__name__, fix="Send plain text.")
        if not self.unknown and str(value) not in self.names:
            raise DataError(where, expected="a known name", found=repr(value)[:60], fix=did_you_mean(str(value), self.names[:50]))

    def to_json(self, value: Any) -> Any:
        return None if value is None else str(value)

    def from_json(self, value: Any, where: str) -> str | None:
        self.check(value, where)
        return None if value is None or value == "" else str(value)

    def json_schema(self) -> dict[str, Any]:
        schema: dict[str, Any] = {"type": ["string", "null"] if self.missing else "string"}
        if not self.unknown and len(self.names) <= 1000:
            schema["enum"] = [*self.names, *([None] if self.missing else [])]
        elif self.names:
            schema["examples"] = list(self.names[:20])
        return schema | ({"description": self.description} if self.description else {})

    def fake(self, rng: np.random.Generator, count: int) -> list[Any]:
        names: list[Any] = list(self.names[:50]) or ["a"]
        if self.missing:
            names.append(None)
        if self.unknown:
            names.append("never seen")
        return [names[int(i)] for i in rng.integers(len(names), size=count)]

    def summarise(self, values: Sequence[Any]) -> dict[str, Any]:
        counts: Counter[str] = Counter()
        for value, times in Counter(values).items():  # each of a million cells in Python would take ten times as long
            counts["" if value is None else str(value)] += times
        known = {name: counts.get(name, 0) for name in self.names[:1000]}
        missing = counts.get("", 0)
        return {"rows": len(values), "missing": missing, "counts": known, "other": len(values) - missing - sum(known.values())}

    def distance(self, old: dict[str, Any], new: dict[str, Any]) -> float:
        names = sorted({*old["counts"], *new["counts"]})
        flat = [[s["counts"].get(n, 0) for n in names] + [s["missing"], s["other"]] for s in (old, new)]
        return histogram_distance(*flat)


class Scores(Field):
    """A probability for each of `names`; an output only."""

    kind: Literal["scores"] = "scores"
    names: tuple[str, ...] = ()

    def check(self, value: Any, where: str) -> None:
        if not isinstance(value, dict) or set(value) != set(self.names):
            raise DataError(where, expected=f"a score for each of {len(self.names)} names", found=type(value).__name__, fix="Give all names.")

    def to_json(self, value: Any) -> Any:
        return {name: float(score) for name, score in value.items()}

    def from_json(self, value: Any, where: str) -> dict[str, float]:
        self.check(value, where)
        return {name: float(value[name]) for name in self.names}

    def json_schema(self) -> dict[str, Any]:
        score = {"type": "number", "minimum": 0, "maximum": 1}
        return {"type": "object", "properties": dict.fromkeys(self.names, score), "required": list(self.names)}

    def fake(self, rng: np.random.Generator, count: int) -> list[Any]:
        draws = rng.dirichlet(np.ones(max(len(self.names), 1)), size=count)
        return [dict(zip(self.names, map(float, row), strict=False)) for row in draws]

    def summarise(self, values: Sequence[Any]) -> dict[str, Any]:
        best = [max(v.values()) for v in values] or [0.0]
        return {"rows": len(values), "counts": np.histogram(best, bins=20, range=(0, 1))[0].tolist(), "mean": float(np.mean(best))}

    def distance(self, old: dict[str, Any], new: dict[str, Any]) -> float:
        return histogram_distance(old["counts"], new["counts"])
