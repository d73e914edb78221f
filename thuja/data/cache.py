"""Where derived data lie: `$THUJA_CACHE` or `~/.cache/thuja`. Everything in it is content-addressed and can be deleted at any time."""

import contextlib
import json
import os
import time
from pathlib import Path

from thuja.core import digest
from thuja.core.errors import DataError, StorageError
from thuja.core.storage import write_atomic

SETTLED_NS = 2_000_000_000
"""A file changed less than this ago may change again without a new time stamp (file systems count coarsely), so its hash is not remembered."""


def root() -> Path:
    """The folder of the cache; it need not exist yet."""
    given = os.environ.get("THUJA_CACHE")
    return Path(given) if given else Path.home() / ".cache" / "thuja"


def digests(folder: Path, names: list[str], cache: Path | None = None) -> dict[str, str]:
    """SHA-256 of files in `folder` by relative name. A file of known size and time of change is not read again.

    Raises: DataError for a file that cannot be read.
    """
    record = (cache or root()) / "digests" / f"{digest.of_bytes(str(folder.resolve()).encode())}.json"
    known = _known(record)
    now, fresh, out = time.time_ns(), False, {}
    for name in names:
        try:
            stat = (folder / name).stat()
            seen = known.get(name)
            if seen is None or seen[:2] != [stat.st_size, stat.st_mtime_ns]:
                seen = [stat.st_size, stat.st_mtime_ns, digest.of_file(folder / name)]
                if now - stat.st_mtime_ns > SETTLED_NS:
                    known[name], fresh = seen, True
        except OSError as error:
            found = error.strerror or "an error"
            raise DataError(str(folder / name), expected="a readable file", found=found, fix="Check that it is there and may be read.") from error
        out[name] = str(seen[2])
    if fresh:
        with contextlib.suppress(StorageError):  # on a disk that is full or read-only they are read again next time
            write_atomic(record, _record(known))
    return out


def file_digest(path: Path, cache: Path | None = None) -> str:
    """SHA-256 of one file, remembered as in `digests`."""
    return digests(path.parent, [path.name], cache)[path.name]


def _record(known: dict[str, list[int | str]]) -> bytes:
    """With its own hash, since a flipped bit here would make the data look like others."""
    return digest.canonical({"digest": digest.of_data(known), "known": known})


def _known(record: Path) -> dict[str, list[int | str]]:
    try:
        content = record.read_bytes()
        known: dict[str, list[int | str]] = json.loads(content)["known"]
        return known if content == _record(known) else {}
    except (OSError, ValueError, KeyError, TypeError):
        return {}
