"""Typed columns as Arrow record batches, in memory or memory-mapped: four plain types, decided once for a whole column."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from thuja.codec import Rows
from thuja.core import digest
from thuja.data.rows import Bad, Kind, hash_rows, in_batches

if TYPE_CHECKING:
    import pyarrow as pa

BATCH = 8192
"""Rows in a record batch: the unit that `take` touches."""
LINE = "\x00line"
"""Name of the column that holds line numbers."""
ISO = r"^\d{4}-\d{2}-\d{2}([ T]\d{2}:\d{2}(:\d{2}(\.\d+)?)?(Z|[+-]\d{2}:?\d{2})?)?$"
CODE = r"^[+-]?(0\d+|\d{16,})$"
"""Digits that are a name and no amount: a leading zero (post codes) or more places than a float64 holds (account numbers)."""


class ArrowSource:
    """Rows of record batches. Ids are `file:line`; columns of kind "file" come out as paths in `base`."""

    def __init__(self, batches: "list[pa.RecordBatch]", kinds: dict[str, Kind], file: str, fingerprint: str, base: Path | None = None) -> None:
        self.kinds = kinds
        self.names = tuple(kinds)
        self.bad: tuple[Bad, ...] = ()
        self._batches, self._file, self._fingerprint, self._base = batches, file, fingerprint, base
        self._starts = np.concatenate([np.zeros(1, np.int64), np.cumsum([batch.num_rows for batch in batches], dtype=np.int64)])

    def __len__(self) -> int:
        return int(self._starts[-1])

    def take(self, index: np.ndarray, names: tuple[str, ...] = ()) -> Rows:
        picked, order = self._picked(np.asarray(index, np.int64), names or self.names)
        return {name: self._values(picked, order, name) for name in names or self.names}

    def batches(self, size: int = 1024) -> Iterator[Rows]:
        return in_batches(self, size)

    def ids(self, index: np.ndarray) -> list[str]:
        lines = np.asarray(index, np.int64) + 1
        if self._batches and LINE in self._batches[0].schema.names:
            picked, order = self._picked(np.asarray(index, np.int64), (LINE,))
            lines = np.concatenate([batch.column(LINE).to_numpy() for batch in picked] or [lines])[order]
        return [f"{self._file}:{line}" for line in lines.tolist()]

    def hashes(self, index: np.ndarray, names: tuple[str, ...]) -> np.ndarray:
        picked, order = self._picked(np.asarray(index, np.int64), names)
        numbers = {name: self._numbers(picked, order, name) for name in names if self.kinds[name] == "number"}
        return hash_rows({name: numbers[name] if name in numbers else self._values(picked, order, name) for name in names}, names, self.kinds)

    def fingerprint(self) -> str:
        return digest.of_data(["table", self._fingerprint, sorted(name for name, kind in self.kinds.items() if kind == "file")])

    def is_empty(self, name: str) -> bool:
        """Whether every cell of a column is missing."""
        return all(batch.column(name).null_count == batch.num_rows for batch in self._batches)

    def _picked(self, index: np.ndarray, names: tuple[str, ...]) -> "tuple[list[pa.RecordBatch], np.ndarray]":
        """The rows at `index` from each batch that has any, and the order that puts them as asked.

        Taking from the whole table would copy all of it: Arrow joins the chunks of text columns first.
        """
        import pyarrow as pa

        owner = np.searchsorted(self._starts, index, side="right") - 1
        by_owner = np.argsort(owner, kind="stable")
        picked = []
        for place in np.split(by_owner, np.flatnonzero(np.diff(owner[by_owner])) + 1):
            if len(place):
                batch = int(owner[place[0]])
                picked.append(self._batches[batch].select(list(names)).take(pa.array(index[place] - self._starts[batch])))
        return picked, np.argsort(by_owner, kind="stable")

    def _numbers(self, picked: "list[pa.RecordBatch]", order: np.ndarray, name: str) -> Any:
        arrays = [batch.column(name).to_numpy(zero_copy_only=False) for batch in picked]
        return np.concatenate(arrays)[order] if arrays else np.zeros(0)

    def _values(self, picked: "list[pa.RecordBatch]", order: np.ndarray, name: str) -> list[Any]:
        values = [value for batch in picked for value in batch.column(name).to_pylist()]
        if self.kinds[name] == "file" and self._base is not None:
            values = [None if value is None else self._base / value for value in values]
        return values if len(picked) < 2 else [values[place] for place in order.tolist()]


def plain(array: "pa.Array", text: bool = False) -> "tuple[pa.Array, Kind]":
    """One column as float64, large_string or large_binary, NaN as null; nested types are passed on as "other".

    `text` asks for text whatever the type. Raises: pyarrow.ArrowInvalid where an integer has no exact float64.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    kind = array.type
    if pa.types.is_dictionary(kind):
        return plain(array.cast(kind.value_type), text)
    if pa.types.is_struct(kind) and any(field.name == "bytes" for field in kind):  # pictures as Hugging Face stores them
        return plain(pc.struct_field(array, "bytes"))
    if pa.types.is_null(kind):
        return array.cast(pa.large_string() if text else pa.float64()), "text" if text else "number"
    if text or pa.types.is_boolean(kind) or pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
        return array.cast(pa.large_string()), "text"
    if pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        numbers = array.cast(pa.float64())
        return pc.if_else(pc.is_nan(numbers), pa.scalar(None, pa.float64()), numbers), "number"
    if pa.types.is_date(kind) or pa.types.is_timestamp(kind):
        return array.cast(pa.large_string()), "time"
    if pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
        return array.cast(pa.large_binary()), "image"
    return array, "other"


def is_number(array: "pa.Array") -> bool:
    """Whether every cell of a text array that is there reads as a number (and none is a code such as 00501)."""
    import pyarrow as pa
    import pyarrow.compute as pc

    try:
        array.cast(pa.float64())
    except pa.ArrowInvalid:
        return False
    return not pc.any(pc.match_substring_regex(array, CODE)).as_py()


def is_time(array: "pa.Array") -> bool:
    """Whether every cell of a text array that is there is an ISO 8601 date or date and time."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if pc.all(pc.match_substring_regex(array, ISO)).as_py() is False:
        return False
    try:
        timestamps(array)
    except pa.ArrowInvalid:
        return False
    return True


def timestamps(array: "pa.Array") -> "pa.Array":
    """ISO text as microseconds since 1970 (UTC), int64. Raises: pyarrow.ArrowInvalid for what is no date."""
    import pyarrow as pa

    try:
        stamps = array.cast(pa.timestamp("us"))
    except pa.ArrowInvalid:
        stamps = array.cast(pa.timestamp("us", "UTC"))
    return stamps.cast(pa.int64())
