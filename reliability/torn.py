"""A log cut at any byte and reopened again and again (D5): it must open every time, and lose no more than the record that the cut went through."""

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

from reliability.faults import workshop
from reliability.outcome import Control, Harness, Outcome
from reliability.stores import EVER
from thuja.core.errors import ThujaError
from thuja.run import LOG, Run

REOPENED = 4
"""Times: each reads, goes on as training does, and adds a record."""
PLANTED = 100


def written(folder: Path, rng: random.Random) -> list[dict[str, Any]]:
    """A log as training leaves it: additions of one to five records, some longer than a page."""
    run = Run(folder)
    records: list[dict[str, Any]] = []
    for _ in range(rng.randrange(2, 8)):
        added = [{"event": "step", "step": len(records) + place, "text": "ä\n" * rng.choice([0, 3, 30, 3000])} for place in range(rng.randrange(1, 6))]
        run.log(*added)
        records += added
    return records


def plain(records: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Without what tells of the cut."""
    return [r for r in records if r["event"] != "torn"]


def trial(folder: Path, rng: random.Random) -> str:
    """Cut a log, then reopen it; what is wrong, or nothing."""
    folder.mkdir()
    records = written(folder, rng)
    data = (folder / LOG).read_bytes()
    size = rng.randrange(len(data))
    whole = data[:size].count(b"\n")
    (folder / LOG).write_bytes(data[:size])
    expected = records[:whole]
    for number in range(REOPENED):
        run = Run(folder)
        found = run.records()
        if plain(found) != expected:
            return f"cut at {size} of {len(data)}, opened {number + 1} times: {len(plain(found))} records instead of {len(expected)}"
        if (len(found) > len(expected)) != cut_inside(data, size):
            return f"cut at {size} of {len(data)}, opened {number + 1} times: the loss of a record was not told, or one was told that was not"
        run.rewind(EVER)
        added = {"event": "step", "step": 1000 + number}
        run.log(added)
        expected = [*expected, added]
    return "" if plain(Run(folder).records()) == expected else f"cut at {size} of {len(data)}: the last record is not there"


def cut_inside(data: bytes, size: int) -> bool:
    """Whether a cut goes through a record; one between two leaves an older log, in which nothing is wrong."""
    return size > 0 and data[size - 1 : size] != b"\n"


def unframed(folder: Path, rng: random.Random) -> str:
    """Planted bug: a log of JSON lines without frames, read as such logs are: line by line. What is wrong, or nothing."""
    folder.mkdir()
    lines = b"".join(json.dumps(record).encode() + b"\n" for record in ({"step": n, "loss": 0.25 * n} for n in range(20)))
    starts = [place + 1 for place, byte in enumerate(lines) if byte == 0x0A]
    size = rng.choice([place for place in range(1, len(lines)) if place not in starts and place + 1 not in starts])
    path = folder / "log.jsonl"
    path.write_bytes(lines[:size])
    try:
        for number in range(REOPENED):
            [json.loads(line) for line in path.read_bytes().splitlines()]
            with path.open("ab") as file:
                file.write(json.dumps({"step": 1000 + number}).encode() + b"\n")
    except ValueError as error:
        return str(error)
    return ""


def tried(one: Callable[[Path, random.Random], str], folder: Path, trials: int, rng: random.Random) -> list[str]:
    """What was wrong in so many trials."""
    failures = []
    for number in range(trials):
        try:
            wrong = one(folder / f"{number}", rng)
        except (ThujaError, OSError, ValueError) as error:
            wrong = f"not opened: {error}"[:300]
        failures += [wrong] if wrong else []
    return failures


def run(trials: int, rng: random.Random) -> Outcome:
    """So many cuts."""
    with workshop() as folder:
        for name in ("true", "planted"):
            (folder / name).mkdir()
        failures = tried(trial, folder / "true", trials, rng)
        caught = len(tried(unframed, folder / "planted", PLANTED, rng))
    return Outcome(trials, failures, Control("a log of JSON lines without frames", PLANTED, caught), {"times each was reopened": REOPENED})


HARNESSES = (Harness("D5", "a log cut at any byte opens every time and loses at most the record that was cut", run, short=100, long=10_000),)
