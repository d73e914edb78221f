"""What has happened to a deployment: an append-only log of events, each holding the hash of the one before. The one truth; all else is made from it.

A framed log on its own tells a torn tail from damage (`core/log.py`). The chain tells more: that nobody has changed, taken out or put in an event, other than
by writing all of the rest anew. The hash of the last event, kept elsewhere, shows even that, and a cut between two events.

A database would have its own way of reaching the disk, which no test of ours can crash at every operation. So the truth is this file; SQLite and MLflow hold
projections of it, which may be thrown away.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from thuja.core import digest, log
from thuja.core.clock import Clock, wall
from thuja.core.errors import ArtifactError
from thuja.core.storage import DISK, Disk, locked

BEGINNING = "0" * 64
"""What stands for the event before the first."""


class Event(NamedTuple):
    """Something that happened, or was decided; "nothing to do" is a decision too."""

    number: int
    """From 1 on, without a gap."""
    at: float
    """Seconds since 1970, never before the event before it."""
    kind: str
    """What happened, in a word: version, moved, share, look, alarm, fault, frozen, thawed, comparison, told."""
    version: str
    """Which model it is about: the version's name; empty where it is about none."""
    body: dict[str, Any]
    """Plain data: the gates with what was found at each, figures, reasons."""
    evidence: tuple[str, ...]
    """Digests of what is kept in the evidence store."""
    by: str
    """Who decided: "policy", or the name a person gave."""
    previous: str
    hash: str

    def plain(self) -> dict[str, Any]:
        """As JSON data."""
        return self._asdict() | {"evidence": list(self.evidence)}


class Said(NamedTuple):
    """What is to be written of an event; number, time and hashes follow from the place where it lands."""

    kind: str
    version: str = ""
    body: dict[str, Any] = {}
    evidence: tuple[str, ...] = ()
    by: str = "policy"


@dataclass
class Ledger:
    """The log of one deployment. Any number of processes may write to it and read it."""

    path: Path
    clock: Clock = wall
    disk: Disk = field(default=DISK, repr=False)
    _read: "Read" = field(default_factory=lambda: Read([], 0), repr=False)

    def events(self) -> list[Event]:
        """All events, oldest first; of a log that has grown only what is new is read. A torn tail is left out: it was never said to have been written.
        Raises: ArtifactError for a damaged or changed log."""
        size = self.path.stat().st_size if self.path.exists() else 0
        if size != self._read.size or not self._same():
            self._read = self._grown(size) or self._whole()[0]
        return list(self._read.events)

    def append(self, said: Sequence[Said], *, after: int | None = None) -> list[Event]:
        """Add events that belong together: all of them are there, or none. Durable on return.

        Args: after: the number of the last event that the decision is based on; when others have been written since, nothing is.
        Raises: Stale; StorageError; ArtifactError for a damaged log.
        """
        with locked(self.path.with_name(f"{self.path.name}.lock"), self.disk):
            known = self._current()
            if after is not None and after != len(known):
                raise Stale(known[after:])
            added: list[Event] = []
            for one in said:
                added.append(_next(added[-1] if added else known[-1] if known else None, one, self.clock()))
            if added:
                log.append(self.path, [event.plain() for event in added], self.disk)
                self._read = Read(known + added, self.path.stat().st_size)
            return added

    def _current(self) -> list[Event]:
        """All events, and no torn tail any more; what this process has read or written before is not read again."""
        size = self.path.stat().st_size if self.path.exists() else 0
        if size != self._read.size or not self._same():
            grown = self._grown(size)
            if grown is None or grown.size != size:
                grown, contents = self._whole()
                if contents.torn:
                    log.rewrite(self.path, contents.records, self.disk)
            self._read = grown
        return self._read.events

    def _whole(self) -> "tuple[Read, log.Contents]":
        contents = log.read(self.path, self.disk)
        return Read(_verified(self.path, contents.records, []), contents.size), contents

    def _same(self) -> bool:
        """Whether what is known ends in the file where it did: with the hash of the last event, which no other log has there."""
        known = self._read
        if not known.events:
            return False
        end = b'"hash":"%b"}\n' % known.events[-1].hash.encode()
        return self.disk.read(self.path, known.size - len(end))[: len(end)] == end

    def _grown(self, size: int) -> "Read | None":
        """What is known and what follows from it; None where the log is not one that has grown."""
        known = self._read
        if not 0 < known.size < size or not self._same():
            return None
        try:
            contents = log.read(self.path, self.disk, known.size)
            return Read(_verified(self.path, contents.records, known.events), known.size + contents.size)
        except ArtifactError:  # another log has taken its place, or it is damaged: reading all of it tells
            return None


class Read(NamedTuple):
    """What was read of a log. Replaced as a whole, so that several threads may use one ledger."""

    events: list[Event]
    size: int


class Stale(Exception):
    """Others have written since; `news` is what."""

    def __init__(self, news: list[Event]) -> None:
        super().__init__(f"{len(news)} newer events")
        self.news = news


def _next(last: Event | None, said: Said, now: float) -> Event:
    """The event that follows. A clock that went backwards does not: the event keeps the time of the one before, and says by how much."""
    at, body = now, said.body
    if last is not None and now < last.at:
        at, body = last.at, said.body | {"clock_behind_s": round(last.at - now, 3)}
    plain = {"number": 1 if last is None else last.number + 1, "at": at, "kind": said.kind, "version": said.version, "body": body,
             "evidence": list(said.evidence), "by": said.by, "previous": BEGINNING if last is None else last.hash}
    return _event(plain | {"hash": digest.of_data(plain)})


def last_of(events: Sequence[Event], kind: str, version: str | None = None) -> Event | None:
    """The last event of a kind; of one version, where that is named. None where there is none."""
    return next((event for event in reversed(events) if event.kind == kind and version in (None, event.version)), None)


def _event(plain: dict[str, Any]) -> Event:
    return Event(**plain | {"evidence": tuple(plain["evidence"])})


def _verified(path: Path, records: list[dict[str, Any]], before: list[Event]) -> list[Event]:
    """The events before, and those of the records. Raises: ArtifactError at the first that does not follow from the one before."""
    events = list(before)
    for place, record in enumerate(records, 1 + len(before)):
        plain = {name: value for name, value in record.items() if name != "hash"}
        expected = events[-1].hash if events else BEGINNING
        right = set(record) == set(Event._fields) and record["previous"] == expected and record["number"] == place and record["hash"] == digest.of_data(plain)
        if not right:
            raise ArtifactError(f"{path}: event {place}", expected="the event that follows from the one before it", found="another",
                                fix="Somebody has changed the log: restore it from a copy, and keep the changed one as evidence.")
        events.append(_event(record))
    return events
