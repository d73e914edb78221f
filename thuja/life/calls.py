"""What was asked and answered, as far as it is kept.

Recording must never harm serving. Only a limited number of answers a second is kept, whatever the traffic, each with the number it stands for; a disk that
refuses loses records, not answers, and the gap is recorded when the disk takes bytes again.
"""

import math
import secrets
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from thuja.core.errors import ArtifactError, StorageError
from thuja.core.storage import DISK, Disk
from thuja.life.segments import HOUR, Segments

NAMES = 512
"""Random names that are made at once."""
SPANS = 48
"""Spans whose ids are remembered (eight bytes an answer)."""


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
    """Whether nobody saw it: while a challenge is on, the version that did not answer a question is asked in the shade, under the same id."""


class Counts(NamedTuple):
    """How much was asked in a short time, kept or not."""

    start: float
    end: float
    requests: int
    refusals: int
    """Of them, how many could not be read."""
    inputs: dict[str, Any]
    """A summary by field (`Field.summarise`) of what was asked; empty where rows are kept themselves, or nothing is."""


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
    span: float = HOUR
    """Seconds of which one file holds the answers."""
    _lost: Gap | None = field(default=None, repr=False)
    _random: list[str] = field(default_factory=list, repr=False)
    _ids: dict[int, tuple[int, np.ndarray]] = field(default_factory=dict, repr=False)
    """By span: how many bytes of its file were read, and the sorted hashes of the ids in them."""

    def __post_init__(self) -> None:
        self.segments = Segments(self.path, self.disk, self.span)

    def new_id(self, at: float) -> str:
        """A name for an answer: the span of time in which it was given, so that a label finds it, and 12 random characters, so that nobody guesses it."""
        if not self._random:  # many at once: asking the kernel for each takes longer than all the rest
            text = secrets.token_urlsafe(9 * NAMES)
            self._random = [text[start : start + 12] for start in range(0, 12 * NAMES, 12)]
        return f"{int(at // self.span):x}-{self._random.pop()}"

    def add(self, calls: Sequence[Call]) -> bool:
        """Keep some answers durably, and the gap before them, if there is one; whether the disk took them. Never raises for a disk that refuses: that gap, too,
        is told of later."""
        records: list[tuple[float, dict[str, Any]]] = [(call.at, call._asdict()) for call in calls]
        if self._lost is not None:
            records.append((calls[-1].at if calls else self._lost.end, {"gap": self._lost._asdict()}))
        try:
            self.segments.add(records)
        except (StorageError, ArtifactError, OSError) as error:
            if calls:
                times = [call.at for call in calls]
                self.lose(Gap(min(times), max(times), len(calls), type(error).__name__ if isinstance(error, OSError) else error.found))
            return False
        self._lost = None
        return True

    def lose(self, gap: Gap) -> None:
        """Remember answers that were not kept, until the disk takes it; gaps that nobody was told of yet become one."""
        old = self._lost
        self._lost = gap if old is None else Gap(min(old.start, gap.start), max(old.end, gap.end), old.lost + gap.lost, gap.why)

    def count(self, counts: Counts) -> bool:
        """Keep how much was asked; whether the disk took it."""
        try:
            self.segments.add([(counts.start, {"counts": counts._asdict()})])
        except (StorageError, ArtifactError, OSError):
            return False
        return True

    def counted(self, start: float, end: float) -> list[Counts]:
        """How much was asked in that time."""
        records = (record["counts"] for record in self.segments.between(start, end) if "counts" in record)
        return [Counts(**record) for record in records if start <= record["start"] < end]

    def between(self, start: float, end: float) -> Iterator[Call]:
        """The kept answers from `start` to just before `end`, oldest hour first. Damaged hours are passed over: see `gaps`."""
        for record in self.segments.between(start, end):
            if "id" in record and start <= record["at"] < end:
                yield Call(**record)

    def named(self, ids: Iterable[str], *, shade: bool = False) -> dict[str, Call]:
        """The answers with these ids, as far as they are kept; whoever made an id up finds nothing. `shade`: those that the other version gave to the same
        question, which nobody saw."""
        wanted = set(ids)
        spans = {number for name in wanted if (number := _span_in(name)) is not None}
        there = spans & set(self.segments.numbers())
        records = (record for number in sorted(there) for record in self.segments.of(number) if record.get("id") in wanted)
        return {record["id"]: Call(**record) for record in records if record["shade"] == shade}

    def known(self, ids: Iterable[str]) -> set[str]:
        """Those of the ids under which an answer is kept. What was read once is not read again: for those who ask often."""
        there = set(self.segments.numbers())
        return {name for name in ids if (number := _span_in(name)) is not None and number in there and _within(self._hashes(number), hash(name))}

    def _hashes(self, number: int) -> np.ndarray:
        read, hashes = self._ids.pop(number, (0, np.zeros(0, np.int64)))
        path = self.segments.file(number)
        if path.exists() and path.stat().st_size != read:
            records, size = self.segments.since(number, read)
            fresh = np.array([hash(record["id"]) for record in records if "id" in record], np.int64)
            read, hashes = read + size, np.sort(np.concatenate([hashes, fresh]))
        self._ids[number] = read, hashes
        for old in list(self._ids)[:-SPANS]:
            del self._ids[old]
        return hashes

    def gaps(self, start: float, end: float) -> list[Gap]:
        """What was lost in that time, as far as it is known."""
        found = [Gap(**record["gap"]) for record in self.segments.between(start, end + self.span) if "gap" in record]
        found += [Gap(number * self.span, (number + 1) * self.span, 0, "a damaged file") for number in self.segments.damaged()]
        return [gap for gap in found if gap.start < end and gap.end >= start]

    def erase(self, ids: Iterable[str]) -> int:
        """Take the inputs out of the answers with these ids for good (a person's wish); how many had any."""
        wanted, erased = set(ids), 0
        for number in self.segments.numbers():
            records = self.segments.of(number)
            hits = [record for record in records if record.get("id") in wanted and record.get("inputs") is not None]
            for record in hits:
                record["inputs"] = None
            if hits:
                self.segments.replace(number, records)
            erased += len(hits)
        return erased


def _within(hashes: np.ndarray, wanted: int) -> bool:
    place = int(np.searchsorted(hashes, wanted))
    return place < len(hashes) and int(hashes[place]) == wanted


def _span_in(name: str) -> int | None:
    head, dash, _ = name.partition("-")
    try:
        return int(head, 16) if dash and len(head) <= 12 else None
    except ValueError:
        return None


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
