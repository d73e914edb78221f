"""An append-only log of JSON records, each line framed by its length and a checksum; a torn tail is dropped and told, a damaged middle is refused.

A power cut can tear what was being added in any way: shorten it, or leave out pages in its middle. So a line says whether it was added together with the
one before it (`+`): one that begins an addition proves that all before it had been synced. Damage before such a line is damage; damage with none after it
is a torn tail.
"""

import contextlib
import json
import zlib
from pathlib import Path
from typing import Any, NamedTuple

from thuja.core.errors import ArtifactError
from thuja.core.storage import DISK, Disk, explained, write_atomic

Record = dict[str, Any]
_PLAIN = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False, allow_nan=False)
"""Made once: `json.dumps` with these would make one for every record."""


class Contents(NamedTuple):
    """What `read` found."""

    records: list[Record]
    size: int
    """Bytes that they take."""
    torn: int
    """Bytes after them that are no whole record: what a crash left of the last addition, or damage there."""


def frame(record: Record, joined: bool = False) -> bytes:
    """One line: checksum, length, JSON. `joined` to the line before by being added with it.

    >>> frame({"a": 1})
    b'561bacaf 7 {"a":1}\\n'
    >>> frame({"a": 1}, joined=True)
    b'561bacaf 7+ {"a":1}\\n'
    """
    return _framed(_PLAIN.encode(record).encode(), joined) + b"\n"


def _framed(body: bytes, joined: bool) -> bytes:
    return b"%08x %d%b %b" % (zlib.crc32(body), len(body), b"+" if joined else b"", body)


def _parse(line: bytes) -> tuple[Record, bool] | None:
    """The record of a line and whether it was added with the one before; None when it is not whole."""
    _, _, rest = line.partition(b" ")
    length, _, body = rest.partition(b" ")
    joined = length.endswith(b"+")
    try:
        return (json.loads(body), joined) if line == _framed(body, joined) else None
    except (ValueError, RecursionError):  # the checksum is right, and yet it is none of our records
        return None


def read(path: Path, disk: Disk = DISK, start: int = 0) -> Contents:
    """All whole records, or those from byte `start` on, where one begins; a torn tail is left out and counted.

    Raises: ArtifactError if a line is damaged that had been written whole: one that begins an addition comes after it.
    """
    data = disk.read(path, start) if path.exists() else b""
    *lines, _ = data.split(b"\n")
    records: list[Record] = []
    size = damaged = 0
    for number, line in enumerate(lines, 1):
        parsed = _parse(line)
        if parsed is None:
            damaged = damaged or number
        elif not damaged:
            records.append(parsed[0])
            size += len(line) + 1
        elif not parsed[1]:
            raise ArtifactError(f"{path}:{damaged}", expected="a whole record", found="a damaged one",
                                fix="Restore the file from a copy; the lines before it are intact.")
    return Contents(records, size, len(data) - size)


def append(path: Path, records: list[Record], disk: Disk = DISK) -> None:
    """Add records durably: when this returns they survive a power cut. One process at a time; a torn tail must be gone (`rewrite` the log without it).

    Raises: StorageError when the disk is full; the log is then as it was before, so that a later append is not joined to half a line.
    """
    there = path.exists()
    size = path.stat().st_size if there else 0
    data = b"".join(frame(record, joined=place > 0) for place, record in enumerate(records))
    with explained(path):
        try:
            disk.append(path, data)
            if not there:
                disk.sync_folder(path.parent)
        except OSError:
            with contextlib.suppress(OSError):
                disk.truncate(path, size)
                disk.sync(path)
            raise


def rewrite(path: Path, records: list[Record], disk: Disk = DISK) -> None:
    """Replace all records in one step: a crash leaves the old log or the new one."""
    write_atomic(path, b"".join(map(frame, records)), disk)

