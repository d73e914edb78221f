"""Python objects as sources: whatever speaks Arrow (pandas, polars, pyarrow), a dict of arrays or lists, a list of dicts."""

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from thuja.codec import Rows
from thuja.core import digest
from thuja.core.errors import DataError, did_you_mean
from thuja.data import arrow
from thuja.data.arrow import ArrowSource
from thuja.data.rows import Bad, Kind, Source, all_hashes, hash_rows, in_batches
from thuja.data.table import Inexact, plain_batch

if TYPE_CHECKING:
    import pyarrow as pa

DATA = "data"
ROW = "row"
"""Ids are `row:1`, `row:2`, ...; in a part that is given, `test:1`, `test:2`, ..."""


class ColumnsSource:
    """Columns in memory that Arrow has no plain type for: pictures as arrays, bytes or paths, and anything else."""

    def __init__(self, columns: Mapping[str, Sequence[Any]], kinds: dict[str, Kind], name: str = ROW) -> None:
        self.names, self.kinds, self.bad, self._name = tuple(columns), kinds, tuple[Bad, ...](), name
        self._columns = columns

    def __len__(self) -> int:
        return len(next(iter(self._columns.values())))

    def take(self, index: np.ndarray, names: tuple[str, ...] = ()) -> Rows:
        return {name: [self._columns[name][place] for place in index] for name in names or self.names}

    def batches(self, size: int = 1024) -> Iterator[Rows]:
        return in_batches(self, size)

    def ids(self, index: np.ndarray) -> list[str]:
        return [f"{self._name}:{place + 1}" for place in index]

    def hashes(self, index: np.ndarray, names: tuple[str, ...]) -> np.ndarray:
        return hash_rows(self.take(index, names), names, self.kinds)

    def fingerprint(self) -> str:
        return digest.of_data(["columns", self.names, digest.of_bytes(all_hashes(self, self.names).data)])


def from_object(value: Any, files: tuple[str, ...] = (), where: str = DATA) -> Source:
    """A source of the rows of a Python object. `files` are columns that hold paths; `where` is what errors call it, and ids too if it is a part.

    Raises: DataError for an object of another kind, no rows, columns of different lengths.
    """
    if isinstance(value, (list, tuple)) and value and all(isinstance(row, Mapping) for row in value):
        names = dict.fromkeys(name for row in value for name in row)
        value = {name: [row.get(name) for row in value] for name in names}
    if isinstance(value, Mapping) and value:
        source = _from_columns(value, files, where)
    elif hasattr(value, "__arrow_c_stream__"):
        source = _from_arrow(value, files, where)
    else:
        raise DataError(where, expected="a table (pandas, polars, Arrow), a dict of columns or a list of dicts", found=_short(value),
                        fix="Convert the data to one of these.")
    if not len(source):
        raise DataError(where, expected="at least one row", found="none", fix="Check how the table was made.")
    return source


def _from_columns(columns: Mapping[str, Any], files: tuple[str, ...], where: str) -> Source:
    import pyarrow as pa

    lengths = {str(name): len(values) for name, values in columns.items()}
    if len(set(lengths.values())) > 1:
        raise DataError(where, expected="columns of one length", found=", ".join(f"{name} {length}" for name, length in list(lengths.items())[:6]),
                        fix="Cut or fill them.")
    kinds = {str(name): _kind(values) for name, values in columns.items()}
    if "image" not in kinds.values() and "other" not in kinds.values():
        with contextlib.suppress(UnicodeEncodeError):  # half a surrogate pair, which Arrow cannot hold: the codec names its row
            return _from_arrow(pa.table({str(name): _array(values) for name, values in columns.items()}), files, where)
    plain = {str(name): values if kinds[str(name)] in ("image", "other") else _plain_list(values) for name, values in columns.items()}
    return ColumnsSource(plain, kinds, ROW if where == DATA else where)


def _kind(values: Any) -> Kind:
    """The kind of one column, from all of its values: the same answers as for a file."""
    if isinstance(values, np.ndarray) and values.dtype != object:
        if values.ndim > 1:
            return "image" if values.dtype == np.uint8 and values.ndim in (3, 4) else "other"
        return "number" if values.dtype.kind in "iuf" else "time" if values.dtype.kind == "M" else "text"
    there = [value for value in values if value is not None]
    if there and all(map(_is_picture, there)):
        return "image"
    if all(isinstance(value, (int, float, np.integer, np.floating)) and not isinstance(value, bool) for value in there):
        return "number"
    return "text" if all(isinstance(value, (str, bool, int, float, np.generic)) for value in there) else "other"


def _is_picture(value: Any) -> bool:
    return isinstance(value, (bytes, Path)) or (isinstance(value, np.ndarray) and value.dtype == np.uint8 and value.ndim in (2, 3))


def _array(values: Any) -> "pa.Array":
    import pyarrow as pa

    if isinstance(values, np.ndarray) and values.dtype != object:
        return pa.array(values)
    return pa.array(_plain_list(values))


def _plain_list(values: Any) -> list[Any]:
    """Numbers as float or None, everything else as text or None."""
    kind = _kind(values)
    values = values.tolist() if isinstance(values, np.ndarray) else list(values)
    if kind == "number":
        return [None if value is None or value != value else float(value) for value in values]
    return [value if value is None or isinstance(value, str) else str(value).lower() if isinstance(value, (bool, np.bool_)) else str(value) for value in values]


def _from_arrow(value: Any, files: tuple[str, ...], where: str) -> Source:
    import pyarrow as pa

    table = pa.table(value)
    text: set[str] = set()
    while True:  # again for each column of integers that a float64 cannot hold: it becomes text
        try:
            done = [plain_batch(batch, text) for batch in table.to_batches(arrow.BATCH)]
            break
        except Inexact as error:
            text.add(str(error))
    batches = [batch for batch, _ in done]
    kinds = dict(done[0][1]) if done else {}
    for name, kind in kinds.items():
        if kind == "text" and name not in text and all(arrow.is_time(batch.column(name)) for batch in batches):
            kinds[name] = "time"
    for name in files:
        if name not in kinds:
            raise DataError("data.files", expected="the name of a column", found=repr(name), fix=did_you_mean(name, kinds))
    source = ArrowSource(batches, kinds, "", "")
    kinds = {name: "file" if name in files else kind for name, kind in kinds.items()}
    return ArrowSource(batches, kinds, ROW if where == DATA else where, digest.of_bytes(all_hashes(source, source.names).data), Path())


def _short(value: Any) -> str:
    if isinstance(value, (list, tuple, dict)):
        return f"an empty {type(value).__name__}" if not value else f"a {type(value).__name__} of {type(next(iter(value))).__name__}"
    return f"a {type(value).__name__}"
