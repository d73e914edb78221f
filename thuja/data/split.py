"""Which rows train, which choose, which test. Every split is a pure function of the rows and of the spec: two runs agree."""

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from thuja.core.errors import DataError, did_you_mean
from thuja.core.seeds import mix
from thuja.data.arrow import timestamps
from thuja.data.folder import PARTS
from thuja.data.rows import Source, Subset, all_hashes, column, hash_rows, places
from thuja.data.scaffold import by_scaffold
from thuja.settings import Data, GivenSplit, GroupSplit, HashSplit, OrderSplit, ScaffoldSplit, Split, TimeSplit

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

NAMES = ("train", "validation", "test")
TIME_LIKE = re.compile(r"date|time|day|month|stamp|created|updated|when|_at$|^ts$", re.IGNORECASE)
NOT_ORDER = re.compile(r"birth|dob|expir|valid_until|due", re.IGNORECASE)
"""Dates that say something about a row, not when it came."""
GIVEN = re.compile(r"split|part|partition|subset|set", re.IGNORECASE)


ROUNDS = ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB))
"""Of SplitMix64 (Steele et al. 2014), by which every bit of the answer depends on every bit of the hash."""


class Choice(NamedTuple):
    """A settled split and the reason a person is told (as `thuja.task.Choice`, which lives with torch)."""

    value: Split
    reason: str


def settle(sources: Mapping[str, Source], data: Data) -> Choice:
    """The split to use: the typed one; else parts that are given; else by group, where `data.group` is set; else by time, where there is a column of
    times; else by hash.

    A column of times holds ISO 8601 dates (or typed ones) in every cell, at least three different ones, and is not a date of birth or expiry. Bare
    numbers are never taken for times unless the spec says so: a column called `year` or `time` is as often a duration or a feature.
    """
    if data.split != "auto":
        return Choice(data.split, "typed in the spec")
    if "train" in sources:
        return Choice(GivenSplit(), f"the data come in parts ({', '.join(sources)})")
    source = sources["all"]
    for name, kind in source.kinds.items():
        if kind == "text" and GIVEN.fullmatch(name) and {str(value).lower() for value in set(column(source, name))} <= set(PARTS):
            return Choice(GivenSplit(column=name), f"the column {name!r} says train, validation or test")
    if data.group:
        return Choice(GroupSplit(column=data.group), f"rows with an equal {data.group!r} belong together")
    times = [name for name, kind in source.kinds.items() if kind == "time" and not NOT_ORDER.search(name)]
    for name in sorted(times, key=lambda name: not TIME_LIKE.search(name)):
        if _differ(source, name):
            return Choice(TimeSplit(column=name), f"the rows have times ({name!r}), and a model is used on what comes later")
    return Choice(HashSplit(), "the rows have no time, group or given part; by hash, equal rows land together and adding rows moves none")


def split(sources: Mapping[str, Source], data: Data, columns: tuple[str, ...] = ()) -> dict[str, Source]:
    """Parts "train", "validation" and "test" (one whose share is 0 is left out). `columns` are those whose content is hashed: the inputs of the task, so
    that rows alike but for an id or a label land together; empty: all.

    Rows whose time is missing train. Raises: DataError for an absent column, a value that is no part, or a part left without rows.
    """
    how = settle(sources, data).value
    if isinstance(how, GivenSplit) and how.column is None:
        parts = _given(sources, how, data, columns)
    else:
        if "all" not in sources:
            raise DataError("data.split", expected="given, because the data come in parts", found=how.kind, fix="Remove data.split, or give one table.")
        source = sources["all"]
        index = _by_column(source, how, data, columns) if isinstance(how, GivenSplit) else _assign(source, how, data, columns)
        parts = {name: Subset(source, index[name], source.bad if name == "train" else ()) for name in NAMES if name in index}
    for name, part in parts.items():
        if not len(part):
            total = sum(map(len, parts.values()))
            raise DataError(f"data.split: {name}", expected="at least one row", found=f"none of {total}",
                            fix="Give more rows, or a larger share for this part.")
    return parts


def _given(sources: Mapping[str, Source], how: GivenSplit, data: Data, columns: tuple[str, ...]) -> dict[str, Source]:
    if "train" not in sources:
        raise DataError("data.split", expected="data in parts (train/, test/ or data.test)", found="one part", fix="Choose another split, or name the files.")
    absent = {"validation": how.validation, "test": HashSplit().test}
    shares = {name: share for name, share in absent.items() if name not in sources}
    train = sources["train"]
    index = _by_hash(train, (shares.get("validation", 0.0), shares.get("test", 0.0), 0), data.group, columns)
    made: dict[str, Source] = {name: Subset(train, index[name], train.bad if name == "train" else ()) for name in index}
    return {name: sources[name] if name in sources and name != "train" else made[name] for name in NAMES if name in sources or name in made}


def _by_column(source: Source, how: GivenSplit, data: Data, columns: tuple[str, ...]) -> dict[str, np.ndarray]:
    assert how.column is not None
    _require(source, how.column, "data.split.column")
    if how.test:
        return _by_values(source, how, data, columns)
    values = ["" if value is None else str(value).lower() for value in column(source, how.column)]
    for place, value in enumerate(values):
        if value not in PARTS:
            where = f"{source.ids(np.array([place]))[0]}: {how.column}"
            raise DataError(where, expected="train, validation or test", found=repr(value), fix="Correct the cell.")
    index = {name: np.flatnonzero([PARTS[value] == name for value in values]) for name in NAMES}
    train = Subset(source, index["train"])
    made = _by_hash(train, (0.0 if len(index["validation"]) else how.validation, 0.0 if len(index["test"]) else HashSplit().test, 0), data.group, columns)
    return {name: train.index[made[name]] if name == "train" or not len(index[name]) else index[name] for name in NAMES if name in made or len(index[name])}


def _by_values(source: Source, how: GivenSplit, data: Data, columns: tuple[str, ...]) -> dict[str, np.ndarray]:
    """The rows whose value is one of `how.test` test, the others train. Raises: DataError for a value that no row has."""
    assert how.column is not None
    values = ["" if value is None else _plain(value) for value in column(source, how.column)]
    absent = [value for value in how.test if value not in values]
    if absent:
        raise DataError("data.split.test", expected=f"values of the column {how.column!r}", found=repr(absent[0]),
                        fix=did_you_mean(absent[0], sorted(set(values))[:50]))
    test = np.isin(values, how.test)
    rest = np.flatnonzero(~test)
    made = _by_hash(Subset(source, rest), (how.validation, 0.0, 0), data.group, columns)
    return {name: rest[index] for name, index in made.items()} | {"test": np.flatnonzero(test)}


def _plain(value: object) -> str:
    """A cell as it is typed in a spec: whole numbers without a point."""
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def _assign(source: Source, how: "HashSplit | GroupSplit | ScaffoldSplit | TimeSplit | OrderSplit", data: Data,
            columns: tuple[str, ...]) -> dict[str, np.ndarray]:
    if isinstance(how, TimeSplit):
        _require(source, how.column, "data.split.column")
        if how.borders:
            return _by_borders(times_of(source, how.column), how, clock=source.kinds[how.column] == "time")
        return _by_time(times_of(source, how.column), how.validation, how.test)
    if isinstance(how, OrderSplit):
        return _by_order(len(source), how.validation, how.test)
    if isinstance(how, ScaffoldSplit):
        _require(source, how.column, "data.split.column")
        return by_scaffold(column(source, how.column), how.validation, how.test)
    seed = how.seed if isinstance(how, HashSplit) else 0
    return _by_hash(source, (how.validation, how.test, seed), how.column if isinstance(how, GroupSplit) else data.group, columns)


def _by_hash(source: Source, how: tuple[float, float, int], group: str | None, columns: tuple[str, ...]) -> dict[str, np.ndarray]:
    """Places by a number in [0, 1) for each row (or group): the first `test` of the line tests, the next `validation` chooses, the rest trains. `how`:
    the shares of validation and test, and the seed."""
    validation, test, seed = how
    for name in columns:
        _require(source, name, "data.split")
    hashes = _content_hashes(source, columns or source.names)
    if group is not None:
        _require(source, group, "data.group")
        there = np.array([value is not None for value in column(source, group)], bool)  # a row without a group goes by its own content
        hashes = np.where(there, all_hashes(source, (group,)), hashes)
    where = _mixed(hashes, seed)
    index = {"train": np.flatnonzero(where >= test + validation)}
    if validation:
        index["validation"] = np.flatnonzero((where >= test) & (where < test + validation))
    if test:
        index["test"] = np.flatnonzero(where < test)
    return index


def _content_hashes(source: Source, names: tuple[str, ...]) -> np.ndarray:
    """What decides the place of each row: its pictures, or else its free texts, or else all of `names`.

    Free texts count by their letters alone, so that copies of a text that differ in numbers, case and punctuation land together.
    """
    pictures = tuple(name for name in names if source.kinds[name] in ("image", "file"))
    if pictures:
        return all_hashes(source, pictures)
    texts = tuple(name for name in names if source.kinds[name] == "text" and _is_free(source, name))
    if not texts:
        return all_hashes(source, names)
    parts = []
    for index in places(len(source), 4096):
        rows = source.take(index, texts)
        parts.append(hash_rows({name: [_letters(value) for value in rows[name]] for name in texts}, texts, source.kinds))
    return np.concatenate(parts)


def _is_free(source: Source, name: str) -> bool:
    """Five words or more on average, and not one form with other numbers each time; by the first thousand rows, so that later ones change nothing."""
    values = {value for value in source.take(np.arange(min(len(source), 1000)), (name,))[name] if value}
    return sum(len(value.split()) for value in values) >= 5 * max(len(values), 1) and 2 * len(set(map(_letters, values))) >= len(values)


def _letters(text: str | None) -> str:
    """Lower-case letters of a text, or all of it where there are none."""
    return re.sub(r"[\W\d_]+", "", (text or "").lower()) or (text or "")


def _mixed(hashes: np.ndarray, seed: int) -> np.ndarray:
    """Hashes as numbers in [0, 1), from their upper 53 bits; a seed other than 0 mixes them anew."""
    if seed:
        mixed = hashes ^ np.uint64(mix(seed, "split"))
        for shift, factor in ROUNDS:
            mixed = (mixed ^ (mixed >> np.uint64(shift))) * np.uint64(factor)
        hashes = mixed ^ (mixed >> np.uint64(31))
    return (hashes >> np.uint64(11)).astype(np.float64) / 2.0**53


def _by_time(times: np.ndarray, validation: float, test: float) -> dict[str, np.ndarray]:
    known = np.sort(times[~np.isnan(times)])
    late = _cut(known, test)
    middle = min(_cut(known[known < late], validation / (1 - test)), late)
    index = {"train": np.flatnonzero(~(times >= middle))}
    if validation:
        index["validation"] = np.flatnonzero((times >= middle) & (times < late))
    if test:
        index["test"] = np.flatnonzero(times >= late)
    return index


def _by_borders(times: np.ndarray, how: TimeSplit, clock: bool) -> dict[str, np.ndarray]:
    """Places by typed times: before the first one train, then validation, then test, up to the end if one is typed."""
    borders = [_moment(border, clock) for border in how.borders]
    if len(borders) < 2 or borders != sorted(set(borders)):
        raise DataError("data.split.borders", expected="two or three times, each later than the one before", found=", ".join(map(str, how.borders)),
                        fix="Give the first time of validation and of test, and, if later rows are to be left out, the end.")
    middle, late, end = (*borders, np.inf)[:3]
    return {"train": np.flatnonzero(~(times >= middle)), "validation": np.flatnonzero((times >= middle) & (times < late)),
            "test": np.flatnonzero((times >= late) & (times < end))}


def _moment(border: str | float, clock: bool) -> float:
    """A typed time as `times_of` counts it."""
    import pyarrow as pa

    if not clock and not isinstance(border, str):
        return float(border)
    try:
        return float(timestamps(pa.array([str(border)], pa.large_string()))[0].as_py()) if clock else float(border)
    except (pa.ArrowInvalid, ValueError) as error:
        raise DataError("data.split.borders", expected="times such as 2026-01-31 or 2026-01-31T12:00:00" if clock else "numbers, as the column holds",
                        found=repr(border), fix="Write them as the column does.") from error


def _by_order(rows: int, validation: float, test: float) -> dict[str, np.ndarray]:
    late = rows - round(rows * test)
    middle = late - round(rows * validation)
    parts = {"train": np.arange(middle), "validation": np.arange(middle, late), "test": np.arange(late, rows)}
    return {name: index for name, index in parts.items() if name == "train" or (validation if name == "validation" else test)}


def _cut(ordered: np.ndarray, share: float) -> float:
    """The time from which on about `share` of the rows lie; equal times stay on one side, so it is the nearest step between two times."""
    if not len(ordered) or not share:
        return np.inf
    wanted = len(ordered) - round(len(ordered) * share)
    at = ordered[min(wanted, len(ordered) - 1)]
    before, after = np.searchsorted(ordered, at, "left"), np.searchsorted(ordered, at, "right")
    if before == 0 or (after < len(ordered) and after - wanted < wanted - before):
        return float(ordered[after]) if after < len(ordered) else np.inf
    return float(at)


def times_of(source: Source, name: str) -> np.ndarray:
    """A column of times (microseconds since 1970) or numbers as float64; missing as NaN. Raises: DataError for a column of something else."""
    import pyarrow as pa

    if source.kinds[name] == "number":
        return np.array(column(source, name), np.float64)
    if source.kinds[name] != "time":
        raise DataError(f"data: {name}", expected="ISO 8601 times or numbers in every row", found=source.kinds[name], fix="Write times as 2026-01-31T12:00:00.")
    parts = [timestamps(pa.array(values, pa.large_string())).to_numpy(zero_copy_only=False) for values in _columns(source, name)]
    return np.concatenate(parts).astype(np.float64)


def _columns(source: Source, name: str) -> "Iterator[Sequence[str | None]]":
    return (source.take(index, (name,))[name] for index in places(len(source), 65536))


def _differ(source: Source, name: str) -> bool:
    """Whether there are three different times, so that they can be cut in parts."""
    seen: set[str | None] = {None}
    for values in _columns(source, name):
        seen |= set(values)
        if len(seen) > 3:
            return True
    return False


def _require(source: Source, name: str, where: str) -> None:
    if name not in source.names:
        raise DataError(where, expected="the name of a column", found=repr(name), fix=did_you_mean(name, source.names))
