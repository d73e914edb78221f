"""kill -9 at uniformly random moments of a 60-step run, which is then continued to its end: is the result the unbroken run's, bit for bit?

The run is real training of a small network with dropout, batch normalisation, augmentation, noise in the loss, a moving average, accumulation, AdamW and
early stopping, with a checkpoint every 7 steps and a look every 5. Compared are the bytes of the last checkpoint (weights, moving average, optimiser, history)
and the losses and looks of the log. Every third run is killed a second time while it continues. Positive control: a planted bug (the order of rows seeded
from the clock) that must be caught.

    python benchmarks/kill.py [kills] [result.json]
"""

import hashlib
import json
import os
import random
import signal
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

import torch

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests"))

import toy  # noqa: E402  # lies with the tests

from thuja.data.order import shuffled  # noqa: E402
from thuja.run import Run  # noqa: E402
from thuja.settings import AdamW, Train  # noqa: E402
from thuja.spec import Spec  # noqa: E402
from thuja.training.prepare import Prepared  # noqa: E402
from thuja.verbs import train as fit  # noqa: E402

STEPS = 60
TRAIN = Train(steps=STEPS, batch=32, accumulate=3, optimizer=AdamW(learning_rate=1e-2), schedule="cosine", warmup=0.1, ema=0.95, precision="float32",
              device="cpu", evaluate_every=5, save_every=7, patience=50)


class Planted(toy.Ring):
    """The bug that must be caught."""

    def batches(self, model: Any, columns: Any, draw: Any) -> Any:
        return shuffled(columns, draw.size, time.time_ns(), draw.start)


class Outcome(NamedTuple):
    """What must be equal."""

    checkpoint: str
    records: str


def start(folder: Path, task: toy.Ring) -> int:
    """Begin or continue the run in a process of its own; its id. (Forked, so that torch need not be imported again each time.)"""
    child = os.fork()
    if child:
        return child
    code = 1
    try:
        carry_out(folder, task)
        code = 0
    finally:
        os._exit(code)


def carry_out(folder: Path, task: toy.Ring) -> None:
    """The run, from wherever it is to its end."""
    folder.mkdir(exist_ok=True)
    spec: Spec[Any] = Spec(task=task, train=TRAIN)
    fit.carry_out(Prepared(Run(folder), spec, toy.RingCodec(), toy.columns(512), toy.columns(64, seed=1)))


def finish(child: int) -> float:
    """Wait for its end; seconds."""
    started = time.perf_counter()
    _, status = os.waitpid(child, 0)
    assert status == 0, status
    return time.perf_counter() - started


def kill(child: int, after: float) -> bool:
    """Kill -9 after some seconds; whether it was still at work."""
    time.sleep(after)
    os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    return os.WIFSIGNALED(status)


def outcome(folder: Path) -> Outcome:
    """Hashes of the last checkpoint's files and of the logged losses and looks."""
    run = Run(folder)
    last = sorted(p for p in run.checkpoints.iterdir() if not p.name.startswith("."))[-1]
    records = [{k: v for k, v in r.items() if k not in ("seconds", "rows_per_s")} for r in run.records() if r["event"] in ("step", "look")]
    files = b"".join(p.name.encode() + p.read_bytes() for p in sorted(last.iterdir()))
    return Outcome(last.name + hashlib.sha256(files).hexdigest(), hashlib.sha256(json.dumps(records).encode()).hexdigest())


def newest(folder: Path) -> int:
    """The step of the newest checkpoint on disk, 0 for none: what a kill leaves."""
    return max((int(p.name) for p in (folder / "checkpoints").glob("[0-9]*")), default=0)


def trial(root: Path, kills: int, task: toy.Ring, rng: random.Random) -> dict[str, Any]:
    """An unbroken run, then as many killed ones."""
    root.mkdir()
    carry_out(root / "warm", task)  # what torch loads on first use is loaded before the forks
    seconds = min(finish(start(root / "whole", task)), finish(start(root / "again", task)))
    wanted = outcome(root / "whole")
    found: list[int] = []
    equal = runs = 0
    while len(found) < kills:
        folder = root / f"run{runs}"
        for _ in range(2 if runs % 3 == 2 else 1):
            if kill(start(folder, task), rng.uniform(0, seconds)):
                found.append(newest(folder))
        finish(start(folder, task))
        equal += outcome(folder) == wanted
        runs += 1
    return {"kills": len(found), "runs": runs, "runs_equal_to_the_unbroken": equal, "seconds_of_the_unbroken": round(seconds, 2),
            "newest_checkpoint_at_each_kill": sorted(found)}


def main() -> None:
    kills = int(sys.argv[1]) if len(sys.argv) > 1 else 60
    path = Path(sys.argv[2]) if len(sys.argv) > 2 else Path(__file__).parent / "results" / "kill.json"
    torch.set_num_threads(1)
    rng = random.Random(0)
    with tempfile.TemporaryDirectory() as folder:
        result = trial(Path(folder) / "true", kills, toy.Ring(), rng)
        control = trial(Path(folder) / "planted", max(2, kills // 10), Planted(), rng)
    passed = result["runs_equal_to_the_unbroken"] == result["runs"] and control["runs_equal_to_the_unbroken"] == 0
    report = {"goal": "every continued run equals the unbroken one, and the planted bug is caught", "passed": passed, "result": result,
              "control_with_planted_bug": control}
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(report, indent=1) + "\n")
    print(json.dumps(report, indent=1))
    sys.exit(0 if passed else 1)


if __name__ == "__main__":
    main()
