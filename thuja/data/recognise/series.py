"""Series: whole ones with a label each, units that run until they fail, and tables with a row a step of time."""

from collections.abc import Mapping

import numpy as np

from thuja.core.errors import DataError
from thuja.data.guess import Guess
from thuja.data.rows import Source
from thuja.data.split import times_of
from thuja.data.timeline import DAY, SECOND, Wanted, lay_out, season_of
from thuja.data.turbofan import REMAINING, TIME, UNIT
from thuja.data.windows import context_of

FEWEST = 60
"""Steps of a series from which a forecast is considered."""
HORIZON = 24
CAP = 125
"""Cycles beyond which an engine does not show how long it will last. Source: Heimes 2008, "Recurrent neural networks for remaining useful life estimation"."""


def whole(parts: Mapping[str, Source], target: str | None) -> Guess | None:
    """Rows with columns of number lists, and one column that says what they are."""
    source = _first(parts)
    if not len(source):
        return None
    first = source.take(np.arange(1), tuple(n for n, kind in source.kinds.items() if kind == "other"))
    inputs = [name for name, values in first.items() if _is_series(values[0])]
    rest = [name for name in source.names if name not in inputs and source.kinds[name] in ("number", "text")]
    if not inputs or not rest or (target is not None and target not in rest):
        return None
    target = target or ("label" if "label" in rest else rest[-1])
    lengths = [len(values[0]) for values in first.values()]
    notes = [_rows(parts), f"{len(inputs)} series a row, {lengths[0]} steps in the first; target: {target!r}."]
    return Guess({"kind": "series", "inputs": inputs, "target": target}, {}, notes)


def running(parts: Mapping[str, Source], target: str | None) -> Guess | None:
    """Engines run to failure (`thuja.data.turbofan`)."""
    source = _first(parts)
    if not {UNIT, TIME, REMAINING} <= set(source.names) or target not in (None, REMAINING):
        return None
    varying = [name for name in source.names if source.kinds[name] == "number" and name not in (TIME, REMAINING) and _varies(source, name)]
    notes = [_rows(parts), f"Units run until they fail: the last 30 steps of a unit say how many are left ({REMAINING!r}), and more than {CAP} count as {CAP}.",
             f"{len(varying)} columns that vary are read. Test units are judged at their last step.", f"Split: whole units ({UNIT!r}) stay together."]
    task = {"kind": "series", "unit": UNIT, "time": TIME, "target": REMAINING, "problem": "regression", "inputs": varying, "window": 30, "cap": CAP}
    return Guess(task, {"group": UNIT}, notes)


def steps(parts: Mapping[str, Source], target: str | None) -> Guess | None:
    """A table whose first column of times has equal steps and whose other columns are numbers: how it goes on. A named target must be one of them."""
    source = parts.get("all")
    if source is None or len(source) < FEWEST:
        return None
    times = [name for name, kind in source.kinds.items() if kind == "time"]
    numbers = [name for name, kind in source.kinds.items() if kind == "number"]
    others = [name for name, kind in source.kinds.items() if kind not in ("time", "number")]
    if len(times) != 1 or not numbers or len(others) > 1 or (others and source.kinds[others[0]] != "text") or (target is not None and target not in numbers):
        return None
    series = others[0] if others else None
    moments = times_of(source, times[0])
    if not _equal(moments) if series is None else 2 * len(np.unique(moments)) > len(moments):  # several series share their times
        return None
    try:
        line = lay_out({"train": source}, Wanted(times[0], (), series))
    except DataError:
        return None
    if np.diff(line.offsets).min() < FEWEST:
        return None
    values = [target] if target else numbers
    past = [name for name in numbers if name not in values]
    season = season_of(line)
    notes = [_rows(parts), f"Steps of {_length(line.every)} ({times[0]!r}): how the series go on is to be forecast, {HORIZON} steps ahead (task.horizon).",
             f"To forecast: {', '.join(map(repr, values))}" + (f", for each of {len(line.names)} {series!r}." if series else ".")]
    notes += [f"Only their past is known: {', '.join(map(repr, past))}; what is known in advance belongs into task.known."] if past else []
    notes += [f"A season of {season} steps; {context_of(line, HORIZON)} steps of the past are read."] if season > 1 else []
    notes.append("To learn one column from the others in the same row instead, set task.kind to table.")
    return Guess({"kind": "forecast", "time": times[0], "values": values, "horizon": HORIZON, "past": past} | ({"series": series} if series else {}), {}, notes)


def _first(parts: Mapping[str, Source]) -> Source:
    return parts.get("train") or next(iter(parts.values()))


def _rows(parts: Mapping[str, Source]) -> str:
    return ", ".join(f"{len(part):,} {'rows' if name == 'all' else name + ' rows'}" for name, part in parts.items()) + "."


def _is_series(value: object) -> bool:
    if isinstance(value, np.ndarray):
        return value.ndim == 1 and value.dtype.kind in "fiu"
    return isinstance(value, (list, tuple)) and len(value) > 1 and all(one is None or type(one) in (int, float) for one in value)


def _varies(source: Source, name: str) -> bool:
    values = source.take(np.arange(min(len(source), 4096)), (name,))[name]
    return len(set(values)) > 1


def _equal(times: np.ndarray) -> bool:
    """Whether steps are in order and most of them equal: only then are gaps and duplicates faults, and not the nature of the table."""
    if len(times) < FEWEST or np.isnan(times).any():
        return False
    gaps = np.diff(times)
    usual = np.median(gaps)
    return bool((gaps > 0).all() and usual > 0 and (np.abs(gaps - usual) <= 0.15 * usual).all())


def _length(seconds: float) -> str:
    for name, unit in (("day", DAY), ("hour", 3600.0), ("minute", 60.0)):
        if seconds >= unit:
            return f"{seconds / unit:.3g} {name}s" if round(seconds / unit, 2) != 1 else f"a {name}" if name != "hour" else "an hour"
    return f"{seconds:g} seconds" if seconds * SECOND >= 1 else "a moment"
