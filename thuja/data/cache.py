"""Where derived data lie: `$THUJA_CACHE` or `~/.cache/thuja`. Everything in it is content-addressed and can be deleted at any time."""

import json
import os
import time
from collections.abc import Mapping
from pathlib import Path

from thuja.core import digest
from thuja.core.errors import DataError
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
        write_atomic(record, json.dumps(known).encode())
    return out


def file_digest(path: Path, cache: Path | None = None) -> str:
    """SHA-256 of one file, remembered as in `digests`."""
    return digests(path.parent, [path.name], cache)[path.name]


def _known(record: Path) -> dict[str, list[int | str]]:
    try:
        known = json.loads(record.read_bytes())
    except (OSError, ValueError):
        return {}
    return dict(known) if isinstance(known, Mapping) else {}
