"""Records by the time in which they were made: a log for each hour (or other span), so that the old end can be cut off by taking whole files away, and a look
reads a few of them.

One writer at a time for each folder, by a lock; any number of readers. A torn tail is passed over by readers and taken off by the next writer.
"""

import contextlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from thuja.core import log
from thuja.core.errors import ArtifactError
from thuja.core.storage import DISK, Disk, locked

HOUR = 3600.0
Record = dict[str, Any]


@dataclass
class Segments:
    """A folder of logs, one for each span of time; spans are numbered from 1970 on."""

    path: Path
    disk: Disk = field(default=DISK, repr=False)
    span: float = HOUR
    """Seconds of which a log holds the records."""
    _whole: dict[int, int] = field(default_factory=dict, repr=False)
    """The span whose file this process has found whole, or has made so, and the size that it had then: another writer may have died on it since."""

    def number(self, at: float) -> int:
        """The span of a time."""
        return int(at // self.span)

    def add(self, records: Iterable[tuple[float, Record]]) -> None:
        """Add records, each with its time, durably. Raises: StorageError; what belongs to spans before the one that failed is then there."""
        by_span: dict[int, list[Record]] = {}
        for at, record in records:
            by_span.setdefault(self.number(at), []).append(record)
        if not by_span:
            return
        with self._alone():
            self.disk.make_folder(self.path)
            for number, some in sorted(by_span.items()):
                self._make_whole(number)
                self._whole = {}
                log.append(self.file(number), some, self.disk)
                self._whole = {number: self.file(number).stat().st_size}

    def between(self, start: float, end: float) -> Iterator[Record]:
        """The records of every span that lies (in part) between two times, in the order in which they were added. Damaged ones are passed over."""
        for number in self.numbers():
            if (number + 1) * self.span > start and number * self.span < end:
                yield from self.of(number)

    def of(self, number: int) -> list[Record]:
        """The records of a span; none where it is damaged, see `damaged`."""
        try:
            return log.read(self.file(number), self.disk).records
        except ArtifactError:
            return []

    def since(self, number: int, start: int) -> tuple[list[Record], int]:
        """The records of a span from a byte on, where one begins, and the bytes that they take; none where what is there is damaged."""
        try:
            contents = log.read(self.file(number), self.disk, start)
        except ArtifactError:
            return [], 0
        return contents.records, contents.size

    def damaged(self) -> list[int]:
        """Spans whose files cannot be read."""
        return [number for number in self.numbers() if not self._readable(number)]

    def expire(self, before: float) -> int:
        """Take away the spans that were over before that time; how many."""
        old = [number for number in self.numbers() if (number + 1) * self.span <= before]
        for number in old:
            self.disk.remove(self.file(number))
        if old:
            self.disk.sync_folder(self.path)
        return len(old)

    def replace(self, number: int, records: list[Record]) -> None:
        """Other records for a span, in one step."""
        with self._alone():
            log.rewrite(self.file(number), records, self.disk)

    def numbers(self) -> list[int]:
        """The spans of which there are records, oldest first."""
        if not self.path.is_dir():
            return []
        names = (name.removesuffix(".log") for name in self.disk.list(self.path) if name.endswith(".log"))
        return sorted(int(name) for name in names if name.isdecimal())

    def file(self, number: int) -> Path:
        """Where a span's records are."""
        return self.path / f"{number}.log"

    def _alone(self) -> contextlib.AbstractContextManager[None]:
        return locked(self.path.with_name(f"{self.path.name}.lock"), self.disk)

    def _readable(self, number: int) -> bool:
        with contextlib.suppress(ArtifactError):
            log.read(self.file(number), self.disk)
            return True
        return False

    def _make_whole(self, number: int) -> None:
        """Take off the torn tail that another process may have left."""
        path = self.file(number)
        size = path.stat().st_size if path.exists() else 0
        known = self._whole.get(number, -1)
        if size == known or (0 < known < size and not log.read(path, self.disk, known).torn):
            return
        if size and (contents := log.read(path, self.disk)).torn:
            log.rewrite(path, contents.records, self.disk)
