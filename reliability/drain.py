"""S5: SIGTERM under load. First the server says that it is not ready, then it stops listening, and every request that it took is answered."""

import asyncio
import os
import random
import signal
import tempfile
from pathlib import Path
from typing import Any

from reliability.outcome import Control, Harness, Outcome
from reliability.serving import TEXTS, Server, Wire, artifact, serving

CLIENTS = 6
SLOW = "reliability.drain:slow"
RUN_S = 0.02


def run(trials: int, rng: random.Random) -> Outcome:
    """End a loaded server `trials` times."""
    failures: list[str] = []
    answered = 0
    with tempfile.TemporaryDirectory() as folder:
        path = artifact(Path(folder) / "model")
        for trial in range(trials):
            with serving(path, SLOW, notice_s=0.3) as server:
                found, count = asyncio.run(_ended(server, rng))
            answered += count
            failures += [f"trial {trial}: {problem}" for problem in found]
        with serving(path, SLOW, "reliability.drain:abrupt", notice_s=0.3) as server:
            caught = bool(asyncio.run(_ended(server, rng))[0])
    return Outcome(trials, failures, Control("requests in flight dropped at SIGTERM", 1, int(caught)), {"requests answered under load": answered})


async def _ended(server: Server, rng: random.Random) -> tuple[list[str], int]:
    """What went wrong while the server left, and how many requests were answered."""
    problems: list[str] = []
    leaving = asyncio.Event()
    clients = [asyncio.create_task(_client(server.port, random.Random(rng.random()), leaving, problems)) for _ in range(CLIENTS)]
    await asyncio.sleep(0.2 + 0.3 * rng.random())
    async with Wire(server.port) as wire:
        before = await wire.ask("GET", "/ready")
        leaving.set()
        server.process.send_signal(signal.SIGTERM)
        problems += [f"before SIGTERM /ready said {before.status}"] if before.status != 200 else []
        problems += await _notice(wire)
    counts = await asyncio.wait_for(asyncio.gather(*clients), 30)
    code = await asyncio.to_thread(server.process.wait, 30)
    problems += [f"exit code {code}"] if code else []
    return problems, sum(counts)


async def _notice(wire: Wire) -> list[str]:
    """The server must say that it is not ready while it still answers."""
    for _ in range(100):
        try:
            answer = await wire.ask("GET", "/ready")
        except (ConnectionError, asyncio.IncompleteReadError) as error:
            return [f"the server left without saying that it is not ready: {error!r}"]
        if answer.status == 503:
            return []
        await asyncio.sleep(0.005)
    return ["/ready never said 503"]


async def _client(port: int, rng: random.Random, leaving: asyncio.Event, problems: list[str]) -> int:
    """Asks until it is turned away; an answer that is owed and does not come is a problem."""
    count = 0
    async with Wire(port) as wire:
        while True:
            kept = wire.answered > 0
            try:
                answer = await wire.predict(rng.choice(TEXTS))
            except (ConnectionError, asyncio.IncompleteReadError) as error:
                if kept or not leaving.is_set():  # an open connection was not announced to close; or nobody was leaving
                    problems.append(f"a request was lost: {error!r}")
                return count
            count += 1
            if answer.status != 200:
                problems.append(f"answered with {answer.status}")


def slow() -> None:
    """Let the model take its time, so that there is always something in flight."""
    import time

    from thuja.artifact.runtime import Predictor

    run_at_once = Predictor.run

    def paced(self: Predictor, *arguments: Any) -> Any:
        time.sleep(RUN_S)
        return run_at_once(self, *arguments)

    Predictor.run = paced  # type: ignore[assignment,method-assign]


def abrupt() -> None:
    """The planted bug: SIGTERM ends the process that answers."""
    from thuja.server import server

    server._Server.handle_exit = lambda self, sig, frame: os._exit(0)  # type: ignore[method-assign]


HARNESSES = (Harness("S5", "SIGTERM under load: not ready first, no request in flight lost", run, short=1, long=100),)
