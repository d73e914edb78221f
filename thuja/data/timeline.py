"""A table of time steps as equal steps of one or several series: order, duplicates and gaps are looked at here, once, and nothing is mended in silence."""

import re
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from thuja.core.errors import DataError, SpecError, did_you_mean
from thuja.data.rows import Source, column
from thuja.data.split import times_of

PARTS = ("train", "validation", "test")
SECOND = 1e6
"""Times are counted in microseconds."""
DAY = 86_400.0
MONTH = DAY * 365.2425 / 12
UNITS = {"s": 1.0, "min": 60.0, "h": 3600.0, "d": DAY, "w": 7 * DAY}
SMALL = 1e-6
"""Share of a step by which two steps may differ and still count as equal."""


class Wanted(NamedTuple):
    """Which columns of the table are what."""

    time: str
    values: tuple[str, ...]
    """Columns of numbers that are kept."""
    series: str | None = None
    """The column that names the series a row belongs to."""
    resample: str | None = None
    """Length of the steps that are wanted, such as "15min", "1h", "1d"; None: those of the table, which must be equal."""


class Timeline(NamedTuple):
    """All series one after the other, each in equal steps."""

    names: tuple[str, ...]
    """Of the series, in the order of the table; one empty name where no column names them."""
    offsets: np.ndarray
    """int64 [series + 1]: series i has the steps offsets[i] to offsets[i + 1] - 1."""
    times: np.ndarray
    """float64 [steps]: microseconds since 1970, or plain numbers."""
    part: np.ndarray
    """int8 [steps]: the place in `PARTS`."""
    values: dict[str, np.ndarray]
    """float64 [steps] by column; NaN is missing."""
    every: float
    """Seconds (or units of a plain number) from one step to the next; a month counts as its mean length."""
    clock: bool
    """Whether times are moments rather than plain numbers."""


class _Rows(NamedTuple):
    """The rows of all parts, as they lie in the table."""

    times: np.ndarray
    series: np.ndarray
    """int64 [rows]: the number of the series."""
    part: np.ndarray
    places: np.ndarray
    """Places in the part's source."""
    names: tuple[str, ...]
    values: dict[str, np.ndarray]


def lay_out(parts: Mapping[str, Source], wanted: Wanted) -> Timeline:
    """The series of all parts, in memory (8 bytes a cell).

    Raises: DataError for an absent or unsuitable column, a missing time, times that are not in order or come twice (unless `resample` averages them), steps
    of different lengths (unless `resample` asks for equal ones), or parts that do not follow each other in time; each names the row. SpecError for a
    `resample` that is no length of time.
    """
    clock = _check_columns(parts, wanted)
    rows = _gather(parts, wanted)
    _check_times(parts, rows, wanted)
    if wanted.resample is not None:
        return _resampled(rows, _length(wanted.resample, clock) * (SECOND if clock else 1.0), clock)
    months = _months(rows) if clock else None
    position = rows.times if months is None else months
    every = _check_steps(parts, rows, position, wanted, clock)
    seconds = every * MONTH if months is not None else every / SECOND if clock else every
    return Timeline(rows.names, _offsets(rows.series, len(rows.names)), rows.times, rows.part, rows.values, seconds, clock)


def _check_columns(parts: Mapping[str, Source], wanted: Wanted) -> bool:
    source = parts["train"]
    for name in (wanted.time, *wanted.values, *([wanted.series] if wanted.series else [])):
        if name not in source.names:
            raise DataError(name, expected="a column of this name", found=f"{len(source.names)} others", fix=did_you_mean(name, source.names))
    for name in wanted.values:
        if source.kinds[name] != "number":
            raise DataError(f"data: {name}", expected="a column of numbers", found=f"one of kind {source.kinds[name]}",
                            fix="Leave it out, or add what marks a missing cell to data.missing.")
    return source.kinds[wanted.time] == "time"


def _gather(parts: Mapping[str, Source], wanted: Wanted) -> _Rows:
    """All rows, series by series in the order of the table, parts in their order."""
    given = [(PARTS.index(name), parts[name]) for name in PARTS if name in parts]
    times = np.concatenate([times_of(source, wanted.time) for _, source in given])
    names = [str(v) for _, source in given for v in column(source, wanted.series)] if wanted.series else []
    known = {name: i for i, name in enumerate(dict.fromkeys(names))}
    series = np.array([known[name] for name in names], np.int64) if names else np.zeros(len(times), np.int64)
    part = np.concatenate([np.full(len(source), which, np.int8) for which, source in given])
    places = np.concatenate([np.arange(len(source)) for _, source in given])
    order = np.argsort(series, kind="stable")
    values = {name: np.concatenate([np.array(column(source, name), np.float64) for _, source in given])[order] for name in wanted.values}
    return _Rows(times[order], series[order], part[order], places[order], tuple(known) or ("",), values)


def _offsets(series: np.ndarray, count: int) -> np.ndarray:
    return np.searchsorted(series, np.arange(count + 1)).astype(np.int64)


def _check_times(parts: Mapping[str, Source], rows: _Rows, wanted: Wanted) -> None:
    """Every row has a time, and within a series each is later than the one before (with `resample`: not earlier)."""
    absent = np.flatnonzero(np.isnan(rows.times))
    if len(absent):
        raise DataError(_where(parts, rows, int(absent[0]), wanted.time), expected="a time in every row", found="nothing", fix="Fill it in, or remove the row.")
    back = np.diff(rows.times)
    wrong = ((back < 0) if wanted.resample else (back <= 0)) & (rows.series[1:] == rows.series[:-1])
    if not wrong.any():
        return
    place = int(wrong.argmax()) + 1
    where, now, before = _where(parts, rows, place, wanted.time), _shown(rows.times[place], parts, wanted), _shown(rows.times[place - 1], parts, wanted)
    of = f" of {rows.names[rows.series[place]]!r}" if wanted.series else ""
    if back[place - 1] == 0:
        fix = ("Clocks that are put back show an hour twice: write times in UTC. Or " if _around_clock_change(now) else "Remove one, or ") + (
            "name the column that tells the series apart in task.series, or set task.resample to average them.")
        raise DataError(where, expected=f"a time{of} that comes once", found=f"{now} twice", fix=fix)
    if rows.part[place] != rows.part[place - 1]:
        raise DataError("data.split", expected="parts that follow each other in time", found=f"{where} ({now}) after {before}",
                        fix=f"Split by time: data.split: {{kind: time, column: {wanted.time}}}.")
    raise DataError(where, expected=f"a time{of} after {before}, that of the row before", found=now, fix="Sort the rows by time.")


def _check_steps(parts: Mapping[str, Source], rows: _Rows, position: np.ndarray, wanted: Wanted, clock: bool) -> float:
    """The length of all steps, the same throughout."""
    inside = rows.series[1:] == rows.series[:-1]
    steps = np.diff(position)
    if not inside.any():
        raise DataError(wanted.time, expected="at least two steps in a series", found="one", fix="Give more of the past.")
    lengths, counts = np.unique(steps[inside], return_counts=True)
    every = float(lengths[counts.argmax()])
    wrong = inside & (np.abs(steps - every) > SMALL * every)
    if not wrong.any():
        return every
    place = int(wrong.argmax()) + 1
    now, before = _shown(rows.times[place], parts, wanted), _shown(rows.times[place - 1], parts, wanted)
    hour = clock and abs(steps[place - 1] - every) == 3600 * SECOND and _around_clock_change(before)
    usual = _words(every / SECOND) if clock and every > 1000 else f"{every:g}"
    fix = ("Clocks that are put forward or back do this: write times in UTC. Or set" if hour else "Add the missing rows, or set") + (
        " task.resample, such as 1h: steps are then averaged, and those without a value are gaps.")
    count = f" ({int(wrong.sum())} such places)" if wrong.sum() > 1 else ""
    raise DataError(_where(parts, rows, place, wanted.time), expected=f"steps of {usual}", found=f"{before}, then {now}{count}", fix=fix)


def _where(parts: Mapping[str, Source], rows: _Rows, place: int, name: str) -> str:
    source = parts[PARTS[rows.part[place]]]
    return f"{source.ids(rows.places[place : place + 1])[0]}: {name}"


def _shown(time: float, parts: Mapping[str, Source], wanted: Wanted) -> str:
    if parts["train"].kinds[wanted.time] != "time":
        return f"{time:g}"
    return str(np.datetime64(int(time), "us").astype("datetime64[s]")).replace("T", " ")


def _around_clock_change(time: str) -> bool:
    """Whether clocks are changed somewhere at such a time: early on a Sunday from March to April or from September to November."""
    moment = np.datetime64(time.replace(" ", "T"))
    weekday = (int(moment.astype("datetime64[D]").astype(int)) + 3) % 7  # 1970 began on a Thursday
    return weekday == 6 and int(time[5:7]) in (3, 4, 9, 10, 11) and int(time[11:13] or 0) <= 4


def _months(rows: _Rows) -> np.ndarray | None:
    """Months since 1970 [rows], where steps are calendar months, quarters or years: first days, always at the same hour; else None."""
    moments = rows.times.astype(np.int64).astype("datetime64[us]")
    month = moments.astype("datetime64[M]")
    into = moments - month
    gaps = np.diff(rows.times)[rows.series[1:] == rows.series[:-1]]
    if not len(gaps) or gaps.min() < 27 * DAY * SECOND or len(np.unique(into)) > 1:
        return None
    return month.astype(np.int64).astype(np.float64)


def _words(seconds: float) -> str:
    for name, unit in (("day", DAY), ("hour", 3600.0), ("minute", 60.0)):
        if seconds >= unit and seconds % unit == 0:
            count = int(seconds // unit)
            return f"{count} {name}{'s' if count > 1 else ''}"
    return f"{seconds:g} seconds"


def _length(resample: str, clock: bool) -> float:
    """Seconds, or plain units. Raises: SpecError.

    >>> _length("15min", True), _length("1d", True), _length("5", False)
    (900.0, 86400.0, 5.0)
    """
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*(s|min|h|d|w)?", resample)
    if found is None or float(found[1]) <= 0 or (found[2] is None) == clock:
        expected = "a length such as 15min, 1h, 1d or 1w" if clock else "a plain number, as the times are"
        raise SpecError("task.resample", expected=expected, found=repr(resample), fix="Write a number and a unit." if clock else "Leave the unit out.")
    return float(found[1]) * UNITS.get(found[2] or "", 1.0)


def _resampled(rows: _Rows, every: float, clock: bool) -> Timeline:
    """Means over steps of equal length; a step without any value is a gap, and belongs to the part of the step before it. A step with rows of two parts
    belongs to the later one, so that nothing of it is learned."""
    bins = np.floor(rows.times / every).astype(np.int64)
    count = len(rows.names)
    edges = _offsets(rows.series, count)
    first, last = bins[edges[:-1]], bins[edges[1:] - 1]
    offsets = np.concatenate([np.zeros(1, np.int64), np.cumsum(last - first + 1)])
    place = offsets[rows.series] + bins - first[rows.series]
    steps = int(offsets[-1])
    values = {}
    for name, cells in rows.values.items():
        there = ~np.isnan(cells)
        sums, counts = np.bincount(place[there], cells[there], steps), np.bincount(place[there], minlength=steps)
        values[name] = np.where(counts > 0, sums / np.maximum(counts, 1), np.nan)
    part = np.full(steps, -1, np.int64)
    np.maximum.at(part, place, rows.part)
    latest = np.maximum.accumulate(np.where(part >= 0, np.arange(steps), 0))
    times = np.concatenate([np.arange(low, high + 1) for low, high in zip(first, last, strict=True)]) * every
    return Timeline(rows.names, offsets, times, part[latest].astype(np.int8), values, every / SECOND if clock else every, clock)


def season_of(line: Timeline) -> int:
    """Steps of the cycle that is to be expected: a day, or a week of days, a year of weeks, months or quarters; 1 where none is.

    Source: Makridakis et al. 2020, "The M4 competition", table 1 (hourly 24, daily 1, weekly 1, monthly 12, quarterly 4); differs: days have a week, weeks a
    year, and steps shorter than an hour a day.
    """
    if not line.clock:
        return 1
    for cycle in (DAY, 7 * DAY, 12 * MONTH):
        steps = cycle / line.every
        if steps >= 2:
            return round(steps)
    return 1
