"""What a source of rows is, and what every source shares: batches, subsets, the hash of a row's content."""

import hashlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple, Protocol

import numpy as np

from thuja.codec import Rows
from thuja.core import digest

Kind = Literal["number", "text", "time", "file", "image", "other"]
"""What a column holds: `float | None`, `str | None`, ISO date text, `Path | None`, a picture (`Path`, bytes or pixels), or anything else."""


AT_ONCE = 1 << 22
"""Bytes of raw rows that are held together where rows are large; they are copied a few times on their way."""


class Bad(NamedTuple):
    """A row that cannot be used, and why."""

    id: str
    reason: str


class Source(Protocol):
    """Rows at rest, read a batch at a time; memory does not grow with their number."""

    names: tuple[str, ...]
    kinds: dict[str, Kind]
    bad: tuple[Bad, ...]
    """Rows that could not even be read (a ragged line); they are not among the rows counted by `len`."""

    def __len__(self) -> int: ...

    def take(self, index: np.ndarray, names: tuple[str, ...] = ()) -> Rows:
        """The rows at these places, in that order; only the columns `names`, if given."""
        ...

    def batches(self, size: int = 1024) -> Iterator[Rows]:
        """All rows in order."""
        ...

    def ids(self, index: np.ndarray) -> list[str]:
        """A unique, stable name for each row: a file's name, or `file:line`."""
        ...

    def hashes(self, index: np.ndarray, names: tuple[str, ...]) -> np.ndarray:
        """uint64, equal for rows whose content in the columns `names` is equal, in every process and version."""
        ...

    def fingerprint(self) -> str:
        """A hash of the whole content."""
        ...


class Subset:
    """Some rows of another source, in the order of `index` (int64 places in it)."""

    def __init__(self, source: Source, index: np.ndarray, bad: tuple[Bad, ...] = ()) -> None:
        self.source, self.index, self.bad = source, np.asarray(index, np.int64), bad
        self.names, self.kinds = source.names, source.kinds

    def __len__(self) -> int:
        return len(self.index)

    def take(self, index: np.ndarray, names: tuple[str, ...] = ()) -> Rows:
        return self.source.take(self.index[index], names)

    def batches(self, size: int = 1024) -> Iterator[Rows]:
        return in_batches(self, size)

    def ids(self, index: np.ndarray) -> list[str]:
        return self.source.ids(self.index[index])

    def hashes(self, index: np.ndarray, names: tuple[str, ...]) -> np.ndarray:
        return self.source.hashes(self.index[index], names)

    def fingerprint(self) -> str:
        return digest.of_data(["subset", self.source.fingerprint(), digest.of_bytes(np.ascontiguousarray(self.index).data)])


def places(rows: int, size: int) -> Iterator[np.ndarray]:
    """Consecutive index arrays of at most `size` that cover `rows` rows."""
    for start in range(0, rows, size):
        yield np.arange(start, min(start + size, rows))


def in_batches(source: Source, size: int) -> Iterator[Rows]:
    """All rows of a source in order, at most `size` at a time; large ones fewer."""
    return (source.take(index) for index in places(len(source), rows_at_once(source, most=size)))


def rows_at_once(source: Source, names: tuple[str, ...] = (), most: int = 4096) -> int:
    """How many rows may be held together: at most `most`, and so many that they take about AT_ONCE bytes, by the largest of a few."""
    if not len(source):
        return most
    few = source.take(np.unique(np.linspace(0, len(source) - 1, min(len(source), 8)).astype(np.int64)), names)
    largest = max((sum(map(size_of, row)) for row in zip(*few.values(), strict=True)), default=0)
    return max(1, min(most, AT_ONCE // max(1, largest)))


def size_of(value: Any) -> int:
    """About how many bytes a raw value takes that may be large; a file counts nothing, as it is not read yet."""
    return value.nbytes if isinstance(value, np.ndarray) else len(value) if isinstance(value, (bytes, str)) else 0


def all_hashes(source: Source, names: tuple[str, ...]) -> np.ndarray:
    """The content hash of every row of a source: uint64 `[rows]`."""
    parts = [source.hashes(index, names) for index in places(len(source), rows_at_once(source, names))]
    return np.concatenate(parts) if parts else np.zeros(0, np.uint64)


def column(source: Source, name: str, size: int = 8192) -> list[Any]:
    """One whole column, for what must see all rows at once (groups, times, targets); not for pictures or long texts."""
    return [value for index in places(len(source), size) for value in source.take(index, (name,))[name]]


def hash_rows(rows: Rows, names: tuple[str, ...], kinds: Mapping[str, Kind]) -> np.ndarray:
    """BLAKE2b over the values of `names`, a uint64 for each row. Numbers are hashed as float64 (missing as NaN, -0 as 0), files by their bytes."""
    numbers = np.array([rows[name] for name in names if kinds[name] == "number"], np.float64).T + 0.0
    raw, width = np.where(np.isnan(numbers), np.nan, numbers).astype("<f8").tobytes(), numbers.shape[-1] * 8
    others = [list(map(_bytes, rows[name])) for name in names if kinds[name] != "number"]
    count = len(rows[names[0]])
    rest = [b"\x1f".join(row) for row in zip(*others, strict=True)] if others else [b""] * count
    hashes = [hashlib.blake2b(raw[place * width : (place + 1) * width] + rest[place], digest_size=8).digest() for place in range(count)]
    return np.frombuffer(b"".join(hashes), np.dtype("<u8")).astype(np.uint64)


def _bytes(value: Any) -> bytes:
    match value:
        case None:
            return b"\x00"
        case str():
            return value.encode("utf-8", "surrogatepass")
        case bytes():
            return value
        case np.ndarray():
            return f"{value.dtype.str}{value.shape}".encode() + value.tobytes()
        case Path():
            return digest.of_file(value).encode() if value.is_file() else str(value).encode()
        case _:
            return repr(value).encode()
