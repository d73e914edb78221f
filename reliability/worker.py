"""S14: the process that answers is killed, or dies of a fault in native code, in the middle of a call. That call ends at once, and another process answers."""

import asyncio
import ctypes
import os
import random
import signal
import tempfile
import time
from pathlib import Path
from typing import Any

from reliability.outcome import Control, Harness, Outcome
from reliability.serving import TEXTS, Server, Wire, artifact, serving

BACK_S = 5.0
FATAL = "fatal"
"""A text that the toy's encoder dies of, as a decoder with a fault in it would."""
DEADLY = "reliability.worker:deadly"


def run(trials: int, rng: random.Random) -> Outcome:
    """Kill one server's worker again and again, in two ways."""
    with tempfile.TemporaryDirectory() as folder:
        path = artifact(Path(folder) / "model")
        with serving(path, DEADLY) as server:
            found = asyncio.run(_deaths(server, trials, rng))
        with serving(path, DEADLY, "reliability.worker:unsupervised") as server:
            caught = bool(asyncio.run(_deaths(server, 1, rng))[0])
    failures, times = found
    figures: dict[str, float | str] = {}
    if times:
        figures = {"back after a kill, s (median)": round(sorted(times)[len(times) // 2], 2), "back after a kill, s (worst)": round(max(times), 2)}
    return Outcome(trials, failures, Control("no supervisor", 1, int(caught)), figures)


async def _deaths(server: Server, trials: int, rng: random.Random) -> tuple[list[str], list[float]]:
    failures: list[str] = []
    times: list[float] = []
    for trial in range(trials):
        worker, native = server.worker, rng.random() < 0.5
        async with Wire(server.port) as wire:
            if (await wire.predict(rng.choice(TEXTS))).status != 200:
                failures.append(f"trial {trial}: no answer before the kill")
            start = time.monotonic()
            call = asyncio.create_task(wire.predict(FATAL if native else "wait"))
            if not native:
                await asyncio.sleep(0.02 * rng.random())
                os.kill(worker or server.process.pid, signal.SIGKILL)
            (ended,) = await asyncio.gather(asyncio.wait_for(call, BACK_S), return_exceptions=True)
        if not isinstance(ended, ConnectionError | asyncio.IncompleteReadError):
            failures.append(f"trial {trial}: the call in flight got {ended!r} instead of the end of its connection")
        if problem := await _back(server, rng.choice(TEXTS)):
            failures.append(f"trial {trial}: {problem}")
            return failures, times
        times.append(time.monotonic() - start)
        if server.worker == worker:
            failures.append(f"trial {trial}: nothing was killed")
    return failures, times


async def _back(server: Server, text: str) -> str:
    """A client that comes while nobody is there is answered, not refused: its connection waits."""
    try:
        async with Wire(server.port) as wire:
            answer = await asyncio.wait_for(wire.predict(text), BACK_S)
    except (ConnectionError, asyncio.IncompleteReadError, TimeoutError) as error:
        return f"the next client got {error!r}"
    return "" if answer.status == 200 else f"the next client got {answer.status}"


def deadly() -> None:
    """Let the toy's encoder read from address zero for one text, and take half a second for another."""
    import serve_toys

    encode = serve_toys.ToyText.encode

    def fatal(self: Any, rows: Any) -> Any:
        if FATAL in rows["message"]:
            ctypes.string_at(0)
        if "wait" in rows["message"]:
            time.sleep(0.5)
        return encode(self, rows)

    serve_toys.ToyText.encode = fatal


def unsupervised() -> None:
    """The planted bug: the process that listens is the one that answers."""
    from thuja.server import server, supervisor

    supervisor.supervise = server.serve


HARNESSES = (Harness("S14", "the serving process killed or crashed in a call: the call ends, the next is answered within 5 s", run, short=2, long=200),)
