"""Tables on disk (CSV, JSONL, Parquet): converted once to a typed Arrow file in the cache, then memory-mapped, so that size is no matter."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from thuja.core import digest
from thuja.core.errors import DataError, did_you_mean
from thuja.core.storage import DISK, build_folder, locked
from thuja.data import arrow, cache, delimited, jsonl
from thuja.data.arrow import LINE, ArrowSource
from thuja.data.rows import Bad, Kind
from thuja.settings import Data

if TYPE_CHECKING:
    import pyarrow as pa

VERSION = 1
"""Of the converted form; a change makes every cached table stale."""
Format = Literal["csv", "jsonl", "parquet"]
FORMATS: dict[str, Format] = {".csv": "csv", ".tsv": "csv", ".tab": "csv", ".txt": "csv", ".data": "csv", ".test": "csv",
                              ".jsonl": "jsonl", ".ndjson": "jsonl", ".parquet": "parquet", ".pq": "parquet"}


def format_of(path: Path) -> Format | None:
    """What a file's name says: `adult.csv.gz` is a CSV file.

    >>> format_of(Path("a/rows.csv.gz")), format_of(Path("a/rows.PARQUET")), format_of(Path("a/cat.jpg"))
    ('csv', 'parquet', None)
    """
    suffixes = [suffix.lower() for suffix in path.suffixes if suffix.lower() != ".gz"]
    return FORMATS.get(suffixes[-1]) if suffixes else None


def open_table(path: Path, data: Data, format: Format) -> ArrowSource:
    """Open a table file, converting it on first sight.

    Raises: DataError for an empty or unreadable table, or columns in `data.files` that are not there.
    """
    options = data.model_dump(include={"delimiter", "encoding", "names", "missing"}, mode="json") if format != "parquet" else {}
    content = digest.of_data([VERSION, format, options, cache.file_digest(path)])
    about, batches = converted(content, lambda folder: _convert(path, data, format, folder))
    kinds: dict[str, Kind] = about["kinds"]
    _refuse_absent(path, data.files, kinds, "data.files")
    kinds = {name: "file" if name in data.files else kind for name, kind in kinds.items()}
    source = ArrowSource(batches, kinds, path.name, content, path.parent)
    source.bad = tuple(Bad(f"{path.name}:{line}", reason) for line, reason in about["bad"])
    if not len(source):
        raise DataError(str(path), expected="at least one row", found="none", fix="Check that the right file was given.")
    return source


def converted(content: str, convert: Callable[[Path], tuple[dict[str, Kind], list[Bad]]]) -> "tuple[dict[str, Any], list[pa.RecordBatch]]":
    """Rows in the cache under the name `content`, memory-mapped, and what is known of them: `kinds`, and `bad` as [line, reason]. Where they are not there
    yet, or damaged, `convert` writes them as `rows.arrow` into the folder that it is given, and says kinds and bad rows."""
    folder = cache.root() / "tables" / content
    about = _about(folder)
    if about is None:
        with locked(folder.with_suffix(".lock")):
            about = _about(folder)
            if about is None:
                _write(folder, convert)
                about = _about(folder)
        assert about is not None, folder
    return about, _mapped(folder / "rows.arrow")


def _mapped(path: Path) -> "list[pa.RecordBatch]":
    import pyarrow as pa

    reader = pa.ipc.open_file(pa.memory_map(str(path)))
    return [reader.get_batch(place) for place in range(reader.num_record_batches)]


def _about(folder: Path) -> dict[str, Any] | None:
    """The description of a converted table, or None where there is none that is whole."""
    try:
        about: dict[str, Any] = json.loads((folder / "about.json").read_bytes())
        seal = about.pop("digest")
        whole = seal == digest.of_data(about) and about["rows.arrow"] == digest.of_file(folder / "rows.arrow")
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    return about if whole else None


def _write(folder: Path, convert: Callable[[Path], tuple[dict[str, Kind], list[Bad]]]) -> None:
    with build_folder(folder) as temporary:
        kinds, bad = convert(temporary)
        about = {"kinds": kinds, "bad": [[entry.id.rpartition(":")[2], entry.reason] for entry in bad],
                 "rows.arrow": digest.of_file(temporary / "rows.arrow")}
        DISK.extend(temporary / "about.json", json.dumps(about | {"digest": digest.of_data(about)}).encode())


def _convert(path: Path, data: Data, format: Format, temporary: Path) -> tuple[dict[str, Kind], list[Bad]]:
    bad: list[Bad] = []
    kinds = _from_parquet(path, temporary / "rows.arrow") if format == "parquet" else _from_text(path, data, format, temporary, bad)
    return kinds, bad


def _from_text(path: Path, data: Data, format: Format, temporary: Path, bad: list[Bad]) -> dict[str, Kind]:
    """Two passes: every cell as text, looking which columns are all numbers or all times; then the numbers are read, without Python."""
    import pyarrow as pa

    if format == "csv":
        table = delimited.look(path, data)
        names, fixed, blocks = table.names, frozenset[str](), delimited.blocks(table, bad)
    else:
        names, fixed = jsonl.look(path, data)
        blocks = jsonl.blocks(path, data, names, bad)
    text = pa.schema([*((name, pa.large_string()) for name in names), (LINE, pa.int64())])
    kinds: dict[str, Kind] = dict.fromkeys(names, "text")
    numbers, times = set(names) - fixed, set(names)
    with pa.OSFile(str(temporary / "text.arrow"), "wb") as file, pa.ipc.new_file(file, text) as writer:
        for block in blocks:
            arrays = [pa.array(column, pa.large_string()) for column in block.columns]
            numbers = {name for name, array in zip(names, arrays, strict=True) if name in numbers and arrow.is_number(array)}
            times = {name for name, array in zip(names, arrays, strict=True) if name in times and arrow.is_time(array)}
            writer.write_batch(pa.record_batch([*arrays, pa.array(block.lines, pa.int64())], schema=text))
    kinds.update(dict.fromkeys(sorted(times), "time"))
    kinds.update(dict.fromkeys(sorted(numbers), "number"))
    typed = pa.schema([*((name, pa.float64() if name in numbers else pa.large_string()) for name in names), (LINE, pa.int64())])
    with pa.OSFile(str(temporary / "rows.arrow"), "wb") as file, pa.ipc.new_file(file, typed) as writer:
        for batch in _mapped(temporary / "text.arrow"):
            columns = [arrow.plain(column.cast(field.type))[0] if field.name in numbers else column for column, field in zip(batch.columns, typed, strict=True)]
            writer.write_batch(pa.record_batch(columns, schema=typed))
    DISK.remove(temporary / "text.arrow")
    return kinds


def _from_parquet(path: Path, out: Path) -> dict[str, Kind]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    text: set[str] = set()
    while True:  # again for each column of integers that a float64 cannot hold: it becomes text
        try:
            with pq.ParquetFile(path) as file:
                return write_plain(file.iter_batches(arrow.BATCH), file.schema_arrow, out, text)
        except Inexact as error:
            text.add(str(error))
        except (pa.ArrowInvalid, OSError) as error:
            raise DataError(str(path), expected="a Parquet file", found=f"a problem: {error}"[:200], fix="Copy or write the file again.") from error


class Inexact(ValueError):
    """A column of integers beyond 2**53; the message is its name."""


def plain_batch(batch: "pa.RecordBatch", text: set[str]) -> "tuple[pa.RecordBatch, dict[str, Kind]]":
    """A record batch with plain columns, and their kinds. Raises: Inexact."""
    import pyarrow as pa

    arrays, kinds = [], {}
    for name, column in zip(batch.schema.names, batch.columns, strict=True):
        try:
            array, kinds[name] = arrow.plain(column, name in text)
        except pa.ArrowInvalid as error:
            if name in text:
                raise
            raise Inexact(name) from error
        arrays.append(array)
    return pa.record_batch(arrays, names=batch.schema.names), kinds


def write_plain(batches: "Iterator[pa.RecordBatch]", schema: "pa.Schema", out: Path, text: set[str]) -> dict[str, Kind]:
    """Write record batches with plain columns; a text column of nothing but ISO times is of kind "time". Raises: Inexact."""
    import pyarrow as pa

    first, kinds = plain_batch(pa.RecordBatch.from_pylist([], schema=schema), text)
    times = {name for name, kind in kinds.items() if kind == "text" and name not in text}
    with pa.OSFile(str(out), "wb") as file, pa.ipc.new_file(file, first.schema) as writer:
        for batch in batches:
            done, _ = plain_batch(batch, text)
            times = {name for name in times if arrow.is_time(done.column(name))}
            writer.write_batch(done)
    return {name: "time" if name in times else kind for name, kind in kinds.items()}


def _refuse_absent(path: Path, wanted: tuple[str, ...], names: dict[str, Kind], where: str) -> None:
    for name in wanted:
        if name not in names:
            raise DataError(f"{path}: {where}", expected="the name of a column", found=repr(name), fix=did_you_mean(name, names))
