"""Content hashes of bytes, files and plain data."""

import hashlib
import json
from pathlib import Path
from typing import Any

CHUNK = 1 << 20


def of_bytes(data: bytes | memoryview) -> str:
    """SHA-256 in hexadecimal."""
    return hashlib.sha256(data).hexdigest()


def of_file(path: Path) -> str:
    """SHA-256 of a file's bytes, read a megabyte at a time."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def canonical(value: Any) -> bytes:
    """Plain data as JSON bytes with sorted keys and no spaces: equal data give equal bytes."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


def of_data(value: Any) -> str:
    """SHA-256 of plain data (dicts, lists, text, numbers)."""
    return of_bytes(canonical(value))
