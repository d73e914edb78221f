"""Windows of series as rows: some of the past, and what came then. Cut from one table of time steps, by time alone.

Windows lie over each other, so that as rows they take (context + horizon) * 4 bytes each in the cache; kept as steps they would take a five-hundredth. Measured
on ETTh1 (7 columns, windows of 504 + 96 steps, one core): 56,000 training windows are 135 MB, read, cut and encoded in 3 seconds; a batch of 256 is gathered in
0.3 ms, where a step of the smallest network takes 11. Steps gathered in `batches` would save the disk, and cost every other part of the engine (evaluation,
export, checks) its plain rows. So they are rows, and the windows of a large table start at every second, third ... step such that those of a part take at most
`MOST` bytes.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

import numpy as np

from thuja.codec import Rows
from thuja.core import digest
from thuja.core.errors import DataError
from thuja.data.rows import Bad, Kind, Source, hash_rows, in_batches
from thuja.data.timeline import PARTS, SECOND, Timeline, Wanted, lay_out, season_of

HISTORY, FUTURE, START, SERIES = "history", "future", "start", "series"
MOST = 1 << 28
"""Bytes of the encoded windows of a part."""
SEASONS = 14
"""Of the past that are read, where the spec does not say: two weeks of hours, or of days with a week each."""
LONGEST = 512


class Plan(NamedTuple):
    """What is cut."""

    time: str
    values: tuple[str, ...]
    """Columns to forecast: each is a series of its own."""
    horizon: int
    context: int | None = None
    """Steps of the past; None: by the rule of `context_of`."""
    series: str | None = None
    known: tuple[str, ...] = ()
    """Columns that are known in advance: windows hold their past and their future."""
    past: tuple[str, ...] = ()
    """Other columns whose past helps."""
    stride: int | None = None
    """Steps between the starts of training windows; None: one, or as many as `MOST` asks for."""
    resample: str | None = None


class Windows:
    """Rows `history`, `future`, `start` (the time of the first step of the future), the name of the series, and covariates: a `thuja.data.rows.Source`.

    Arrays are float64; a covariate that is known in advance has context + horizon steps, one that is not has context.
    """

    def __init__(self, line: Timeline, plan: Plan, context: int, at: np.ndarray, which: np.ndarray, fingerprint: str) -> None:
        """`at`: int64 [rows], the step at which each future begins; `which`: int64 [rows], the place of its column in `plan.values`."""
        self.line, self.plan, self.context, self.at, self.which = line, plan, context, at, which
        self.bad: tuple[Bad, ...] = ()
        self._fingerprint = fingerprint
        self._owner = np.searchsorted(line.offsets, at, side="right") - 1
        self.season = season_of(line)
        moment: Kind = "time" if line.clock else "number"
        self.kinds: dict[str, Kind] = {HISTORY: "other", FUTURE: "other", START: moment, plan.time: moment}
        if len(line.names) * len(plan.values) > 1:
            self.kinds[SERIES] = "text"
        self.kinds |= dict.fromkeys((*plan.known, *plan.past), "other")
        self.names = tuple(self.kinds)

    def __len__(self) -> int:
        return len(self.at)

    def take(self, index: np.ndarray, names: tuple[str, ...] = ()) -> Rows:
        return {name: self._column(name, np.asarray(index, np.int64)) for name in names or self.names}

    def batches(self, size: int = 1024) -> Iterator[Rows]:
        return in_batches(self, size)

    def ids(self, index: np.ndarray) -> list[str]:
        names = self._names(np.asarray(index, np.int64))
        return [f"{name}@{time}" if name else str(time) for name, time in zip(names, self._times(np.asarray(index, np.int64)), strict=True)]

    def hashes(self, index: np.ndarray, names: tuple[str, ...]) -> np.ndarray:
        return hash_rows(self.take(index, names), names, self.kinds)

    def fingerprint(self) -> str:
        return self._fingerprint

    def _column(self, name: str, index: np.ndarray) -> list[object]:
        plan, context, horizon = self.plan, self.context, self.plan.horizon
        if name in (HISTORY, FUTURE):
            low, high = (-context, 0) if name == HISTORY else (0, horizon)
            out = np.empty((len(index), high - low))
            for number, column in enumerate(plan.values):
                mine = self.which[index] == number
                out[mine] = _cut(self.line.values[column], self.at[index[mine]], low, high)
            return list(out)
        if name in (START, plan.time):
            return self._times(index)
        if name == SERIES:
            return list(self._names(index))
        return list(_cut(self.line.values[name], self.at[index], -context, horizon if name in plan.known else 0))

    def _times(self, index: np.ndarray) -> list[object]:
        times = self.line.times[self.at[index]]
        if not self.line.clock:
            return [float(time) for time in times]
        whole = bool((times % SECOND == 0).all())
        return [str(text) for text in np.datetime_as_string(times.astype(np.int64).astype("datetime64[us]"), unit="s" if whole else "us")]

    def _names(self, index: np.ndarray) -> list[str]:
        named = [f"{series} {column}".strip() if len(self.plan.values) > 1 else series for series in self.line.names for column in self.plan.values]
        return [named[place] for place in self._owner[index] * len(self.plan.values) + self.which[index]]


def _cut(values: np.ndarray, at: np.ndarray, low: int, high: int) -> np.ndarray:
    """float64 [rows, high - low]: the steps at + low to at + high - 1."""
    if not len(at):
        return np.zeros((0, high - low))
    cut: np.ndarray = np.lib.stride_tricks.sliding_window_view(values, high - low)[at + low]
    return cut


def cut(parts: Mapping[str, Source], plan: Plan) -> dict[str, Source]:
    """The windows of every part: all steps of a future lie in the part, and a history may reach back into earlier ones, as it will in use.

    Series too short for one window are counted among the unusable rows. Raises: DataError, as `timeline.lay_out`, and for a part without a window.
    """
    columns = tuple(dict.fromkeys((*plan.values, *plan.known, *plan.past)))
    line = lay_out(parts, Wanted(plan.time, columns, plan.series, plan.resample))
    context = plan.context or context_of(line, plan.horizon)
    plan = plan._replace(context=context)
    fingerprints = [parts[name].fingerprint() for name in PARTS if name in parts]
    usable = [starts(line, plan, context, part) for part in range(len(PARTS))]
    cut_parts: dict[str, Source] = {}
    for number, name in enumerate(PARTS):
        if name not in parts:
            continue
        at, which = _thinned(*usable[number], plan, context, number == 0)
        if not len(at):
            raise _too_short(line, plan, context, name)
        windows = Windows(line, plan, context, at, which, digest.of_data(["windows", *fingerprints, list(plan), name]))
        if number == 0:
            windows.bad = tuple(_short(line, plan, context))
        cut_parts[name] = windows
    return cut_parts


def starts(line: Timeline, plan: Plan, context: int, part: int) -> tuple[np.ndarray, np.ndarray]:
    """Steps at which the futures of a part may begin, and the column of each: enough past in the series, every step of the future in the part, and at least one
    value in both."""
    steps, span = len(line.times), plan.horizon
    if steps < context + span:
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    at = np.arange(context, steps - span + 1)
    owner = np.searchsorted(line.offsets, at, side="right") - 1
    inside = (at - context >= line.offsets[owner]) & (at + span <= line.offsets[owner + 1])
    whole = (line.part[at] == part) & (line.part[at + span - 1] == part)
    at = at[inside & whole]
    found = []
    for column in plan.values:
        there = np.concatenate([np.zeros(1, np.int64), np.cumsum(~np.isnan(line.values[column]))])
        found.append(at[(there[at] > there[at - context]) & (there[at + span] > there[at])])
    return np.concatenate(found), np.repeat(np.arange(len(found)), [len(one) for one in found])


def _thinned(at: np.ndarray, which: np.ndarray, plan: Plan, context: int, train: bool) -> tuple[np.ndarray, np.ndarray]:
    """Every n-th start; the numbers of steps that are kept are the same for all columns."""
    width = (context + plan.horizon) * (1 + len(plan.known)) + context * len(plan.past)
    fits = max(1, -(-len(at) * width * 4 // MOST))
    stride = plan.stride if plan.stride and train else fits
    kept = at % stride == at.min(initial=np.iinfo(np.int64).max) % stride
    return at[kept], which[kept]


def context_of(line: Timeline, horizon: int) -> int:
    """How much of the past is read: `SEASONS` seasons, at least twice the horizon, at most `LONGEST` steps and a third of the training steps of the middle
    series; whole seasons where there is room for one."""
    season = season_of(line)
    train = np.add.reduceat((line.part == 0).astype(np.int64), line.offsets[:-1])
    room = max(2, int(np.median(train)) // 3)
    wanted = min(max(SEASONS * season if season > 1 else 0, 2 * horizon), LONGEST, room)
    return wanted // season * season or wanted


def _short(line: Timeline, plan: Plan, context: int) -> Iterator[Bad]:
    needed = context + plan.horizon
    for name, steps in zip(line.names, np.diff(line.offsets), strict=True):
        if steps < needed:
            yield Bad(name or "the series", f"{steps} steps, where a window needs {needed}")


def _too_short(line: Timeline, plan: Plan, context: int, name: str) -> DataError:
    steps = max(int((line.part[low:high] == PARTS.index(name)).sum()) for low, high in zip(line.offsets[:-1], line.offsets[1:], strict=True))
    needed = context + plan.horizon if name == "train" else plan.horizon
    return DataError(f"data.split: {name}", expected=f"a series with {needed} steps in this part ({'context and ' if name == 'train' else ''}horizon)",
                     found=f"{steps} at most" if steps < needed else "only missing values", fix="Give more steps, or shorten task.horizon or task.context.")


def rolling_origins(times: Iterable[str | float], origins: int, share: float = 0.5) -> list[tuple[str | float, ...]]:
    """Borders for back-tests, for `data.split.borders`: `origins` consecutive test spans of equal numbers of times in the last `share` of them, each with as
    many validation times before it and everything earlier to learn from: (validation from, test from, until); the last one has no `until`.

    Args:
        times: a column of the table, ISO 8601 text of one form or numbers; need not be sorted.
    Source: Tashman 2000, "Out-of-sample tests of forecasting accuracy: an analysis and review", section 4 (rolling origin, expanding window).
    """
    ordered = sorted(set(times))
    span = int(len(ordered) * share) // origins
    if span < 1 or len(ordered) - span * (origins + 1) < 1:
        raise DataError("origins", expected=f"fewer than {origins}, or more times", found=f"{len(ordered)} times", fix="Ask for fewer origins.")
    firsts = [len(ordered) - span * (origins - i) for i in range(origins)]
    ends = [ordered[firsts[i + 1] : firsts[i + 1] + 1] if i + 1 < origins else [] for i in range(origins)]
    return [(ordered[first - span], ordered[first], *end) for first, end in zip(firsts, ends, strict=True)]
