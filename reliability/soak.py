"""S7: many requests of many kinds, one server. After a warm-up its memory, open files and threads stay what they were."""

import asyncio
import os
import random
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from reliability.outcome import Control, Harness, Outcome
from reliability.serving import TEXTS, Server, Wire, artifact, body, serving

CLIENTS = 8
SAMPLES = 40
WARM = 0.25
"""Share of the samples that are warm-up: allocators and caches fill."""
SLACK_BYTES = 3_000_000
"""What memory may differ by in any run: pages come and go."""
BYTES_PER_REQUEST = 20.0
"""Growth that is still called flat; one leaked object of Python's is larger."""
CONTROL = 1500
LEAK_BYTES = 20_000
LEAK_EVERY = 50


class Sample(NamedTuple):
    """The server's process at one moment."""

    requests: int
    resident: int
    files: int
    threads: int


def run(trials: int, rng: random.Random) -> Outcome:
    """Ask `trials` requests."""
    with tempfile.TemporaryDirectory() as folder:
        path = artifact(Path(folder) / "model")
        with serving(path) as server:
            failures, samples = asyncio.run(_soaked(server, trials, rng))
        with serving(path, "reliability.soak:leaking") as server:
            _, planted = asyncio.run(_soaked(server, CONTROL, rng))
    failures += grown(samples)
    caught = len(grown(planted)) == 2  # memory and files
    warm = samples[int(WARM * len(samples)) :]
    figures: dict[str, float | str] = {
        "memory after warm-up, MB": round(warm[0].resident / 1e6, 1), "memory at the end, MB": round(warm[-1].resident / 1e6, 1),
        "growth, bytes a request": round(slope(warm), 2), "open files at the end": warm[-1].files, "threads at the end": warm[-1].threads}
    return Outcome(trials, failures, Control("an application that keeps requests and opens files", 1, int(caught)), figures)


async def _soaked(server: Server, requests: int, rng: random.Random) -> tuple[list[str], list[Sample]]:
    """Clients ask in rounds; between rounds nothing is in flight, and the process is looked at."""
    problems: list[str] = []
    samples: list[Sample] = []
    wires = [Wire(server.port) for _ in range(CLIENTS)]
    share = max(1, requests // SAMPLES // CLIENTS)
    for i in range(SAMPLES):
        for found in await asyncio.gather(*(_round(wire, share, random.Random(rng.random())) for wire in wires)):
            problems += found
        samples.append(_sample(server.worker, (i + 1) * share * CLIENTS))
    for wire in wires:
        wire.hang_up()
    return problems, samples


async def _round(wire: Wire, requests: int, rng: random.Random) -> list[str]:
    problems = []
    for _ in range(requests):
        kind, status = rng.choice(KINDS)
        answer = await kind(wire, rng)
        if answer != status:
            problems.append(f"answered with {answer} instead of {status}")
        if rng.random() < 0.02:
            wire.hang_up()
    return problems


async def _one(wire: Wire, rng: random.Random) -> int:
    return (await wire.predict(rng.choice(TEXTS))).status


async def _many(wire: Wire, rng: random.Random) -> int:
    rows = b",".join(body(text) for text in rng.sample(TEXTS, rng.randint(1, 40)))
    return (await wire.ask("POST", "/predict", b'{"rows": [' + rows + b"]}")).status


async def _bad(wire: Wire, rng: random.Random) -> int:
    return (await wire.ask("POST", "/predict", b'{"message": 3}')).status


async def _lost(wire: Wire, rng: random.Random) -> int:
    return (await wire.ask("GET", f"/nowhere/{rng.random()}")).status


async def _metrics(wire: Wire, rng: random.Random) -> int:
    return (await wire.ask("GET", rng.choice(("/metrics", "/schema", "/ready")))).status


Kind = Callable[[Wire, random.Random], Any]
KINDS: tuple[tuple[Kind, int], ...] = ((_one, 200), (_one, 200), (_one, 200), (_one, 200), (_many, 200), (_bad, 422), (_lost, 404), (_metrics, 200))


def _sample(pid: int, requests: int) -> Sample:
    lines = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text("ascii").splitlines())
    files = sum(1 for _ in Path(f"/proc/{pid}/fd").iterdir())
    return Sample(requests, int(lines["VmRSS"].split()[0]) * 1024, files, int(lines["Threads"]))


def slope(samples: list[Sample]) -> float:
    """Bytes a request, by least squares."""
    return float(np.polyfit([s.requests for s in samples], [s.resident for s in samples], 1)[0])


def grown(samples: list[Sample]) -> list[str]:
    """What was not flat after the warm-up."""
    warm = samples[int(WARM * len(samples)) :]
    first, last = warm[0], warm[-1]
    requests = last.requests - first.requests
    found = []
    if last.resident - first.resident > SLACK_BYTES and slope(warm) > BYTES_PER_REQUEST:
        found.append(f"memory grew by {slope(warm):.0f} bytes a request, {(last.resident - first.resident) / 1e6:.1f} MB in {requests} requests")
    if last.files > first.files + 2:
        found.append(f"{last.files} open files at the end, {first.files} after the warm-up")
    if last.threads > first.threads:
        found.append(f"{last.threads} threads at the end, {first.threads} after the warm-up")
    return found


def leaking() -> None:
    """The planted bug: every request is kept, and some open a file."""
    from thuja.server.edge import Edge

    kept: list[Any] = []
    answer = Edge.__call__

    async def keeping(self: Edge, scope: Any, receive: Any, send: Any) -> None:
        kept.append(bytearray(b"x" * LEAK_BYTES))
        if len(kept) % LEAK_EVERY == 0:
            kept.append(os.open(os.devnull, os.O_RDONLY))
        await answer(self, scope, receive, send)

    Edge.__call__ = keeping  # type: ignore[method-assign]


HARNESSES = (Harness("S7", "requests of all kinds for a long time: memory, open files and threads stay flat", run, short=1600, long=100_000),)
