"""What was asked and answered: one log an hour, so that time can be cut off at the old end by taking whole files away.

Recording must never harm serving. Only a limited number of answers a second is kept, whatever the traffic, each with the number it stands for; a disk that
refuses loses records, not answers, and the gap is recorded when the disk takes bytes again.
"""

import contextlib
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from thuja.core import log
from thuja.core.errors import ArtifactError, StorageError
from thuja.core.storage import DISK, Disk

HOUR = 3600


class Call(NamedTuple):
    """One answer that was kept."""

    id: str
    """What the client was told in the header `Thuja-Call`, and names in its feedback."""
    at: float
    version: str
    inputs: dict[str, Any] | None
    """The row as plain data; None where the plan keeps none, or where it was erased."""
    answer: dict[str, Any]
    """The typed outputs as plain data."""
    ms: float
    stands_for: float
    """How many answers this one was drawn from."""
    shade: bool = False
    """Whether it is a challenger's answer that nobody saw."""


class Gap(NamedTuple):
    """A time in which answers were not kept, though they should have been."""

    start: float
    end: float
    lost: int
    why: str


@dataclass
class Calls:
    """The kept answers of a deployment. One writer (the server); any number of readers."""

    path: Path
    disk: Disk = field(default=DISK, repr=False)
    _lost: Gap | None = field(default=None, repr=False)
    _begun: int = field(default=-1, repr=False)
    """The hour whose file this process has looked over and adds to."""

    def add(self, calls: Sequence[Call]) -> bool:
        """Keep some answers durably; whether the disk took them. Never raises for a disk that refuses: the gap is told of later."""
        by_hour: dict[int, list[dict[str, Any]]] = {}
        for call in calls:
            by_hour.setdefault(int(call.at // HOUR), []).append(call._asdict())
        if not by_hour:
            return True
        try:
            with contextlib.suppress(FileExistsError):
                self.disk.make_folder(self.path)
            if self._lost is not None:
                by_hour[max(by_hour)].insert(0, {"gap": self._lost._asdict()})
            for hour, records in sorted(by_hour.items()):
                self._whole(hour)
                log.append(self._file(hour), records, self.disk)
        except (StorageError, OSError) as error:
            start, lost = (self._lost.start, self._lost.lost) if self._lost else (calls[0].at, 0)
            why = error.found if isinstance(error, StorageError) else type(error).__name__
            self._lost = Gap(start, calls[-1].at, lost + len(calls), why)
            return False
        self._lost = None
        return True

    def between(self, start: float, end: float) -> Iterator[Call]:
        """The kept answers from `start` to just before `end`, oldest hour first. A torn tail and damaged hours are passed over: see `gaps`."""
        for record in self._records(start, end):
            if "gap" not in record and start <= record["at"] < end:
                yield Call(**record)

    def gaps(self, start: float, end: float) -> list[Gap]:
        """What was lost in that time, as far as it is known."""
        found = [Gap(**record["gap"]) for record in self._records(start, end + HOUR) if "gap" in record]
        found += [Gap(hour * HOUR, (hour + 1) * HOUR, 0, "a damaged file") for hour in self._hours() if self._damaged(hour)]
        return [gap for gap in found if gap.start < end and gap.end >= start]

    def expire(self, before: float) -> int:
        """Take away whole hours that ended before that time; how many."""
        old = [hour for hour in self._hours() if (hour + 1) * HOUR <= before]
        for hour in old:
            self.disk.remove(self._file(hour))
        if old:
            self.disk.sync_folder(self.path)
        return len(old)

    def erase(self, ids: Iterable[str]) -> int:
        """Take the inputs out of the answers with these ids for good (a person's wish); how many had any."""
        wanted, erased = set(ids), 0
        for hour in self._hours():
            records = log.read(self._file(hour), self.disk).records
            hits = [record for record in records if record.get("id") in wanted and record.get("inputs") is not None]
            if hits:
                for record in hits:
                    record["inputs"] = None
                log.rewrite(self._file(hour), records, self.disk)
                erased += len(hits)
        return erased

    def _records(self, start: float, end: float) -> Iterator[dict[str, Any]]:
        for hour in self._hours():
            if (hour + 1) * HOUR > start and hour * HOUR < end:
                with contextlib.suppress(ArtifactError):
                    yield from log.read(self._file(hour), self.disk).records

    def _damaged(self, hour: int) -> bool:
        try:
            log.read(self._file(hour), self.disk)
        except ArtifactError:
            return True
        return False

    def _whole(self, hour: int) -> None:
        """Before the first addition of this process to an hour: without the torn tail that another one left, if it did."""
        if hour == self._begun and self._lost is None:
            return
        path, self._begun = self._file(hour), hour
        if path.exists() and (contents := log.read(path, self.disk)).torn:
            log.rewrite(path, contents.records, self.disk)

    def _hours(self) -> list[int]:
        if not self.path.is_dir():
            return []
        return sorted(int(name.removesuffix(".log")) for name in self.disk.list(self.path) if name.endswith(".log") and name.removesuffix(".log").isdecimal())

    def _file(self, hour: int) -> Path:
        return self.path / f"{hour}.log"


@dataclass
class Sampler:
    """Which answers are kept: at most so many a second, drawn evenly, each with the number it stands for."""

    share: float
    most_per_second: int
    _second: int = -1
    _seen: int = 0
    _last_rate: float = 0.0

    def keep(self, now: float, chance: float) -> float:
        """How many answers this one stands for; 0 where it is not kept. `chance`: evenly drawn from [0, 1), for this answer alone.

        The share of this second follows from the traffic of the one before, so that a second's answers are all kept with one chance.
        """
        second = math.floor(now)
        if second != self._second:
            self._last_rate = float(self._seen) if second == self._second + 1 else 0.0
            self._second, self._seen = second, 0
        self._seen += 1
        share = self.share * min(1.0, self.most_per_second / max(self._last_rate * self.share, 1.0))
        if self._seen * share > 2 * self.most_per_second:  # a jump in traffic: no second keeps more than twice what it should
            return 0.0
        return 1 / share if chance < share else 0.0
