"""Records by the hour in which they were made: one log an hour, so that the old end can be cut off by taking whole files away, and a look reads a few of them.

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

HOUR = 3600
Record = dict[str, Any]


def hour_of(at: float) -> int:
    """The hour of a time, counted from 1970."""
    return int(at // HOUR)


@dataclass
class Segments:
    """A folder of hourly logs."""

    path: Path
    disk: Disk = field(default=DISK, repr=False)
    _begun: set[int] = field(default_factory=set, repr=False)
    """Hours whose files this process has found whole, or has made so."""

    def add(self, records: Iterable[tuple[float, Record]]) -> None:
        """Add records, each with its time, durably. Raises: StorageError; what belongs to hours before the one that failed is then there."""
        by_hour: dict[int, list[Record]] = {}
        for at, record in records:
            by_hour.setdefault(hour_of(at), []).append(record)
        if not by_hour:
            return
        with locked(self.path.with_name(f"{self.path.name}.lock"), self.disk):
            self.disk.make_folder(self.path)
            for hour, some in sorted(by_hour.items()):
                self._make_whole(hour)
                try:
                    log.append(self.file(hour), some, self.disk)
                except BaseException:
                    self._begun.discard(hour)
                    raise

    def between(self, start: float, end: float) -> Iterator[Record]:
        """The records of every hour that lies (in part) between two times, in the order in which they were added. Damaged hours are passed over."""
        for hour in self.hours():
            if (hour + 1) * HOUR > start and hour * HOUR < end:
                yield from self.of(hour)

    def of(self, hour: int) -> list[Record]:
        """The records of an hour; none where it is damaged, see `damaged`."""
        try:
            return log.read(self.file(hour), self.disk).records
        except ArtifactError:
            return []

    def damaged(self) -> list[int]:
        """Hours whose files cannot be read."""
        return [hour for hour in self.hours() if not self._readable(hour)]

    def expire(self, before: float) -> int:
        """Take away the hours that were over before that time; how many."""
        old = [hour for hour in self.hours() if (hour + 1) * HOUR <= before]
        for hour in old:
            self.disk.remove(self.file(hour))
        if old:
            self.disk.sync_folder(self.path)
        return len(old)

    def replace(self, hour: int, records: list[Record]) -> None:
        """Other records for an hour, in one step."""
        with locked(self.path.with_name(f"{self.path.name}.lock"), self.disk):
            log.rewrite(self.file(hour), records, self.disk)

    def hours(self) -> list[int]:
        """The hours of which there are records, oldest first."""
        if not self.path.is_dir():
            return []
        names = (name.removesuffix(".log") for name in self.disk.list(self.path) if name.endswith(".log"))
        return sorted(int(name) for name in names if name.isdecimal())

    def file(self, hour: int) -> Path:
        """Where an hour's records are."""
        return self.path / f"{hour}.log"

    def _readable(self, hour: int) -> bool:
        with contextlib.suppress(ArtifactError):
            log.read(self.file(hour), self.disk)
            return True
        return False

    def _make_whole(self, hour: int) -> None:
        """Take off the torn tail that another process may have left."""
        if hour in self._begun:
            return
        self._begun = {hour}
        path = self.file(hour)
        if path.exists() and (contents := log.read(path, self.disk)).torn:
            log.rewrite(path, contents.records, self.disk)
