"""Who took what, and in what order: a table of interactions, or a line of items for each user, as rows of a history and what was taken next.

Interactions are kept as numbers in memory (some 50 bytes each); names come back when rows are taken.
"""

import re
from array import array
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np

from thuja.codec import Rows
from thuja.core import digest
from thuja.core.errors import DataError, did_you_mean
from thuja.data.objects import ColumnsSource
from thuja.data.rows import Bad, Kind, Source, Subset, hash_rows, in_batches, places
from thuja.data.split import NAMES, times_of

USER, HISTORY, TARGET, RATINGS, NEGATIVES, EXCLUDE, ONLY = "user", "history", "target", "ratings", "negatives", "exclude", "only"
"""Columns of the rows that are made. `ratings` has one for each item of the history and one for the target."""
LOOKED = 50
"""Lines by which a file of sequences is known."""
SEQUENCE = re.compile(r"\S+( \S+){2,}")


class Columns(NamedTuple):
    """Which column of the interactions says what."""

    user: str
    item: str
    """Names; or lists of them, all that a user took, in order."""
    time: str = ""
    rating: str = ""


class Plan(NamedTuple):
    """How rows are made of interactions."""

    columns: Columns
    longest: int
    """Items of the history of a training row; longer ones give several rows, so that every item is learned once."""
    holdout: Literal["last", "split"] = "last"
    """"last": each user's last item is tested, the one before validates. "split": what the split of the data says."""
    repeats: bool = False
    """Whether taking an item again counts; else the first time does."""
    ratings: tuple[float, float] | None = None
    """Smallest and largest rating there may be."""


class Log(NamedTuple):
    """All interactions, user after user, each user's in the order of time; row for row."""

    users: list[str]
    items: list[str]
    user: np.ndarray
    """int64 [n], places in `users`, not falling."""
    item: np.ndarray
    rating: np.ndarray | None
    """float64 [n]."""
    part: np.ndarray
    """int8 [n], places in `split.NAMES`."""
    negatives: dict[int, list[str]]
    """By user, where the data have such a column."""
    bad: list[Bad]
    fingerprint: str


class Histories:
    """A row for each item that is to be foretold: what its user had taken before, and the item."""

    def __init__(self, log: Log, start: np.ndarray, target: np.ndarray, part: str) -> None:
        """`start`, `target`: int64 [rows], places in the log; the history lies between them, the end left out."""
        self.log, self.start, self.target, self.part = log, start, target, part
        kinds: dict[str, Kind] = {USER: "text", HISTORY: "other", TARGET: "text", EXCLUDE: "other", ONLY: "other"}
        kinds |= {RATINGS: "other"} if log.rating is not None else {}
        kinds |= {NEGATIVES: "other"} if log.negatives else {}
        self.kinds, self.names = kinds, tuple(kinds)
        self.bad = _scaled(log, len(target)) if part == "train" else ()

    def __len__(self) -> int:
        return len(self.target)

    def take(self, index: np.ndarray, names: tuple[str, ...] = ()) -> Rows:
        wanted = {name: self._column(name) for name in names or self.names}
        spans = [(int(self.start[i]), int(self.target[i])) for i in index]
        return {name: [made(first, last) for first, last in spans] for name, made in wanted.items()}

    def _column(self, name: str) -> Any:
        log = self.log
        if name == USER:
            return lambda _, last: log.users[log.user[last]]
        if name == TARGET:
            return lambda _, last: log.items[log.item[last]]
        if name == HISTORY:
            return lambda first, last: [log.items[i] for i in log.item[first:last]]
        if name == RATINGS:
            ratings = log.rating
            assert ratings is not None
            return lambda first, last: ratings[first : last + 1].tolist()
        if name == NEGATIVES and self.part == "test":
            return lambda _, last: log.negatives.get(int(log.user[last]), [])
        return lambda _, last: []

    def batches(self, size: int = 1024) -> Iterator[Rows]:
        return in_batches(self, size)

    def ids(self, index: np.ndarray) -> list[str]:
        """The user and the number, from 1, of the item among all of the user's."""
        first = np.searchsorted(self.log.user, self.log.user[self.target[index]])
        return [f"{self.log.users[self.log.user[last]]}:{last - begin + 1}" for last, begin in zip(self.target[index], first, strict=True)]

    def hashes(self, index: np.ndarray, names: tuple[str, ...]) -> np.ndarray:
        return hash_rows(self.take(index, names), names, self.kinds)

    def fingerprint(self) -> str:
        return digest.of_data([self.log.fingerprint, self.part, digest.of_bytes(self.start.data), digest.of_bytes(self.target.data)])


def histories(parts: Mapping[str, Source], plan: Plan) -> dict[str, Source]:
    """Rows of the parts "train", "validation" and "test", out of interactions at rest.

    Raises: DataError for an absent column, or nothing to learn from. Interactions that lack something are named in `bad` of the training rows, as large a
    share of them as of the interactions.
    """
    log = read(parts, plan)
    begins = np.searchsorted(log.user, np.arange(len(log.users)))
    ends = np.append(begins[1:], len(log.user)).astype(np.int64)
    which = _last(begins, ends) if plan.holdout == "last" else log.part
    found: dict[str, Source] = {}
    for place, name in enumerate(NAMES):
        if name == "train":
            start, target = _windows(begins, which, log, plan.longest)
        else:
            target = np.flatnonzero(which == place)
            start = begins[log.user[target]]
        if len(target):
            found[name] = Histories(log, start, target, name)
    if "train" not in found:
        raise DataError("data", expected="users with two items or more", found=f"{len(log.users):,} users with {len(log.user):,} interactions in all",
                        fix="A history and what came next are learned from: give more interactions of the same users.")
    return found


def _last(begins: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """The last interaction of each user tests, the one before validates, where two more are left to learn from."""
    which = np.zeros(int(ends[-1]) if len(ends) else 0, np.int8)
    long = ends - begins >= 4
    which[ends[long] - 1] = NAMES.index("test")
    which[ends[long] - 2] = NAMES.index("validation")
    return which


def _windows(begins: np.ndarray, which: np.ndarray, log: Log, longest: int) -> tuple[np.ndarray, np.ndarray]:
    """Spans that cover the training interactions of each user from the end, at most `longest` items before each target. Training interactions come first:
    what is held out lies after them (with `holdout: split` by chance, before; such a user's later ones are not learned)."""
    start, target = [], []
    held = np.append(np.flatnonzero(which != 0), len(which))
    ends = np.minimum(held[np.searchsorted(held, begins)], np.append(begins[1:], len(which)))
    for first, end in zip(begins.tolist(), ends.tolist(), strict=True):
        last = end - 1
        while last > first:
            start.append(max(first, last - longest))
            target.append(last)
            last = start[-1]
    order = np.argsort(np.array(target, np.int64), kind="stable")
    return np.array(start, np.int64)[order], np.array(target, np.int64)[order]


class _Reading:
    """What has been read so far: flat arrays of plain numbers, some 50 bytes an interaction."""

    def __init__(self) -> None:
        self.users: dict[str, int] = {}
        self.items: dict[str, int] = {}
        self.negatives: dict[int, list[str]] = {}
        self.bad: list[Bad] = []
        self.whole = {name: array("q") for name in ("user", "item", "part", "arrival")}
        self.real = {name: array("d") for name in ("time", "rating")}

    def add(self, user: Any, taken: Any, moment: tuple[float, float], place: tuple[int, int]) -> int:
        """One row: `moment` is its time and rating, `place` its part and arrival. Returns: the number of the user."""
        number = self.users.setdefault(named(user), len(self.users))
        for each in taken if isinstance(taken, (list, tuple)) else (taken,):
            for name, value in zip(self.whole, (number, self.items.setdefault(named(each), len(self.items)), *place), strict=True):
                self.whole[name].append(value)
            for name, amount in zip(self.real, moment, strict=True):
                self.real[name].append(amount)
        return number


def read(parts: Mapping[str, Source], plan: Plan) -> Log:
    """The interactions of all parts in one log. Raises: DataError for an absent column."""
    columns, reading, rows = plan.columns, _Reading(), 0
    for part, name in enumerate(NAMES):
        source = parts.get(name)
        if source is None:
            continue
        _require(source, columns)
        reading.bad += source.bad
        times = times_of(source, columns.time) if columns.time else np.zeros(len(source))
        arrival = source.index if isinstance(source, Subset) else np.arange(len(source)) + rows
        rows += len(source)
        wanted = tuple(dict.fromkeys(filter(None, (columns.user, columns.item, columns.rating, NEGATIVES if NEGATIVES in source.names else ""))))
        for index in places(len(source), 65536):
            batch = source.take(index, wanted)
            nothing = [0.0] * len(index)
            for at, place in enumerate(index.tolist()):
                user, taken, rating = batch[columns.user][at], batch[columns.item][at], batch.get(columns.rating, nothing)[at]
                if reason := _unusable(user, taken, times[place], rating, plan):
                    reading.bad.append(Bad(source.ids(np.array([place]))[0], reason))
                    continue
                number = reading.add(user, taken, (float(times[place]), float(rating)), (part, int(arrival[place])))
                if NEGATIVES in batch:
                    reading.negatives[number] = [named(each) for each in batch[NEGATIVES][at] or ()]
    made = digest.of_data(["interactions", {name: source.fingerprint() for name, source in parts.items()}, list(plan)])
    return _ordered(reading, plan, made)


def _ordered(reading: _Reading, plan: Plan, fingerprint: str) -> Log:
    """By user and time, in the order in which they came where times are equal; without those that say nothing new."""
    whole = {name: np.frombuffer(values, np.int64) if values else np.zeros(0, np.int64) for name, values in reading.whole.items()}
    real = {name: np.frombuffer(values, np.float64) if values else np.zeros(0) for name, values in reading.real.items()}
    order = np.lexsort((np.arange(len(whole["user"])), whole["arrival"], real["time"], whole["user"]))
    user, item, time = whole["user"][order], whole["item"][order], real["time"][order]
    fresh = np.ones(len(order), bool)
    if plan.repeats:  # the same thing at the same time is one
        fresh[1:] = (np.diff(user) != 0) | (np.diff(item) != 0) | (np.diff(time) != 0)
    else:
        first = np.unique(user * max(len(reading.items), 1) + item, return_index=True)[1]
        fresh[:] = False
        fresh[first] = True
    kept = order[fresh]
    rating = real["rating"][kept] if plan.columns.rating else None
    return Log(list(reading.users), list(reading.items), user[fresh], item[fresh], rating, whole["part"][kept].astype(np.int8), reading.negatives, reading.bad,
               fingerprint)


def _unusable(user: Any, item: Any, time: float, rating: Any, plan: Plan) -> str:
    """Why an interaction cannot be used; empty if it can."""
    if user is None or user == "":
        return "it names no user"
    if item is None or item == "" or (isinstance(item, (list, tuple)) and any(each is None or each == "" for each in item)):
        return "it names no item"
    if np.isnan(time):
        return "it has no time"
    if not plan.columns.rating:
        return ""
    if not isinstance(rating, (int, float)) or not np.isfinite(rating):
        return "it has no rating"
    if plan.ratings is not None and not plan.ratings[0] <= rating <= plan.ratings[1]:
        return f"its rating {rating:g} is not from {plan.ratings[0]:g} to {plan.ratings[1]:g}"
    return ""


def _require(source: Source, columns: Columns) -> None:
    for name in filter(None, columns):
        if name not in source.names:
            raise DataError(name, expected="a column of this name", found=f"{len(source.names)} others", fix=did_you_mean(name, source.names))
    if columns.rating and source.kinds[columns.rating] != "number":
        raise DataError(columns.rating, expected="numbers", found=source.kinds[columns.rating],
                        fix="Correct the cells, or add what marks a missing one to data.missing.")


def _scaled(log: Log, rows: int) -> tuple[Bad, ...]:
    """As large a share of the rows as of the interactions, so that the budget for bad rows means what it says."""
    if not log.bad:
        return ()
    shown = log.bad[: max(1, round(len(log.bad) * rows / max(len(log.user), 1)))]
    more = f" (one of {len(log.bad):,} interactions that are left out)" if len(log.bad) > len(shown) else ""
    return (Bad(shown[0].id, shown[0].reason + more), *shown[1:])


def named(value: Any) -> str:
    """The name of a user or an item: whole numbers are written without a point, as in CSV and in JSON alike.

    >>> named(17.0), named(17), named("17")
    ('17', '17', '17')
    """
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def is_sequences(path: Path) -> bool:
    """Whether a text file has, on each line, a user and what the user took, all numbers, lines of different lengths: the form of sequential recommendation."""
    if not path.is_file() or path.suffix not in (".txt", ".seq", ".inter"):
        return False
    with path.open("rb") as file:
        lines = [line.decode("ascii", "replace").strip() for line in file.read(1 << 16).split(b"\n")[: LOOKED + 1]][:LOOKED]
    lines = [line for line in lines if line]
    words = [line.split(" ") for line in lines]
    return (len(lines) > 2 and all(SEQUENCE.fullmatch(line) and line.replace(" ", "").isdigit() for line in lines)
            and len({line[0] for line in words}) == len(words) and len({len(line) for line in words}) > 1)


def sequences_in(path: Path, *, sure: bool = False) -> Path | None:
    """The file of sequences that a path names: itself, or the only text file of a folder besides that of the negatives. `sure`: it need not look like one."""
    found = [path] if path.is_file() else [file for file in sorted(path.glob("*.txt")) if not file.stem.endswith(SAMPLE)]
    return found[0] if len(found) == 1 and (sure or is_sequences(found[0])) else None


SAMPLE = "_sample"
"""`name_sample.txt` beside `name.txt`: for each user, items not taken, among which the tested one is to be found."""


def open_sequences(path: Path) -> ColumnsSource:
    """A row for each line: `user`, `item` (a list), and `negatives` where there is a file of samples. Raises: DataError for a line without an item."""
    columns: dict[str, list[Any]] = {USER: [], "item": []}
    for number, line in enumerate(_lines(path), 1):
        user, *items = line.split() or [""]
        if not items:
            raise DataError(f"{path}:{number}", expected="a user and items", found=repr(line[:40]), fix="Write one line a user, names parted by spaces.")
        columns[USER].append(user)
        columns["item"].append(items)
    kinds: dict[str, Kind] = {USER: "text", "item": "other"}
    sample = path.with_name(f"{path.stem}{SAMPLE}{path.suffix}")
    if sample.is_file():
        drawn = {user: items for user, *items in (line.split() for line in _lines(sample) if line.strip())}
        columns[NEGATIVES] = [drawn.get(user, []) for user in columns[USER]]
        kinds[NEGATIVES] = "other"
    return ColumnsSource(columns, kinds, path.name)


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text("utf-8").splitlines()
    except UnicodeDecodeError as error:
        raise DataError(str(path), expected="text in UTF-8", found=f"byte {error.start} of something else", fix="Save the file as UTF-8.") from error
