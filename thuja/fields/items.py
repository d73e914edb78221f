"""Things of a catalogue: a list of them in order, such as what a person took so far, and a ranking of them, which is what a recommender answers."""

import math
from collections import Counter
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np

from thuja.core.errors import DataError
from thuja.fields.base import Field, histogram_distance

NAME = 1000
"""Characters of the longest name of an item."""
UNKNOWN = "never seen"
LARGEST_BITS = 1023
"""Of a whole number that is taken for a name; JSON readers differ beyond a double."""
BINS = 20


class Items(Field):
    """Names of items in order, the latest last. A name that is not in the catalogue is taken: what becomes of it, the application says."""

    kind: Literal["items"] = "items"
    longest: int = 1000
    """Most names taken; a longer list is refused."""
    missing: bool = False
    """Whether nothing need be given, which is an empty list."""
    examples: tuple[str, ...] = ()
    """Some names of the catalogue, for forms, tests and the summary."""

    @property
    def most_values(self) -> int:
        return max(2, self.longest)

    def check(self, value: Any, where: str) -> None:
        if value is None and self.missing:
            return
        if not isinstance(value, (list, tuple)):
            raise DataError(where, expected="a list of names", found=_kind(value), fix='Send a list such as ["first", "second"], the latest last.')
        if not value and not self.missing:
            raise DataError(where, expected="at least one name", found="an empty list", fix="Send what was taken so far, the latest last.")
        if len(value) > self.longest:
            raise DataError(where, expected=f"at most {self.longest} names", found=str(len(value)), fix="Send the latest ones.")
        for place, name in enumerate(value):
            if not isinstance(name, str) or not name or len(name) > NAME:
                found = _kind(name) if not isinstance(name, str) else f"{len(name)} characters"
                raise DataError(f"{where}[{place}]", expected=f"a name of 1 to {NAME} characters", found=found, fix="Send names of items as text.")

    def to_json(self, value: Any) -> Any:
        return [str(name) for name in value or ()]

    def from_json(self, value: Any, where: str) -> list[str]:
        """A list of names; whole numbers are names too, and a text has one on each line, as a form sends it."""
        if isinstance(value, str):
            value = [line.strip() for line in value.splitlines() if line.strip()]
        if isinstance(value, list):
            value = [str(int(name)) if _whole(name) else name for name in value]
        self.check(value, where)
        return list(value or ())

    def json_schema(self) -> dict[str, Any]:
        name = {"type": ["string", "integer"], "minLength": 1, "maxLength": NAME}
        schema: dict[str, Any] = {"type": ["array", "null"] if self.missing else "array", "items": name, "maxItems": self.longest}
        if not self.missing:
            schema["minItems"] = 1
        if self.examples:
            schema["examples"] = [list(self.examples[:3])]
        return schema | ({"description": self.description} if self.description else {})

    def fake(self, rng: np.random.Generator, count: int) -> list[Any]:
        names = [*(self.examples or ("a", "b", "c", "d")), UNKNOWN]
        least = 0 if self.missing else 1
        lengths = rng.integers(least, min(13, self.longest + 1), size=count)
        lengths[3::7] = least
        return [[names[int(i)] for i in rng.integers(len(names), size=int(length))] for length in lengths]

    def summarise(self, values: Sequence[Any]) -> dict[str, Any]:
        lengths = np.array([len(value or ()) for value in values] or [0])
        return {"rows": len(values), "mean_length": float(lengths.mean()),
                "lengths": np.histogram(np.log2(lengths + 1), bins=BINS, range=(0, 20))[0].tolist(),
                **_counted((name for value in values for name in value or ()), self.examples)}

    def distance(self, old: dict[str, Any], new: dict[str, Any]) -> float:
        return max(histogram_distance(old["lengths"], new["lengths"]), _names_apart(old, new))


class Ranking(Field):
    """Items with a score each, the best first: a list of `{"item": ..., "score": ...}`."""

    kind: Literal["ranking"] = "ranking"
    most: int = 10
    """Items of the longest ranking."""
    examples: tuple[str, ...] = ()
    """Some names of the catalogue, for tests and the summary."""

    @property
    def most_values(self) -> int:
        return max(2, self.most)

    def check(self, value: Any, where: str) -> None:
        if not isinstance(value, (list, tuple)) or len(value) > self.most:
            raise DataError(where, expected=f"a list of at most {self.most} items with their scores", found=_kind(value), fix="Give the best ones.")
        last = math.inf
        for place, entry in enumerate(value):
            good = isinstance(entry, dict) and set(entry) == {"item", "score"} and isinstance(entry["item"], str) and _finite(entry["score"])
            if not good or entry["score"] > last:
                raise DataError(f"{where}[{place}]", expected="an item and its score, not above the one before", found=str(entry)[:60],
                                fix='Write {"item": name, "score": number}, the best first.')
            last = entry["score"]

    def to_json(self, value: Any) -> Any:
        return [{"item": str(entry["item"]), "score": float(entry["score"])} for entry in value]

    def from_json(self, value: Any, where: str) -> list[dict[str, Any]]:
        self.check(value, where)
        return [dict(entry) for entry in value]

    def json_schema(self) -> dict[str, Any]:
        entry = {"type": "object", "properties": {"item": {"type": "string"}, "score": {"type": "number"}}, "required": ["item", "score"]}
        schema = {"type": "array", "items": entry, "maxItems": self.most}
        return schema | ({"description": self.description} if self.description else {})

    def fake(self, rng: np.random.Generator, count: int) -> list[Any]:
        names = list(self.examples or ("a", "b", "c", "d"))[: self.most]
        orders = [rng.permutation(len(names)) for _ in range(count)]
        return [[{"item": names[i], "score": float(score)} for i, score in zip(order, -np.sort(-rng.random(len(names))), strict=True)] for order in orders]

    def summarise(self, values: Sequence[Any]) -> dict[str, Any]:
        lengths = np.array([len(value) for value in values] or [0])
        best = [value[0]["score"] for value in values if value]
        return {"rows": len(values), "mean_length": float(lengths.mean()), "mean_best": float(np.mean(best)) if best else None,
                **_counted((entry["item"] for value in values for entry in value), self.examples)}

    def distance(self, old: dict[str, Any], new: dict[str, Any]) -> float:
        return _names_apart(old, new)


def _counted(names: Any, known: tuple[str, ...]) -> dict[str, Any]:
    counts = Counter(names)
    return {"counts": {name: counts.get(name, 0) for name in known}, "other": counts.total() - sum(counts.get(name, 0) for name in known)}


def _names_apart(old: dict[str, Any], new: dict[str, Any]) -> float:
    names = list(dict.fromkeys([*old["counts"], *new["counts"]]))
    return histogram_distance([*(old["counts"].get(n, 0) for n in names), old["other"]], [*(new["counts"].get(n, 0) for n in names), new["other"]])


def _whole(value: Any) -> bool:
    if isinstance(value, float):
        return value.is_integer() and abs(value) < 2**53
    return isinstance(value, int) and not isinstance(value, bool) and value.bit_length() <= LARGEST_BITS


def _finite(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def _kind(value: Any) -> str:
    return "nothing" if value is None else f"{len(value)} of them" if isinstance(value, (list, tuple)) else type(value).__name__
