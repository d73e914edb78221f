"""An append-only log of JSON records, each line framed by its length and a checksum; a torn tail is dropped, a damaged middle is refused."""

import contextlib
import json
import zlib
from pathlib import Path
from typing import Any

from thuja.core.errors import ArtifactError
from thuja.core.storage import DISK, Disk, explained, write_atomic

Record = dict[str, Any]


def frame(record: Record) -> bytes:
    """One line: checksum, length, JSON.

    >>> frame({"a": 1})
    b'561bacaf 7 {"a":1}\\n'
    """
    body = json.dumps(record, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()
    return b"%08x %d %b\n" % (zlib.crc32(body), len(body), body)


def _parse(line: bytes) -> Record | None:
    try:
        checksum, length, body = line.split(b" ", 2)
        if int(length) == len(body) and int(checksum, 16) == zlib.crc32(body):
            value: Record = json.loads(body)
            return value
    except ValueError:
        pass
    return None


def read(path: Path, disk: Disk = DISK) -> tuple[list[Record], int]:
    """All whole records and the number of bytes they take; a torn last line is left out.

    Raises: ArtifactError if a line before the last is damaged.
    """
    if not path.exists():
        return [], 0
    records: list[Record] = []
    size = 0
    lines = disk.read(path).split(b"\n")
    for number, line in enumerate(lines[:-1], 1):
        record = _parse(line)
        if record is None:
            if number == len(lines) - 1 and lines[-1] == b"":
                break
            raise ArtifactError(f"{path}:{number}", expected="a whole record", found="a damaged one",
                                fix="Restore the file from a copy; the lines before it are intact.")
        records.append(record)
        size += len(line) + 1
    return records, size


def append(path: Path, records: list[Record], disk: Disk = DISK) -> None:
    """Add records durably: when this returns they survive a power cut.

    Raises: StorageError when the disk is full; the log is then as it was before, so that a later append is not joined to half a line.
    """
    size = path.stat().st_size if path.exists() else 0
    with explained(path):
        try:
            disk.append(path, b"".join(map(frame, records)))
        except OSError:
            with contextlib.suppress(OSError):
                disk.truncate(path, size)
            raise


def rewrite(path: Path, records: list[Record], disk: Disk = DISK) -> None:
    """Replace all records in one step: a crash leaves the old log or the new one."""
    write_atomic(path, b"".join(map(frame, records)), disk)


def repair(path: Path, disk: Disk = DISK) -> list[Record]:
    """Read the log and cut a torn tail off, so that the next append starts on a clean line."""
    records, size = read(path, disk)
    if path.exists() and path.stat().st_size != size:
        disk.truncate(path, size)
    return records
