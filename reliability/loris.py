"""S8: a crowd of sockets that drip headers, drip bodies, or say half a request and fall silent. Honest clients are answered; the crowd is cut off."""

import asyncio
import contextlib
import json
import random
import resource
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from reliability.outcome import Control, Harness, Outcome
from reliability.serving import ROOT, TEXTS, Answer, Server, Wire, artifact, quantile_ms, serving

STRICT = 500
"""Crowds of so many are judged by the honest clients' times too, and against the limits that a server has when nothing is set."""
CLIENTS = 4
SLACK_S = 10.0
BODY = b"POST /predict HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: 4000\r\n\r\n"
BEGINNINGS = {"drips headers": b"GET /schema HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Slow: ", "drips a body": BODY, "half-closed": b"POST /predict HTTP/1.1\r\nHo"}


def run(trials: int, rng: random.Random) -> Outcome:
    """A crowd of `trials` sockets, a tenth more than the server takes connections."""
    strict = trials >= STRICT
    settings: dict[str, Any] = {"max_connections": int(trials / 1.1)} if strict else {"max_connections": int(trials / 1.1), "header_s": 1.0, "body_s": 1.0}
    limit = 10.0 if strict else 1.0
    with tempfile.TemporaryDirectory() as folder:
        path = artifact(Path(folder) / "model")
        with serving(path, **settings) as server:
            failures, before, during = asyncio.run(_besieged(server, trials, limit, rng))
        with serving(path, "reliability.loris:patient", **{**settings, "max_connections": 1000, "header_s": 1.0, "body_s": 1.0}) as server:
            planted, _, _ = asyncio.run(_besieged(server, 12, 1.0, rng, slack=2.0))
    figures: dict[str, float | str] = {}
    if before and during:
        figures = {"honest p99 before, ms": quantile_ms(before), "honest p99 besieged, ms": quantile_ms(during), "honest answers besieged": len(during)}
        if strict and quantile_ms(during) > 2 * quantile_ms(before):
            failures.append(f"honest clients' p99 {quantile_ms(during)} ms, {quantile_ms(before)} ms before")
    return Outcome(trials, failures, Control("no limit on how long headers take", 1, int(any("drips headers" in line for line in planted))), figures)


async def _besieged(server: Server, crowd: int, limit: float, rng: random.Random, slack: float = SLACK_S) -> tuple[list[str], list[Answer], list[Answer]]:
    problems: list[str] = []
    over = asyncio.Event()
    quiet = [_honest(server.port, random.Random(rng.random()), over, 100) for _ in range(CLIENTS)]
    before = [answer for found in await asyncio.gather(*quiet) for answer in found]
    command = [sys.executable, "-m", "reliability.loris", *map(str, (server.port, crowd, limit, slack))]  # not here, where it would hold up the honest
    siege = await asyncio.create_subprocess_exec(*command, cwd=ROOT, stdout=asyncio.subprocess.PIPE)
    clients = [asyncio.create_task(_honest(server.port, random.Random(rng.random()), over)) for _ in range(CLIENTS)]
    said, _ = await siege.communicate()
    over.set()
    problems += json.loads(said)
    during = [answer for found in await asyncio.gather(*clients, return_exceptions=True) for answer in _answers(found, problems)]
    problems += [f"an honest client was answered with {answer.status}" for answer in before + during if answer.status != 200]
    return problems, before, during


def _answers(found: list[Answer] | BaseException, problems: list[str]) -> list[Answer]:
    if isinstance(found, BaseException):
        problems.append(f"an honest client was cut off: {found!r}")
        return []
    return found


async def _honest(port: int, rng: random.Random, over: asyncio.Event, most: int | None = None) -> list[Answer]:
    """Asks, each time on a connection of its own or on a kept one, until it is over."""
    answers: list[Answer] = []
    async with Wire(port) as wire:
        while not over.is_set() and (most is None or len(answers) < most):
            answers.append(await wire.predict(rng.choice(TEXTS)))
            if rng.random() < 0.3:
                wire.hang_up()
    return answers


async def crowded(port: int, crowd: int, limit: float, slack: float) -> list[str]:
    """So many sockets of all kinds at once; what is wrong with each that was not cut off in time."""
    kinds = [list(BEGINNINGS)[i % len(BEGINNINGS)] for i in range(crowd)]
    return [line for line in await asyncio.gather(*(_drip(port, kind, limit, slack) for kind in kinds)) if line]


async def _drip(port: int, kind: str, limit: float, slack: float) -> str:
    """One socket of the crowd: a byte now and then, until the server closes it. What is wrong; empty if it was cut off in time."""
    start = time.monotonic()
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(BEGINNINGS[kind])
    if kind == "half-closed":
        with contextlib.suppress(OSError):  # cut off already, to make room
            writer.write_eof()
    ended = asyncio.create_task(reader.read())
    try:
        while time.monotonic() - start < limit + slack:
            await asyncio.wait([ended], timeout=limit / 10)
            if ended.done():
                return ""
            if kind != "half-closed":
                writer.write(b"a")
        return f"a socket that {kind} was still open after {time.monotonic() - start:.1f} s"
    finally:
        ended.cancel()
        with contextlib.suppress(ConnectionError, asyncio.CancelledError):
            await ended
        writer.close()


def patient() -> None:
    """The planted bug: headers may take for ever, and nobody makes room."""
    from thuja.server.connection import Connection

    Connection._expect_headers = Connection._make_room = lambda self: None  # type: ignore[method-assign]


HARNESSES = (Harness("S8", "slow-loris and half-closed sockets: cut off in time, honest clients answered meanwhile", run, short=66, long=1100),)

if __name__ == "__main__":
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, 4 * int(sys.argv[2]) + 500)), hard))
    print(json.dumps(asyncio.run(crowded(int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]), float(sys.argv[4])))))
