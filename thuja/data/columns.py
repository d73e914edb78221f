"""Encoded columns at rest: each row goes through the codec once, the arrays are kept in the cache and memory-mapped, whatever their size.

A folder per (source, codec, format): flat files of numbers, and a manifest with the hash of each. It is written whole or not at all, and one that is
damaged is made again.
"""

import json
import mmap
import os
import sys
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from thuja.codec import Codec, Column, Columns, Ragged, count
from thuja.core import digest
from thuja.core.errors import BadRows, DataError
from thuja.core.storage import DISK, Disk, build_folder, locked
from thuja.data.rows import AT_ONCE, Bad, Source, places, rows_at_once

VERSION = 2
"""Of the format; a change makes every cached folder stale."""
CHUNK = 512
"""Rows encoded at a time, at most; fewer where there are not enough to keep every thread at work."""
FIRST = 16
"""Rows encoded before the others."""
MANIFEST = "manifest.json"
MAP_NORESERVE = getattr(mmap, "MAP_NORESERVE", 0x4000)
"""Of Linux; Python names it from 3.13 on."""


class Encoded(NamedTuple):
    """Encoded rows, memory-mapped."""

    columns: Columns
    kept: np.ndarray
    """int64: the place in the source of each encoded row."""
    bad: list[Bad]
    """Rows that could not be read or encoded, counted in the budget."""
    notes: tuple[str, ...] = ()
    """What a person is told: that a damaged cache was made again."""


def encoded(source: Source, codec: Codec, cache: Path, budget: float, disk: Disk = DISK) -> Encoded:
    """The encoded rows of a source, from the cache where it has them.

    Memory does not grow with the number of rows. Raises: DataError when more than `budget` (a share of all rows) are bad, or none is left;
    StorageError when the disk is full.
    """
    key = digest.of_data([VERSION, source.fingerprint(), codec.digest()])
    folder = cache / "columns" / key
    notes: tuple[str, ...] = ()
    found = _open(folder)
    if found is None:  # whoever finds them whole takes no lock and writes nothing: the cache may be on a disk that is full or read-only
        with locked(folder.with_suffix(".lock"), disk):
            found = _open(folder)
            if found is None:
                if folder.exists():
                    notes = (f"{folder}: the cached columns were damaged and have been made again",)
                _build(source, codec, folder, budget, disk)
                found = _open(folder)
        assert found is not None, folder
    columns, kept, bad = found
    _refuse_too_many(bad, len(source) + len(source.bad), budget)
    return Encoded(columns, kept, bad, notes)


def _build(source: Source, codec: Codec, folder: Path, budget: float, disk: Disk) -> None:
    bad = list(source.bad)
    with build_folder(folder, disk) as temporary:
        writer = _Writer(temporary, disk)
        for columns, kept, worse in _encode_all(source, codec):
            bad += worse
            _refuse_too_many(bad, len(source) + len(source.bad), budget)
            writer.append(columns, kept)
        if not writer.rows:
            raise DataError("data", expected="at least one usable row", found="none", fix="Check that the right data were given.")
        body = {"rows": writer.rows, "columns": writer.layout, "bad": bad, "files": {name: digest.of_file(temporary / name) for name in writer.names}}
        disk.extend(temporary / MANIFEST, _manifest(body))


def _manifest(body: dict[str, Any]) -> bytes:
    return digest.canonical({"digest": digest.of_data(body), "body": body})


def _encode_all(source: Source, codec: Codec) -> Iterator[tuple[Columns, np.ndarray, list[Bad]]]:
    """Chunks in order, encoded by a few threads (decoders of pictures and tokenisers release the lock); at most two chunks a thread are in memory.

    The first few rows are encoded alone, to see how large they are.
    """
    first = _encode(source, codec, np.arange(min(FIRST, len(source))))
    yield first
    rows, size = count(first[0]) if first[0] else 0, rows_at_once(source, most=CHUNK)
    each = sum((c.values.nbytes if isinstance(c, Ragged) else np.asarray(c).nbytes) for c in first[0].values()) // max(1, rows)
    size = max(1, min(size, AT_ONCE // max(1, each)))
    workers = max(1, min(4, len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1))
    with ThreadPoolExecutor(workers) as pool:
        waiting: list[Future[tuple[Columns, np.ndarray, list[Bad]]]] = []
        try:
            for index in places(len(source) - FIRST, min(size, max(16, len(source) // (4 * workers)))):
                waiting.append(pool.submit(_encode, source, codec, index + FIRST))
                if len(waiting) > 2 * workers:
                    yield waiting.pop(0).result()
            while waiting:
                yield waiting.pop(0).result()
        finally:
            for future in waiting:
                future.cancel()


def _encode(source: Source, codec: Codec, index: np.ndarray) -> tuple[Columns, np.ndarray, list[Bad]]:
    """Encode some rows; those that cannot be are left out and named, and the rest is tried again."""
    bad: list[Bad] = []
    rows = source.take(index)
    while len(index):
        try:
            return codec.encode(rows), index, bad
        except BadRows as error:
            reasons = {place: f"expected {reason.expected}, found {reason.found}" for place, reason in error.rows.items()}
            assert reasons and max(reasons) < len(index), reasons
            names = source.ids(index[list(reasons)])
            bad += [Bad(name, reason) for name, reason in zip(names, reasons.values(), strict=True)]
            keep = [place for place in range(len(index)) if place not in reasons]
            index, rows = index[keep], {name: [values[place] for place in keep] for name, values in rows.items()}
    return {}, index, bad


def _refuse_too_many(bad: list[Bad], rows: int, budget: float) -> None:
    if len(bad) > budget * rows:
        first = "; ".join(f"{entry.id} ({entry.reason})" for entry in bad[:3])
        raise DataError("data.bad_rows", expected=f"at most {budget:.1%} of {rows} rows unusable", found=f"{len(bad)} so far: {first}"[:500],
                        fix="Repair or remove these rows, or raise data.bad_rows.")


class _Writer:
    """Appends encoded columns to flat files, one or two a column."""

    def __init__(self, folder: Path, disk: Disk) -> None:
        self.folder, self.disk, self.rows = folder, disk, 0
        self.layout: list[dict[str, Any]] = []
        self.names: list[str] = []
        self._ends: dict[str, int] = {}

    def append(self, columns: Columns, kept: np.ndarray) -> None:
        """Add some rows; every chunk must be laid out as the first."""
        if not len(kept):
            return
        if not self.layout:
            self.layout = [_layout(name, column) for name, column in columns.items()]
            self._write("kept", np.zeros(0, np.int64))
        assert [_layout(name, column) for name, column in columns.items()] == self.layout, (self.layout, list(columns))
        for place, column in enumerate(columns.values()):
            if isinstance(column, Ragged):
                self._write_ragged(f"{place}", column)
            else:
                self._write(f"{place}.values", column)
        self._write("kept", kept)
        self.rows += len(kept)

    def _write_ragged(self, name: str, column: Ragged) -> None:
        first = name not in self._ends
        end = self._ends.get(name, 0)
        self._write(f"{name}.offsets", column.offsets[0 if first else 1 :] - column.offsets[0] + end)
        self._write(f"{name}.values", column.values[column.offsets[0] : column.offsets[-1]])
        self._ends[name] = end + int(column.offsets[-1] - column.offsets[0])

    def _write(self, name: str, values: np.ndarray) -> None:
        if name not in self.names:
            self.names.append(name)
        self.disk.extend(self.folder / name, np.ascontiguousarray(values).reshape(-1).view(np.uint8).data)


def _layout(name: str, column: Column) -> dict[str, Any]:
    values = column.values if isinstance(column, Ragged) else np.asarray(column)
    return {"name": name, "ragged": isinstance(column, Ragged), "type": values.dtype.str, "shape": list(values.shape[1:])}


def _open(folder: Path) -> tuple[Columns, np.ndarray, list[Bad]] | None:
    """The columns in a folder, or None where it is absent or not as its manifest says."""
    try:
        manifest = (folder / MANIFEST).read_bytes()
        body = json.loads(manifest)["body"]
        if manifest != _manifest(body) or any(digest.of_file(folder / name) != known for name, known in body["files"].items()):
            return None
    except (OSError, ValueError, KeyError, TypeError):
        return None
    columns: Columns = {}
    for place, layout in enumerate(body["columns"]):
        values = _mapped(folder / f"{place}.values", layout["type"], layout["shape"])
        columns[layout["name"]] = Ragged(values, _mapped(folder / f"{place}.offsets", "<i8", [])) if layout["ragged"] else values
    return columns, _mapped(folder / "kept", "<i8", []), [Bad(*entry) for entry in body["bad"]]


def _mapped(path: Path, kind: str, shape: list[int]) -> np.ndarray:
    if not path.stat().st_size:  # nothing can be mapped where there is nothing
        return np.zeros((0, *shape), kind)
    with path.open("rb") as file:
        if sys.platform == "linux":  # without MAP_NORESERVE the kernel refuses a file larger than its memory, lest all of it be written to
            memory = mmap.mmap(file.fileno(), 0, flags=mmap.MAP_PRIVATE | MAP_NORESERVE, prot=mmap.PROT_READ | mmap.PROT_WRITE)
        else:
            memory = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY)
    flat = np.frombuffer(memory, kind)  # copy-on-write: torch takes it without a warning, and whatever is written never reaches the file
    return flat.reshape(-1, *shape)
