"""What a long run decides by measurement on this machine (threads, precision, compiling), and whether that was the best in hindsight.

    THUJA_DATA=../shared/data python benchmarks/decisions.py [--seconds 40] [--budget 900] [--what convnet transformer table]

Three networks on real rows: a ConvNet on mnist, a text transformer on SST-2, a network on adult. For each, `decide` is called as the verb `train` calls it
before a run of `--budget` seconds, and timed. Then all combinations of threads and precision, and the chosen one compiled (if that was raced), make steps in
turn for `--seconds` seconds, far longer than the decision took. Hindsight is the combination with the least median; `lost_percent` is how much longer a step
of what was chosen takes than that.
"""

import argparse
import itertools
import json
import os
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import quality_tables
import quality_text
import record

from thuja import spec as specs
from thuja.apps.image_classification.task import ImageClassification
from thuja.apps.table.task import Table
from thuja.apps.text_classification.task import TextClassification
from thuja.codec import count
from thuja.models.text_transformer import TextTransformer
from thuja.settings import Check, Data, GivenSplit, Train
from thuja.spec import Spec
from thuja.training.allocator import keep_freed_memory
from thuja.training.decide import DECIDED, decide, fewer
from thuja.training.loop import begin
from thuja.training.prepare import gather
from thuja.training.timing import Bench, Stepper, steps_in_a_window


def convnet(root: Path) -> tuple[Spec[Any], Any]:
    """The network that pictures get by default, on mnist."""
    return Spec(task=ImageClassification(), data=Data(path=str(root / "mnist")), check=Check(enabled=False)), None


def transformer(root: Path) -> tuple[Spec[Any], Any]:
    """A text transformer with its usual settings, on the sentences of SST-2."""
    rows = quality_text.parts(root, "sst2", 0)
    data = Data(split=GivenSplit(validation=0.1))
    return Spec(task=TextClassification(model=TextTransformer()), data=data, check=Check(enabled=False)), {"train": rows.train, "test": rows.test}


def table(root: Path) -> tuple[Spec[Any], Any]:
    """The network that tables get by default, on adult."""
    return Spec(task=Table(target="income"), data=Data(split=GivenSplit(validation=0.1)), check=Check(enabled=False)), quality_tables.adult(root, False)


WORKLOADS: dict[str, Callable[[Path], tuple[Spec[Any], Any]]] = {"convnet": convnet, "transformer": transformer, "table": table}


def measured(name: str, root: Path, budget: float, seconds: float) -> dict[str, Any]:
    """What was decided, how long that took, and the time of a step in every combination."""
    spec, data = WORKLOADS[name](root)
    asked = Train(budget=budget)
    gathered = gather(spec.model_copy(update={"train": asked}), data, check=False)
    columns = gathered.opened.encoded["train"].columns
    settled, _ = specs.settle(gathered.spec, gathered.codec, specs.facts(asked, count(columns)))
    bench = Bench(settled.task, gathered.codec, columns, gathered.opened.encoded["validation"].columns, time.perf_counter)
    began = time.perf_counter()
    chosen = decide(bench, asked, settled.train)
    decided_s = time.perf_counter() - began
    values = {what: chosen[f"train.{what}"].value if f"train.{what}" in chosen else getattr(settled.train, what) for what in DECIDED}
    threads = [settled.train.threads, *fewer(settled.train.threads)]
    ways = [{"threads": t, "precision": p, "compile": False} for t, p in itertools.product(threads, ("float32", "bfloat16"))]
    if "train.compile" in chosen:
        ways.append(values | {"compile": True})
    found = long_race(bench, settled.train, ways, seconds)
    best = min(found, key=lambda way: found[way]["median_ms"])
    mine = words(values)
    return {"steps_expected": round(1000 * budget / found[mine]["median_ms"]), "chosen": mine, "best": best, "was_best": mine == best,
            "lost_percent": round(100 * (found[mine]["median_ms"] / found[best]["median_ms"] - 1), 1), "decided_s": round(decided_s, 2),
            "reasons": {what: choice.reason for what, choice in chosen.items()}, "ways": found}


def long_race(bench: Bench, train: Train, ways: list[dict[str, Any]], seconds: float) -> dict[str, dict[str, float]]:
    """All ways in turn, a window each, nobody thrown out: milliseconds a step, the least and the median of the windows."""
    steppers = {}
    for way in ways:
        changed = train.model_copy(update=way)
        steppers[words(way)] = Stepper(bench, begin(bench.task, bench.codec, changed), changed)
    number = steps_in_a_window(min(stepper.warm() for stepper in steppers.values()))
    windows: dict[str, list[float]] = {way: [] for way in steppers}
    began = time.perf_counter()
    while time.perf_counter() - began < seconds or len(windows[words(ways[-1])]) < 5:
        for way, stepper in steppers.items():
            windows[way].append(1000 * stepper.window(number))
    return {way: {"least_ms": round(min(times), 3), "median_ms": round(statistics.median(times), 3), "windows": len(times)} for way, times in windows.items()}


def words(way: dict[str, Any]) -> str:
    """A combination in words."""
    return f"{way['threads']} threads, {way['precision']}{', compiled' if way['compile'] else ''}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=40.0, help="of the long race, each workload")
    parser.add_argument("--budget", type=float, default=900.0, help="seconds of the run that is decided about; 600 and more race compiling too")
    parser.add_argument("--what", nargs="*", choices=WORKLOADS, default=list(WORKLOADS))
    arguments = parser.parse_args()
    root = Path(os.environ.get("THUJA_DATA", Path(__file__).parents[2] / "shared" / "data"))
    load = os.getloadavg()[0]
    keep_freed_memory()
    results = {}
    for name in arguments.what:
        results[name] = measured(name, root, arguments.budget, arguments.seconds)
        print(name, json.dumps(results[name], indent=1), flush=True)
    print(record.save("decisions", {"budget_s": arguments.budget, "results": results}, load))


if __name__ == "__main__":
    main()
