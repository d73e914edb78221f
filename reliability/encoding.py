"""Damaged rows (T4) and encoders that fail (T7).

Thuja has no worker processes: rows are encoded once, by a few threads of the training process, into a memory-mapped cache, and training gathers from it.
So what happens to the workers of other frameworks (they crash, hang, run out of /dev/shm, deadlock after a fork) can here happen to an encoder only: one that
raises, one that hangs and is killed with its process, shared memory (nothing of ours may use it), and a fork after the threads have run.
"""

import contextlib
import os
import random
import signal
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from reliability.outcome import Control, Harness, Outcome
from reliability.spoilt import ROWS, Damage, Kind, kinds
from thuja.codec import Codec, Columns, Ragged, Rows, take
from thuja.core.errors import BadRows, DataError
from thuja.data import columns as store
from thuja.data.columns import encoded
from thuja.data.source import Source, open_source

SHARES = (0.01, 0.1, 0.001)
BUDGETS = (0.01, 0.3)
WAIT_S = 60.0
"""After which a process counts as hanging; what it does takes less than a second."""


class Clean(NamedTuple):
    """A kind of data without damage: what every other row must still be encoded to."""

    kind: Kind
    codec: Codec
    columns: Columns
    place: dict[str, int]
    """Row of each id."""


@contextlib.contextmanager
def workshop() -> Iterator[Path]:
    """A folder for data, with a cache of its own."""
    before = os.environ.get("THUJA_CACHE")
    with tempfile.TemporaryDirectory() as folder:
        os.environ["THUJA_CACHE"] = str(Path(folder) / "cache")
        try:
            yield Path(folder)
        finally:
            os.environ.pop("THUJA_CACHE")
            if before is not None:
                os.environ["THUJA_CACHE"] = before


def opened(kind: Kind, folder: Path, rows: list[bytes]) -> Source:
    """The rows on disk, as a source."""
    return open_source(kind.data(folder, rows))["all"]


def clean(kind: Kind, folder: Path) -> Clean:
    """Learn the codec from the rows as they are."""
    source = opened(kind, folder, kind.rows)
    _, codec = kind.task.prepare(source)
    found = encoded(source, codec, folder / "cache", 0.0)
    return Clean(kind, codec, found.columns, {name: row for row, name in enumerate(source.ids(found.kept))})


class Silent:
    """The planted bug: what cannot be encoded becomes a copy of a good row, and nobody is told."""

    def __init__(self, codec: Codec) -> None:
        self.codec = codec

    def digest(self) -> str:
        return self.codec.digest()

    def encode(self, rows: Rows) -> Columns:
        try:
            return self.codec.encode(rows)
        except BadRows as error:
            good = next(place for place in range(len(next(iter(rows.values())))) if place not in error.rows)
            return self.encode({name: [values[good if place in error.rows else place] for place in range(len(values))] for name, values in rows.items()})


def equal(one: Columns, other: Columns) -> bool:
    """Whether encoded rows are the same, bit for bit."""
    def parts(columns: Columns) -> list[bytes]:
        return [part.tobytes() for c in columns.values() for part in (c if isinstance(c, Ragged) else (np.asarray(c),))]

    return list(one) == list(other) and parts(one) == parts(other)


def chance(kind: Kind, share: float, rng: random.Random) -> dict[int, Damage]:
    """Damage of any sort to a share of the rows, at least one."""
    return {place: rng.choice(kind.damages) for place in rng.sample(range(ROWS), max(1, round(share * ROWS)))}


def damaged(known: Clean, damages: dict[int, Damage], folder: Path, rng: random.Random, plant: Callable[[Codec], Any] = lambda codec: codec) -> list[str]:
    """Spoil these rows and encode all, once with a budget of 1 % and once of 30 %: what went wrong, empty is what we want."""
    kind, rows = known.kind, list(known.kind.rows)
    for place, how in damages.items():
        rows[place] = how.spoil(rows[place], rng)
    spoilt = {kind.ids[place]: how for place, how in damages.items()}
    story = f"{kind.name}, {len(spoilt)} of {ROWS} rows damaged"
    try:
        source = opened(kind, folder, rows)
        with contextlib.suppress(DataError):  # a codec, or a reason; never another error
            kind.task.prepare(source)
        return [f"{story}, budget {budget:.0%}: {what}" for budget in BUDGETS for what in _judge(known, source, plant(known.codec), spoilt, budget, folder)]
    except Exception as error:  # noqa: BLE001  # whatever else comes out is what this harness looks for
        return [f"{story} ({', '.join(sorted({d.name for d in spoilt.values()}))}): {type(error).__name__}: {error}"[:300]]


def _judge(known: Clean, source: Source, codec: Any, spoilt: dict[str, Damage], budget: float, folder: Path) -> list[str]:
    must = {name for name, how in spoilt.items() if how.fate == "skipped"}
    may = must | {name for name, how in spoilt.items() if how.fate == "either"}
    try:
        found = encoded(source, codec, folder / "cache", budget)
    except DataError as error:
        if error.where != "data.bad_rows" or not any(name in str(error) for name in may):
            return [f"an error that names no row: {error}"[:300]]
        return [] if len(may) > budget * ROWS else [f"stopped within the budget: {error}"[:300]]
    named, wrong = {bad.id for bad in found.bad}, []
    if len(must) > budget * ROWS:
        wrong.append(f"{len(must)} rows that cannot be used, and no error")
    if missed := must - named:
        wrong.append(f"not named: {', '.join(f'{name} ({spoilt[name].name})' for name in sorted(missed)[:5])}")
    if more := named - may:
        wrong.append(f"skipped without need: {', '.join(sorted(more)[:5])}")
    if len(found.bad) != len(named) or not all(bad.reason for bad in found.bad):
        wrong.append("a row named twice, or without a reason")
    ids = source.ids(found.kept)
    if sorted(ids) != sorted(set(known.place) - named):
        wrong.append(f"{len(ids)} rows kept and {len(named)} named, of {ROWS}")
    whole = np.array([row for row, name in enumerate(ids) if name not in spoilt], np.int64)
    if not equal(take(found.columns, whole), take(known.columns, np.array([known.place[ids[row]] for row in whole], np.int64))):
        wrong.append("rows beside the damaged ones were encoded to something else")
    return wrong


def stopped(known: Clean, folder: Path, rng: random.Random) -> list[str]:
    """One row that makes the rest of its file unreadable: the error must be a DataError with its line."""
    how, place, rows = rng.choice(known.kind.stops), rng.randrange(ROWS), list(known.kind.rows)
    rows[place] = how.spoil(rows[place], rng)
    story, line = f"{known.kind.name}, {how.name}", known.kind.ids[place]
    try:
        opened(known.kind, folder, rows)
    except DataError as error:
        return [] if f"{line}:" in f"{error.where}:" else [f"{story}: {line} is not named by {error}"[:300]]
    except Exception as error:  # noqa: BLE001  # the same
        return [f"{story} at {line}: {type(error).__name__}: {error}"[:300]]
    return [f"{story} at {line}: nobody noticed"]


def t4(trials: int, rng: random.Random) -> Outcome:
    """Every kind of data in turn with every share of damage; every tenth trial a row that stops the file."""
    failures: list[str] = []
    caught = planted = 0
    with workshop() as root:
        known = [clean(kind, root / f"{kind.name}-clean") for kind in kinds()]
        for trial in range(trials):
            subject = known[trial % len(known)]
            if subject.kind.stops and trial % 10 == 9:
                failures += stopped(subject, root / f"trial{trial}", rng)
            else:
                failures += damaged(subject, chance(subject.kind, SHARES[trial // len(known) % len(SHARES)], rng), root / f"trial{trial}", rng)
        for subject in known:
            for again in range(max(1, trials // 30)):
                planted += 1
                caught += bool(damaged(subject, chance(subject.kind, 0.1, rng), root / f"planted-{subject.kind.name}{again}", rng, Silent))
    return Outcome(trials, failures, Control("rows that cannot be encoded become copies of good ones in silence", planted, caught),
                   {"rows encoded": trials * ROWS, "shares damaged": "0.1 %, 1 %, 10 %"})


class Broken:
    """A codec that does something at one row, the first time it gets there."""

    def __init__(self, codec: Codec, row: int, act: Callable[[], None]) -> None:
        self.codec, self.row, self.act, self.seen = codec, row, act, 0

    def digest(self) -> str:
        return self.codec.digest()

    def encode(self, rows: Rows) -> Columns:
        self.seen += len(next(iter(rows.values())))
        if self.seen > self.row:
            self.act()
        return self.codec.encode(rows)


class Bug(ZeroDivisionError):
    """What a codec with a mistake raises: nothing that Thuja knows."""


def _raise() -> None:
    raise Bug("a codec's own mistake")


def raises(known: Clean, source: Source, folder: Path, rng: random.Random) -> list[str]:
    """A codec raises in a thread: the error comes out as it is, and nothing half-made is left that the next run would take."""
    try:
        encoded(source, Broken(known.codec, rng.randrange(ROWS), _raise), folder, 0.5)  # type: ignore[arg-type]
    except Bug:
        return recovers(known, source, folder, "after a codec that raised")
    except DataError as error:
        return [f"a codec raised, and another error came out: {error}"]
    return ["a codec raised, and its rows are missing in silence"]


def hangs(known: Clean, source: Source, folder: Path, rng: random.Random) -> list[str]:
    """A codec hangs in a thread and its process is killed: the lock dies with it, and the next one encodes."""
    read, write = os.pipe()

    def hang() -> None:
        os.write(write, b"!")
        time.sleep(3600)

    row = rng.randrange(ROWS)
    child = forked(lambda: encoded(source, Broken(known.codec, row, hang), folder, 0.5) and None)  # type: ignore[arg-type]
    os.read(read, 1)
    os.kill(child, rng.choice((signal.SIGTERM, signal.SIGKILL)))
    os.waitpid(child, 0)
    os.close(read)
    os.close(write)
    return recovers(known, source, folder, "after a codec that hung was killed")


def recovers(known: Clean, source: Source, folder: Path, when: str) -> list[str]:
    """Encode in another process, as the next run would: it must end, with the right columns."""
    def work() -> str | None:
        again = encoded(source, known.codec, folder, 0.0)
        return None if equal(again.columns, known.columns) else "other columns"

    return [f"{when}: {what}" for what in answer(work)]


def no_shared_memory(known: Clean, source: Source, folder: Path, also: Callable[[], Any] = lambda: None) -> list[str]:
    """Encode and gather augmented batches: no file of /dev/shm may be open or mapped (a container gives 64 MB of it)."""
    def work() -> str | None:
        import torch

        from thuja.task import Draw

        torch.set_num_threads(1)
        before = in_shared_memory()  # what the parent had open is none of ours
        found = encoded(source, known.codec, folder, 0.0)
        _kept = also()
        batches = known.kind.task.batches(torch.nn.Identity(), found.columns, Draw(64, seed=0))
        for _ in range(3):
            next(batches)
        ours = in_shared_memory() - before
        return f"uses shared memory: {sorted(ours)[0]}" if ours else None

    return answer(work)


def in_shared_memory() -> set[str]:
    """Files of /dev/shm that this process has mapped or open."""
    mapped = {line for line in Path("/proc/self/maps").read_text().splitlines() if "/dev/shm" in line}
    return mapped | {target for fd in os.listdir("/proc/self/fd") if "/dev/shm" in (target := _target(fd))}


def _target(fd: str) -> str:
    try:
        return os.readlink(f"/proc/self/fd/{fd}")
    except OSError:
        return ""


def forked(work: Callable[[], str | None]) -> int:
    """Run in a process of its own; its id. It ends with 0, or with 1 where there is something to say or an error."""
    child = os.fork()
    if child:
        return child
    try:
        os._exit(0 if work() is None else 1)
    except BaseException:  # noqa: BLE001  # a forked process must end here, whatever happens
        os._exit(2)


def answer(work: Callable[[], str | None], wait: float = WAIT_S) -> list[str]:
    """What a forked process found wrong: nothing, something, an error, or that it hung."""
    child, ends = forked(work), time.monotonic() + wait
    while time.monotonic() < ends:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            code = os.waitstatus_to_exitcode(status)
            return [] if code == 0 else ["other columns, or shared memory in use" if code == 1 else f"ended with {code}"]
        time.sleep(0.005)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return [f"hung for {wait:g} s"]


def forks(known: Clean, source: Source, folder: Path, rng: random.Random) -> list[str]:
    """Encode with threads here, then again in a forked process, which must not wait for a lock that a thread held."""
    encoded(source, known.codec, folder / "before", 0.0)
    return recovers(known, source, folder / "after", "forked after threads")


def t7(trials: int, rng: random.Random) -> Outcome:
    """A codec that raises, one that hangs and is killed, no shared memory, a fork after threads: in turn."""
    import torch

    failures: list[str] = []
    ways: list[Callable[[Clean, Source, Path, random.Random], list[str]]] = [
        raises, hangs, lambda known, source, folder, _rng: no_shared_memory(known, source, folder), forks]
    with workshop() as root:
        known = [clean(kind, root / f"{kind.name}-clean") for kind in kinds()]
        sources = [opened(k.kind, root / f"{k.kind.name}-again", k.kind.rows) for k in known]
        for trial in range(trials):
            pick = trial // len(ways) % len(known)
            failures += [f"{known[pick].kind.name}: {what}" for what in ways[trial % len(ways)](known[pick], sources[pick], root / f"trial{trial}", rng)]
        caught = planted = 0
        for again in range(max(1, trials // 20)):
            with lost_in_silence():
                caught += bool(raises(known[0], sources[0], root / f"silent{again}", rng))
            caught += bool(no_shared_memory(known[0], sources[0], root / f"shared{again}", lambda: torch.zeros(1 << 16).share_memory_()))
            planted += 2
    return Outcome(trials, failures, Control("a chunk whose codec raises is left out in silence; tensors in shared memory", planted, caught),
                   {"worker processes": 0, "threads": "at most 4, only while encoding"})


@contextlib.contextmanager
def lost_in_silence() -> Iterator[None]:
    """The planted bug: whatever a codec raises, its chunk is dropped and nobody is told."""
    honest = store._encode

    def careless(source: Source, codec: Codec, index: np.ndarray) -> Any:
        try:
            return honest(source, codec, index)
        except Exception:  # noqa: BLE001  # that is the bug
            return {}, index[:0], []

    store._encode = careless
    try:
        yield
    finally:
        store._encode = honest


HARNESSES = (
    Harness("T4", "damaged pictures, tables and texts (0.1, 1, 10 % of the rows): skipped by name within the budget, else a DataError; never a crash", t4,
            short=6, long=450),
    Harness("T7", "an encoder that raises, or hangs and is killed; no shared memory; a fork after threads: an error or the right columns, no hang", t7,
            short=8, long=120),
)
