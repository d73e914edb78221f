"""How long a checkpoint of 100 MB keeps training from its next step: `Saver.save`, beside `torch.save` and Thuja's own synchronous `save`.

25 million numbers: 8.3 million weights in float32 with the two moments of AdamW. `Saver.save` is timed when nothing is in flight, its first call (which also
makes the memory it keeps) apart from later ones. The floor is the bare copy of as many bytes in one piece, from memory to memory already in use. All in turn
in one process, on a disk; medians and the fastest of the rounds, in milliseconds.

    python benchmarks/checkpoint.py
"""

import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import nn

sys.path.insert(0, str(Path(__file__).parent))

import record

from thuja.settings import AdamW
from thuja.task import Objective
from thuja.training import checkpoint, optim
from thuja.training.loop import State

ROUNDS = 9
WIDTH, LAYERS = 1020, 8


def made() -> State:
    """A state of 100 MB."""
    model = nn.Sequential(*[nn.Linear(WIDTH, WIDTH) for _ in range(LAYERS)])
    parameters = list(model.parameters())
    state = State(model, (Objective("loss", parameters, lambda _batch, _rng: NotImplemented),), [optim.build(parameters, AdamW(), model)])
    model(torch.ones(2, WIDTH)).sum().backward()
    state.optimizers[0][0].step()
    return state


def timed(work: Callable[[], object]) -> tuple[float, float]:
    """Milliseconds by the clock, and of this thread's own work, which other programs do not lengthen."""
    started, working = time.perf_counter(), time.thread_time()
    work()
    return 1000 * (time.perf_counter() - started), 1000 * (time.thread_time() - working)


def measure(state: State, folder: Path) -> dict[str, Any]:
    """Every way in turn."""
    tensors = {**state.model.state_dict(), **checkpoint._moments(state)}
    size = sum(value.numel() * value.element_size() for value in tensors.values())
    one, other = torch.ones(size // 4), torch.ones(size // 4)
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in ("bare copy", "Saver.save", "written behind", "checkpoint.save", "torch.save")}
    with checkpoint.Saver(folder / "behind") as saver:
        first = timed(lambda: saver.save(state, {}))
        saver.wait()
        for _ in range(ROUNDS):
            state.step += 1
            times["bare copy"].append(timed(lambda: other.copy_(one)))
            times["Saver.save"].append(timed(lambda: saver.save(state, {})))
            times["written behind"].append(timed(saver.wait))
            times["checkpoint.save"].append(timed(lambda: checkpoint.save(folder / "before", state, {})))
            times["torch.save"].append(timed(lambda: torch.save(tensors, folder / "state.pt")))
    found = {name: {"median_ms": round(statistics.median(wall for wall, _ in values), 2), "best_ms": round(min(values)[0], 2),
                    "own_work_ms": round(statistics.median(work for _, work in values), 2)} for name, values in times.items()}
    return {"megabytes": round(size / 1e6, 1), "rounds": ROUNDS, "threads": torch.get_num_threads(), "first Saver.save, ms": round(first[0], 2), "times": found}


def main() -> None:
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as folder:
        figures = measure(made(), Path(folder))
    print(json.dumps(figures, indent=1))
    print(record.save("checkpoint", {"goal": "at most 10 ms blocking for 100 MB", **figures}, load).name)


if __name__ == "__main__":
    main()
