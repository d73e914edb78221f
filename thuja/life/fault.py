"""Faults of what comes in: missing cells, impossible numbers, a sensor that has stopped, a feed that is late. Looked for first, and never called drift.

A fault is told of and stops retraining, since learning from broken data is the worst that can happen. So it has to be sure: each rule asks for an effect that
matters, and for more rows than chance would make in ten thousand years of windows (`CHANCE`).
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

from thuja.fields import Category, Number
from thuja.fields.base import Field

CHANCE = 1e-9
"""Of a fault being told of in a window that has none, field by field and rule by rule."""
MORE_MISSING = 0.1
"""Share of rows by which missing (or unknown) ones must have grown."""
OUTSIDE = 0.01
"""Share of numbers that lie farther outside of what was learned on than its whole width."""
STUCK = 50
"""Rows that are all alike, where they were not before."""
LATE = 5.0
"""Times the usual gap between rows that nothing came."""


class Fault(NamedTuple):
    """One thing that is broken."""

    rule: str
    """missing, unknown, range, stuck, refused or late."""
    field: str
    """Empty where it is about no single field."""
    expected: str
    found: str

    def __str__(self) -> str:
        return f"{self.field or 'requests'}: expected {self.expected}, found {self.found}"


def faults(schema: Mapping[str, Field], then: Mapping[str, dict[str, Any]], now: Mapping[str, dict[str, Any]]) -> list[Fault]:
    """What is broken in a window, from summaries (`Field.summarise`) of the reference and of the window, by field."""
    found: list[Fault] = []
    for name, field in schema.items():
        if name not in then or name not in now or not now[name].get("rows"):
            continue
        old, new = then[name], now[name]
        found += _missing(name, old, new)
        if isinstance(field, Number):
            found += _range(name, old, new)
        found += _stuck(name, old, new)
        if isinstance(field, Category) and "other" in new:
            found += _more(name, "unknown", "known names", old, new, "other")
    return found


def refused(requests: int, refusals: int, usual: float = 0.01) -> list[Fault]:
    """Whether more requests than usual could not be read at all."""
    if refusals > (usual + MORE_MISSING) * requests and improbable(refusals, requests, usual):
        return [Fault("refused", "", f"at most {usual:.0%} of requests refused", f"{refusals} of {requests}")]
    return []


def late(since_last: float, usual_gap: float) -> list[Fault]:
    """Whether nothing has come for much longer than usual; seconds both."""
    if usual_gap > 0 and since_last > LATE * usual_gap:
        return [Fault("late", "", f"rows about every {duration(usual_gap)}", f"none for {duration(since_last)}")]
    return []


def improbable(seen: int, rows: int, share: float) -> bool:
    """Whether so many or more of `rows` would be seen less often than CHANCE, were each one with probability `share`."""
    from scipy.special import betainc  # 100 ms to import

    return seen > 0 and float(betainc(seen, rows - seen + 1, min(max(share, 1e-12), 1.0))) < CHANCE


def _missing(name: str, old: dict[str, Any], new: dict[str, Any]) -> list[Fault]:
    return _more(name, "missing", "values", old, new, "missing")


def _more(name: str, rule: str, what: str, old: dict[str, Any], new: dict[str, Any], key: str) -> list[Fault]:
    rows, seen = int(new["rows"]), int(new.get(key) or 0)
    usual = (int(old.get(key) or 0) + 1) / (int(old.get("rows") or 0) + 2)
    if seen > (usual + MORE_MISSING) * rows and improbable(seen, rows, usual):
        return [Fault(rule, name, f"{what} in all but {usual:.1%} of rows", f"{seen} of {rows} {rule}")]
    return []


def _range(name: str, old: dict[str, Any], new: dict[str, Any]) -> list[Fault]:
    """The extremes alone are known, so one wild value cannot be told from many by them; how many lie in the outermost bins can."""
    low, high = old.get("min"), old.get("max")
    if low is None or high is None or new.get("min") is None:
        return []
    width = (high - low) or abs(high) or 1.0
    beyond = [value for value, off in ((new["min"], low - width - new["min"]), (new["max"], new["max"] - high - width)) if off > 0]
    counts, rows = new.get("counts") or [0], int(new["rows"]) - int(new.get("missing") or 0)
    before, total = old.get("counts") or [0], max(1, int(old["rows"]))
    for value in beyond:
        place = 0 if value < low else -1
        seen, usual = int(counts[place]), (int(before[place]) + 1) / (total + 2)
        if seen > (usual + OUTSIDE) * rows and improbable(seen, rows, usual):
            return [Fault("range", name, f"{low:g} to {high:g}", f"up to {value:g}, {seen} of {rows} rows at that end")]
    return []


def _stuck(name: str, old: dict[str, Any], new: dict[str, Any]) -> list[Fault]:
    rows = int(new["rows"]) - int(new.get("missing") or 0)
    if rows < STUCK:
        return []
    if new.get("std") == 0 and (old.get("std") or 0) > 0:
        return [Fault("stuck", name, "values that differ", f"{rows} times {new['mean']:g}")]
    counts = new.get("counts")
    if isinstance(counts, Mapping) and len(counts) > 1 and isinstance(old.get("counts"), Mapping):
        word, seen = max(counts.items(), key=lambda item: item[1])
        share = old["counts"].get(word, 0) / max(1, int(old["rows"]))
        if seen == rows and improbable(seen, rows, min(share + 0.05, 1.0)):
            return [Fault("stuck", name, "values that differ", f"{rows} times {word!r}")]
    return []


def duration(seconds: float) -> str:
    """In the unit that fits.

    >>> duration(42), duration(5400), duration(864000), duration(8.9e8)
    ('42 s', '1.5 h', '10 days', '28.2 years')
    """
    for least, size, unit in ((2, 365.25 * 86400, "years"), (2, 86400, "days"), (1, 3600, "h"), (1, 60, "min")):
        if seconds >= least * size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds:.3g} s"
