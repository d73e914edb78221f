"""How long the board of a deployment takes to make after ten years of daily looks, and how large its page is.

    python benchmarks/life/board.py

One version, 3,650 windows of 1,000 requests and 40 labels at an error rate of 15 %, seed 0. The looks are made by the code that makes them in service; the
ledger is then read by a process that has not seen it (`cold`), and the board is made twenty times from memory. Goal: under 300 ms.
"""

import os
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))
import record

from thuja.fields import Category, Number, Schema
from thuja.life.board import board
from thuja.life.deployment import Deployment, _body
from thuja.life.labels import Counted
from thuja.life.ledger import Said
from thuja.life.lifetime import Life
from thuja.life.loss import Judged
from thuja.life.plan import Plan
from thuja.life.policy import Decision
from thuja.life.replay import Hasty, ReplayClock
from thuja.life.states import GATES, Gate
from thuja.life.watch import Memory, Reference, Window, look
from thuja.server import life_page, page

DAY, DAYS, ROWS, LABELS, ERROR, TIMES = 86400.0, 3650, 1000, 40, 0.15, 20
BEGIN = 1.5e9 // DAY * DAY
SCHEMA = Schema(inputs={"x": Number()}, outputs={"label": Category(names=("a", "b"))})


def lived(path: Path) -> Deployment:
    """A deployment whose ledger holds ten years of looks."""
    clock = ReplayClock(BEGIN)
    made = Deployment.create(path, Plan(), clock, Hasty())
    known = Reference({}, ERROR, 2000, True, None, {}, tuple(Life(n, True) for n in range(2000, 9000, 1000)), 0.0, Judged("label", 1.0), 60.0)
    facts = {"digest": "0" * 64, "kind": "table", "born": BEGIN, "trained": BEGIN, "reference": made.evidence.keep_data(known.plain())}
    made.ledger.append([Said("version", "1", facts)])
    fine = Gate(True, "as it should be")
    for to in ("TRAINED", "CANDIDATE", "SHADOW", "CANARY"):
        made.step("1", to, dict.fromkeys(GATES[made.standings().of("1").standing, to], fine))
    made.hand_over("1", dict.fromkeys(GATES["CANARY", "CHAMPION"], fine))
    rng, memory = np.random.default_rng(0), Memory()
    for day in range(1, DAYS + 1):
        clock.now = BEGIN + day * DAY
        lost = (rng.random(LABELS) < ERROR).astype(float)
        window = Window(clock.now - DAY, clock.now, ROWS, 0, clock.now - 5, {}, np.full(LABELS, np.nan), lost, {})
        memory, found = look(made.plan, SCHEMA, known, memory, window)
        body = _body(window, Counted([], 0, 0, 0, 0), found, Decision(False, "nothing", "no reason to train", clock.now + DAY)) | {"memory": memory.plain()}
        made.ledger.append([Said("look", "1", body)])
    return made


def main() -> None:
    """Measure and save."""
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as folder:
        made = replace(lived(Path(folder) / "ten"))
        start = time.perf_counter()
        events = made.ledger.events()
        cold = time.perf_counter() - start
        board(made)
        seconds = []
        for _ in range(TIMES):
            start = time.perf_counter()
            found = board(made)
            seconds.append(time.perf_counter() - start)
        start = time.perf_counter()
        size = len(page.life(life_page.view(found, labels=True)).body)
        figures = {"events": len(events), "ledger_bytes": (made.path / "ledger.log").stat().st_size, "cold_ledger_s": round(cold, 3),
                   "board_median_ms": round(1000 * float(np.median(seconds)), 1), "board_slowest_ms": round(1000 * max(seconds), 1),
                   "page_ms": round(1000 * (time.perf_counter() - start), 1), "page_bytes": size}
    goal = {"board_median_ms": 300, "page_bytes": 300_000}
    print(record.save("life_board", {"figures": figures, "goal": goal, "reached": all(figures[name] <= most for name, most in goal.items())}, load))


if __name__ == "__main__":
    main()
