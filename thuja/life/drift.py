"""How far what comes in has moved from what the model learned on, field by field: an explanation, never an alarm.

Fields summarise values as counts in fixed bins (`Field.summarise`), so summaries of two hours add up to that of both, and the reference is a summary inside the
artefact, not the data. A distance is only worth a look beyond what chance alone makes of so few rows, so that is told with it.

Source: total variation distance; its mean under no change from the normal approximation of multinomial counts (Berend and Kontorovich 2012 bound the same).
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from thuja.fields import Schema
from thuja.fields.base import Field

Summary = dict[str, Any]


class Moved(NamedTuple):
    """One field, then and now."""

    field: str
    distance: float
    """0 (alike) to 1."""
    noise: float
    """The distance to be expected of as many rows when nothing has changed."""
    rows: int

    @property
    def beyond(self) -> float:
        """What chance does not explain; 0 or more."""
        return max(0.0, self.distance - 2 * self.noise)


def merged(parts: Sequence[Summary]) -> Summary:
    """One summary for rows that were summarised apart: counts add up, means and spreads are those of all rows together."""
    assert parts, "there is nothing to add"
    if len(parts) == 1:
        return dict(parts[0])
    weights = [_weight(part) for part in parts]
    return {name: _merged(name, [part.get(name) for part in parts], weights, parts) for name in parts[0]}


def _merged(name: str, values: Sequence[Any], weights: Sequence[int], parts: Sequence[Summary]) -> Any:
    there = [(value, weight) for value, weight in zip(values, weights, strict=True) if value is not None and weight]
    if name in ("min", "max"):
        known = [value for value in values if value is not None]
        return (min if name == "min" else max)(known) if known else None
    if name.startswith("mean") or name == "std":
        if not there:
            return None
        total = sum(weight for _, weight in there)
        if name != "std":
            return sum(value * weight for value, weight in there) / total
        mean = _merged("mean", [part.get("mean") for part in parts], weights, parts)
        squares = sum(weight * (std**2 + (part["mean"] - mean) ** 2) for std, weight, part in zip(values, weights, parts, strict=True) if std is not None)
        return math.sqrt(squares / total)
    return _added(list(values))


def _added(values: list[Any]) -> Any:
    first = next((value for value in values if value is not None), None)
    if isinstance(first, Mapping):
        names = list(dict.fromkeys(name for value in values if value for name in value))
        return {name: sum(value.get(name, 0) for value in values if value) for name in names}
    if isinstance(first, list):
        return np.sum([value for value in values if value is not None], axis=0).tolist()
    return None if first is None else sum(value for value in values if value is not None)


def moved(schema: Mapping[str, Field], then: Mapping[str, Summary], now: Mapping[str, Summary]) -> list[Moved]:
    """Every field that both periods have, what chance explains least first."""
    found = [Moved(name, field.distance(then[name], now[name]), noise(then[name], now[name]), int(now[name].get("rows", 0)))
             for name, field in schema.items() if name in then and name in now and now[name].get("rows", 0)]
    return sorted(found, key=lambda one: (-one.beyond, one.field))


def noise(then: Summary, now: Summary) -> float:
    """The largest distance that any histogram of two summaries would have on average if both were drawn from the same rows."""
    return max((_noise(counts, now[name]) for name, counts in then.items() if name in now and (isinstance(counts, (list, Mapping)))), default=0.0)


def _noise(old: Any, new: Any) -> float:
    names = list(dict.fromkeys([*old, *new])) if isinstance(old, Mapping) else []
    a, b = (np.array([value.get(name, 0) for name in names] if names else value, float) for value in (old, new))
    if a.shape != b.shape or not a.sum() or not b.sum():
        return 0.0
    share = (a + b) / (a.sum() + b.sum())
    return float(np.sqrt(share * (1 - share) * (1 / a.sum() + 1 / b.sum()) * 2 / math.pi).sum() / 2)


def _weight(part: Summary) -> int:
    """How many values a mean is of: those in its bins, of which a series has many a row; else the rows that have one."""
    counts = part.get("counts")
    return sum(counts) if isinstance(counts, list) else max(0, part.get("rows", 0) - part.get("missing", 0))


def summarised(schema: Schema, rows: Mapping[str, Sequence[Any]]) -> dict[str, Summary]:
    """A summary of every input field that the rows have."""
    return {name: field.summarise(rows[name]) for name, field in schema.inputs.items() if name in rows}
