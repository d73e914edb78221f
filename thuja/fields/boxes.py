"""Things found in a picture: a list of boxes with a name each, and with a score where they were found rather than drawn."""

import math
from collections import Counter
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np

from thuja.core.errors import DataError, did_you_mean
from thuja.fields.base import Field, histogram_distance

KEYS = frozenset({"label", "box", "score", "ignore"})
NAME = 200
"""Characters of the longest name of a class."""
FORM = 'Write {"label": name, "box": [left, top, right, bottom]}, in pixels of the upright picture.'


class Boxes(Field):
    """A list of `{"label": name, "box": [left, top, right, bottom]}`, in pixels of the picture once it is turned upright by its EXIF tag; 0, 0 is its upper
    left corner, and right and bottom are where the box ends. Found boxes have a `score` too, drawn ones may say `"ignore": true`: neither learned nor counted.
    """

    kind: Literal["boxes"] = "boxes"
    names: tuple[str, ...] = ()
    """The classes; empty: any name."""
    most: int = 100
    """Boxes of the longest list."""
    threshold: float = 0.0
    """Least score of a box that is answered."""
    overlap: float = 0.5
    """Of two boxes of one class whose intersection over union is larger, the one with the smaller score is left out."""

    @property
    def most_values(self) -> int:
        return max(2, 6 * self.most)

    def check(self, value: Any, where: str) -> None:
        if not isinstance(value, (list, tuple)) or len(value) > self.most:
            raise DataError(where, expected=f"a list of at most {self.most} boxes", found=_kind(value), fix=FORM)
        for place, entry in enumerate(value):
            self._check_one(entry, f"{where}[{place}]")

    def _check_one(self, entry: Any, where: str) -> None:
        if not isinstance(entry, dict) or not {"label", "box"} <= set(entry) <= KEYS:
            raise DataError(where, expected="a label and a box", found=str(entry)[:60], fix=FORM)
        label, box, score = entry["label"], entry["box"], entry.get("score", 1.0)
        if not isinstance(label, str) or not label or len(label) > NAME:
            raise DataError(f"{where}.label", expected=f"a name of 1 to {NAME} characters", found=str(label)[:60], fix=FORM)
        if self.names and label not in self.names:
            raise DataError(f"{where}.label", expected="a known class", found=repr(label)[:60], fix=did_you_mean(label, self.names[:50]))
        if not isinstance(box, (list, tuple, np.ndarray)) or len(box) != 4 or not all(map(_finite, box)):
            raise DataError(f"{where}.box", expected="four numbers", found=str(box)[:60], fix=FORM)
        if not _finite(score) or not 0 <= score <= 1:
            raise DataError(f"{where}.score", expected="a number from 0 to 1", found=str(score)[:60], fix="Leave it out where it is not known.")

    def to_json(self, value: Any) -> Any:
        return [_plain(entry) for entry in value]

    def from_json(self, value: Any, where: str) -> list[dict[str, Any]]:
        self.check(value, where)
        return [_plain(entry) for entry in value]

    def json_schema(self) -> dict[str, Any]:
        label: dict[str, Any] = {"type": "string", "minLength": 1, "maxLength": NAME} | ({"enum": list(self.names)} if 0 < len(self.names) <= 1000 else {})
        box = {"type": "array", "items": {"type": "number"}, "minItems": 4, "maxItems": 4, "description": "left, top, right, bottom in pixels"}
        properties = {"label": label, "box": box, "score": {"type": "number", "minimum": 0, "maximum": 1}, "ignore": {"type": "boolean"}}
        entry = {"type": "object", "properties": properties, "required": ["label", "box"], "additionalProperties": False}
        schema: dict[str, Any] = {"type": "array", "items": entry, "maxItems": self.most}
        return schema | ({"description": self.description} if self.description else {})

    def fake(self, rng: np.random.Generator, count: int) -> list[Any]:
        names = self.names or ("a", "b")
        found = []
        for _ in range(count):
            first, size = rng.integers(0, 40, size=(int(rng.integers(0, min(4, self.most + 1))), 2)), rng.integers(1, 30, size=(4, 2))
            found.append([{"label": names[int(rng.integers(len(names)))], "box": [float(x), float(y), float(x + w), float(y + h)],
                           "score": float(np.round(rng.uniform(self.threshold, 1), 6))} for (x, y), (w, h) in zip(first, size, strict=False)])
        return found

    def summarise(self, values: Sequence[Any]) -> dict[str, Any]:
        entries = [entry for value in values for entry in value]
        counts = Counter(entry["label"] for entry in entries)
        sides = [math.sqrt(max((entry["box"][2] - entry["box"][0]) * (entry["box"][3] - entry["box"][1]), 1.0)) for entry in entries]
        known = self.names or tuple(sorted(counts))
        return {"rows": len(values), "number": np.histogram([len(value) for value in values], bins=20, range=(0, max(20, self.most)))[0].tolist(),
                "side": np.histogram(np.log2(np.array(sides or [1.0])), bins=26, range=(0, 13))[0].tolist(),
                "counts": {name: counts.get(name, 0) for name in known}, "other": counts.total() - sum(counts.get(name, 0) for name in known)}

    def distance(self, old: dict[str, Any], new: dict[str, Any]) -> float:
        names = list(dict.fromkeys([*old["counts"], *new["counts"]]))
        labels = [[*(summary["counts"].get(name, 0) for name in names), summary["other"]] for summary in (old, new)]
        return max(histogram_distance(*labels), *(histogram_distance(old[key], new[key]) for key in ("number", "side")))

    def apart(self, expected: Any, found: Any, tolerance: float) -> float:
        """How far two answers to one picture are apart: the largest difference of a score, or of a side as a share of the box's longer one (of a pixel where
        it is smaller); -1 where they differ only by decisions that are nearer to the threshold or the overlap than `tolerance`; else infinity."""
        if not isinstance(found, list):
            return math.inf
        pairs, alone = _paired(expected, found)
        largest = max((_difference(one, other) for one, other in pairs), default=0.0)
        if not alone:
            return largest
        kept = [*expected, *found]
        excused = all(entry["score"] <= self.threshold + tolerance or len(kept) >= 2 * self.most
                      or any(abs(overlap(entry, other) - self.overlap) <= tolerance for other in kept if other is not entry) for entry in alone)
        return -1.0 if excused and largest <= tolerance else math.inf


def overlap(one: dict[str, Any], other: dict[str, Any]) -> float:
    """Intersection over union of two entries of one class; 0 where the classes differ."""
    if one["label"] != other["label"]:
        return 0.0
    (a, b, c, d), (e, f, g, h) = one["box"], other["box"]
    common = max(0.0, min(c, g) - max(a, e)) * max(0.0, min(d, h) - max(b, f))
    union = (c - a) * (d - b) + (g - e) * (h - f) - common
    return float(common / union) if union > 0 else 0.0


def usable(corners: np.ndarray, size: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Boxes [n, 4] cut off at the edges of their pictures, of width and height `size` [2] or [n, 2], and bool [n]: which of them are boxes. One that is
    inverted, of no width or height, or wholly outside, is none."""
    inside = np.clip(corners, 0, np.tile(size, 2))
    return inside, (inside[:, 2] > inside[:, 0]) & (inside[:, 3] > inside[:, 1])


def _paired(expected: list[dict[str, Any]], found: list[dict[str, Any]]) -> tuple[list[tuple[dict[str, Any], dict[str, Any]]], list[dict[str, Any]]]:
    """Each box with the likest one of the same class that is left, if they overlap by half or differ little; and those that are alone, of both lists."""
    left, pairs, alone = list(found), [], []
    for entry in expected:
        alike = [other for other in left if other["label"] == entry["label"]]
        best = min(alike, key=lambda other: _difference(entry, other), default=None)
        if best is None or _difference(entry, best) > 0.1:
            alone.append(entry)
        else:
            pairs.append((entry, best))
            left = [other for other in left if other is not best]
    return pairs, alone + left


def _difference(one: dict[str, Any], other: dict[str, Any]) -> float:
    side = max(one["box"][2] - one["box"][0], one["box"][3] - one["box"][1], 1.0)
    return float(max(abs(one["score"] - other["score"]), max(abs(a - b) for a, b in zip(one["box"], other["box"], strict=True)) / side))


def _plain(entry: dict[str, Any]) -> dict[str, Any]:
    plain: dict[str, Any] = {"label": str(entry["label"]), "box": [float(v) for v in entry["box"]]}
    if "score" in entry:
        plain["score"] = float(entry["score"])
    return plain | ({"ignore": True} if entry.get("ignore") else {})


def _finite(value: Any) -> bool:
    return isinstance(value, (int, float, np.integer, np.floating)) and not isinstance(value, bool) and math.isfinite(value)


def _kind(value: Any) -> str:
    return "nothing" if value is None else f"{len(value)} of them" if isinstance(value, (list, tuple)) else type(value).__name__
