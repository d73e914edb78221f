"""S4: more requests than the server can answer. It goes on answering as many as it can, in about the usual time, and refuses the rest at once.

Requests come at random times (Poisson) at multiples of the capacity, whether or not earlier ones were answered. The model takes a known time for a row, asleep,
so that capacity does not depend on what else the machine does.
"""

import asyncio
import random
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

from reliability.outcome import Control, Harness, Outcome
from reliability.serving import TEXTS, Answer, Server, Wire, artifact, quantile_ms, serving

ROW_S = 0.02
WAIT_S = 0.2
"""What the operator allows (`max_wait_s`)."""
LOADS = (0.5, 0.8, 1.0, 2.0, 3.0, 5.0)
STRICT = 5000
"""Runs of so many requests are judged by their times too; shorter ones by what was answered."""
SHED_MS = 50.0
PACED = "reliability.overload:paced"


class Phase(NamedTuple):
    """What came back at one load."""

    load: float
    answered: list[Answer]
    shed: list[Answer]
    wrong: list[str]
    seconds: float
    worst_wait: float
    """Longest time of an admitted request."""

    @property
    def goodput(self) -> float:
        """Good answers a second."""
        return len(self.answered) / self.seconds


def run(trials: int, rng: random.Random) -> Outcome:
    """Send `trials` requests, spread over the loads."""
    loads = LOADS if trials >= STRICT else (0.8, 3.0)
    settings: dict[str, Any] = {"max_wait_s": WAIT_S, "max_batch": 4}
    with tempfile.TemporaryDirectory() as folder:
        path = artifact(Path(folder) / "model")
        with serving(path, PACED, **settings) as server:
            phases = [asyncio.run(_phase(server, load, trials // len(loads), rng)) for load in loads]
        with serving(path, PACED, "reliability.overload:unlimited", **settings) as server:
            planted = asyncio.run(_phase(server, 3.0, min(trials // 2, 500), rng))
    figures: dict[str, float | str] = {}
    for phase in phases:
        figures |= {f"answers a second at {phase.load:g}x": round(phase.goodput, 1), f"refused at {phase.load:g}x": len(phase.shed)}
        figures |= {f"p99 of the admitted at {phase.load:g}x, ms": quantile_ms(phase.answered)} if phase.answered else {}
        figures |= {f"p99 of a refusal at {phase.load:g}x, ms": quantile_ms(phase.shed)} if phase.shed else {}
    control = Control("no limit on what waits", 1, int(bool(_unlimited(planted))))
    failures = [line for phase in phases for line in phase.wrong + _unlimited(phase)]
    return Outcome(trials, failures + (_slow(phases) if trials >= STRICT else []), control, figures)


async def _phase(server: Server, load: float, requests: int, rng: random.Random) -> Phase:
    """Poisson arrivals at `load` times the capacity."""
    answered: list[Answer] = []
    shed: list[Answer] = []
    wrong: list[str] = []
    free: list[Wire] = [Wire(server.port)]
    await free[0].predict(TEXTS[0])
    start = due = time.perf_counter()
    calls = []
    for _ in range(requests):
        due += rng.expovariate(load / ROW_S)
        await asyncio.sleep(max(0.0, due - time.perf_counter()))
        calls.append(asyncio.create_task(_call(server.port, free, rng.choice(TEXTS), (answered, shed, wrong))))
    await asyncio.gather(*calls)
    seconds = time.perf_counter() - start
    for wire in free:
        wire.hang_up()
    return Phase(load, answered, shed, [f"{load:g}x: {line}" for line in wrong], seconds, max((a.seconds for a in answered), default=0.0))


async def _call(port: int, free: list[Wire], text: str, found: tuple[list[Answer], list[Answer], list[str]]) -> None:
    answered, shed, wrong = found
    wire = free.pop() if free else Wire(port)
    try:
        answer = await asyncio.wait_for(wire.predict(text), 60)
    except (ConnectionError, asyncio.IncompleteReadError, TimeoutError) as error:
        wrong.append(f"no answer: {error!r}")
        return
    free.append(wire)
    if answer.status == 200:
        answered.append(answer)
    elif answer.status == 429 and answer.headers.get("retry-after") == "1":
        shed.append(answer)
    else:
        wrong.append(f"answered with {answer.status} and Retry-After {answer.headers.get('retry-after')}")


def _unlimited(phase: Phase) -> list[str]:
    """Counts and states: at three times the capacity some must be refused, and none may wait for much longer than was allowed."""
    if phase.load < 2:
        return []
    found = [] if phase.shed else [f"{phase.load:g}x: nothing was refused"]
    return found + ([f"{phase.load:g}x: an admitted request took {phase.worst_wait:.2f} s"] if phase.worst_wait > 10 * (WAIT_S + ROW_S) else [])


def _slow(phases: list[Phase]) -> list[str]:
    """The promises about times."""
    by_load = {phase.load: phase for phase in phases}
    peak, heavy, usual = max(phase.goodput for phase in phases), by_load[3.0], by_load[0.8]
    found = []
    if heavy.goodput < 0.9 * peak:
        found.append(f"{heavy.goodput:.0f} answers a second at 3x, {peak:.0f} at the peak")
    if quantile_ms(heavy.answered) > 2 * quantile_ms(usual.answered):
        found.append(f"p99 of the admitted {quantile_ms(heavy.answered)} ms at 3x, {quantile_ms(usual.answered)} ms at 0.8x")
    if quantile_ms(heavy.shed) > SHED_MS:
        found.append(f"p99 of a refusal {quantile_ms(heavy.shed)} ms")
    return found


def paced() -> None:
    """Let the model take a known time for a row."""
    from thuja.artifact.runtime import Predictor
    from thuja.codec import count

    run_at_once = Predictor.run

    def sleeping(self: Predictor, columns: Any, program: str = "predict") -> Any:
        time.sleep(ROW_S * count(columns))
        return run_at_once(self, columns, program)

    Predictor.run = sleeping  # type: ignore[method-assign]


def unlimited() -> None:
    """The planted bug: whoever comes is admitted."""
    import contextlib

    from thuja.server.batcher import Batcher

    Batcher.room = lambda self, rows: contextlib.nullcontext()  # type: ignore[assignment,method-assign,return-value]


HARNESSES = (Harness("S4", "load of 0.5 to 5 times the capacity: goodput holds, waiting is bounded, the rest is refused at once", run, short=100, long=12_000),)
