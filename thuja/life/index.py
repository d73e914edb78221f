"""Which labels came earlier for some answers, without reading all that ever came: an index of the label files in SQLite.

The files are the truth; this is a cache, and nothing is lost with it. So it may be deleted at any time, and it is the one thing here that does not reach the
disk through `core.storage`: what a crash leaves of it is an older state that SQLite goes back to by itself (WAL, synced at its checkpoints), and what is
missing is read from the files again; or it is a database that cannot be opened, and it is made anew. Where it cannot be written at all, the files are read.
"""

import contextlib
import json
import logging
import sqlite3
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from thuja.core.storage import DISK, Disk
from thuja.life.segments import Segments

LOG = logging.getLogger(__name__)
FORMAT = 1
PATIENCE = 10.0
"""Seconds that another process is waited for, which is reading files into the index."""
TABLES = """
CREATE TABLE IF NOT EXISTS file (number INTEGER PRIMARY KEY, size INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS label (call TEXT NOT NULL, number INTEGER NOT NULL, place INTEGER NOT NULL, came REAL NOT NULL, truth TEXT NOT NULL,
  PRIMARY KEY (call, number, place)) WITHOUT ROWID;
"""


@dataclass
class Index:
    """The index of a folder of label files, beside it. Any number of processes may use it at once."""

    segments: Segments
    disk: Disk = field(default=DISK, repr=False)

    @property
    def path(self) -> Path:
        """Where it is."""
        return self.segments.path.with_name(f"{self.segments.path.name}.index.db")

    def truths(self, calls: Iterable[str], start: float, end: float) -> dict[str, dict[str, Any]]:
        """What the latest label that came from `start` to just before `end` says of each of these answers; those without one are left out."""
        wanted = set(calls)
        if not wanted or not self.segments.numbers():
            return {}
        for attempt in (1, 2):
            try:
                with self._opened() as database:
                    self._refresh(database, start)
                    return _asked(database, sorted(wanted), start, end)
            except sqlite3.OperationalError as error:  # locked for long, full, or not permitted: it is as it was
                LOG.warning("labels are read without their index: %s", error)
                break
            except sqlite3.DatabaseError as error:
                if attempt == 1:
                    LOG.warning("the index of labels is damaged and is made anew: %s", error)
                    self.remove()
        return self._read(wanted, start, end)

    def remove(self) -> None:
        """Take it away; the next question makes it again."""
        for name in (self.path.name, f"{self.path.name}-wal", f"{self.path.name}-shm"):
            place = self.path.with_name(name)
            if place.exists():
                self.disk.remove(place)

    @contextlib.contextmanager
    def _opened(self) -> Iterator[sqlite3.Connection]:
        with contextlib.closing(sqlite3.connect(self.path, timeout=PATIENCE, isolation_level=None)) as database:
            database.execute("PRAGMA journal_mode=WAL")
            database.execute("PRAGMA synchronous=NORMAL")
            (version,) = database.execute("PRAGMA user_version").fetchone()
            if version not in (0, FORMAT):
                raise sqlite3.DatabaseError(f"format {version}")
            if not version:
                database.executescript(TABLES)
                database.execute(f"PRAGMA user_version={FORMAT}")
            yield database

    def _refresh(self, database: sqlite3.Connection, start: float) -> None:
        """Read what has been added to the files since, from the span of `start` on, and forget files that are gone."""
        first = self.segments.number(start)
        there = self.segments.numbers()
        known = dict(database.execute("SELECT number, size FROM file"))
        changed = [number for number in there if number >= first and self._size(number) != known.get(number, 0)]
        gone = sorted(set(known) - set(there))
        if not changed and not gone:
            return
        with database:  # all of it, or nothing
            database.execute("BEGIN IMMEDIATE")
            known = dict(database.execute("SELECT number, size FROM file"))  # another process may have been faster
            for number in gone:
                self._forget(database, number)
            for number in changed:
                self._add(database, number, known.get(number, 0))

    def _size(self, number: int) -> int:
        path = self.segments.file(number)
        return path.stat().st_size if path.exists() else 0

    def _add(self, database: sqlite3.Connection, number: int, known: int) -> None:
        if self._size(number) < known:  # a torn tail was taken off, or a copy was put back
            self._forget(database, number)
            known = 0
        records, read = self.segments.since(number, known)
        rows = ((record["call"], number, known + place, record["came"], json.dumps(record["truth"])) for place, record in enumerate(records))
        database.executemany("INSERT OR REPLACE INTO label VALUES (?, ?, ?, ?, ?)", rows)
        database.execute("INSERT OR REPLACE INTO file VALUES (?, ?)", (number, known + read))

    def _forget(self, database: sqlite3.Connection, number: int) -> None:
        database.execute("DELETE FROM label WHERE number = ?", (number,))
        database.execute("DELETE FROM file WHERE number = ?", (number,))

    def _read(self, wanted: set[str], start: float, end: float) -> dict[str, dict[str, Any]]:
        """The same from the files."""
        records = (record for record in self.segments.between(start, end) if start <= record["came"] < end and record["call"] in wanted)
        return {record["call"]: record["truth"] for record in records}


def _asked(database: sqlite3.Connection, calls: list[str], start: float, end: float) -> dict[str, dict[str, Any]]:
    question = "SELECT truth FROM label WHERE call = ? AND came >= ? AND came < ? ORDER BY number DESC, place DESC LIMIT 1"
    found = {call: database.execute(question, (call, start, end)).fetchone() for call in calls}
    return {call: json.loads(row[0]) for call, row in found.items() if row is not None}
