"""Start-up: `import thuja`, `thuja --help`, and the first training step once torch is imported. Wall time, best and median of nine processes.

    python benchmarks/start_up.py
"""

import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import record

RUNS = 9
FIRST_STEP = """
import time, numpy as np, torch
began = time.perf_counter()
from thuja.apps.table.task import Table
from thuja.settings import AdamW, Data, Train
from thuja.training.loop import begin, steps
from thuja.data.source import open_source
rng = np.random.default_rng(0)
rows = {"a": rng.normal(size=512), "b": rng.normal(size=512), "y": rng.normal(size=512)}
source = open_source(Data(), object=rows)["all"]
task, codec = Table(target="y").prepare(source)
columns = codec.encode(source.take(np.arange(512)))
train = Train(steps=1, batch=128, optimizer=AdamW())
next(steps(task, begin(task, codec, train), columns, train))
print(time.perf_counter() - began)
"""


def wall(code: str) -> float:
    """Seconds of a whole fresh process."""
    start = time.perf_counter()
    subprocess.run([sys.executable, *code.split("|", 1)], check=True, capture_output=True)
    return time.perf_counter() - start


def inside(code: str) -> float:
    """Seconds that the process itself prints."""
    return float(subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout)


def main() -> None:
    load = os.getloadavg()[0]
    empty = [wall("-c|pass") for _ in range(RUNS)]
    loads = [wall("-c|import thuja") for _ in range(RUNS)]
    helps = [wall("-c|from thuja.__main__ import main; main(['--help'])") for _ in range(RUNS)]
    first = [inside(FIRST_STEP) for _ in range(5)]
    figures = {name: {"best_s": min(values), "median_s": statistics.median(values)}
               for name, values in {"empty process": empty, "import thuja": loads, "thuja --help": helps, "first step after torch": first}.items()}
    record.save("start_up", {"note": "whole processes, the empty one's time included", "figures": figures}, load)
    for name, figure in figures.items():
        print(f"{name:26} best {1000 * figure['best_s']:6.0f} ms   median {1000 * figure['median_s']:6.0f} ms   load {load:.1f}")


if __name__ == "__main__":
    main()
