"""How well series are forecast and told apart: ETTh1, three small sets of the UCR and UEA archives, and the engines of C-MAPSS FD001.

    python benchmarks/quality_series.py --data etth1 --seeds 3

Everything goes through the real task: `arrange`, `prepare`, the codec, the settled choices, the loop. ETTh1 by the usual protocol: 8,640 / 2,880 / 2,880 hours,
all seven columns, every test window, errors in standard deviations of the training hours, horizons of 96, 192, 336 and 720 hours; the context was chosen on the
validation hours. The archives by their official parts, all training rows, the last weights. FD001 by its official parts, windows of 30 cycles, one answer per
test engine, targets above 125 cycles taken as 125 as is usual; the error against the targets as they are stands beside it. Hyper-parameters were chosen on
validation rows (`--validation`); the figure is of the test rows, seen once per seed.
"""

import json
import os
import statistics
import time
from pathlib import Path
from typing import Any

import numpy as np
import record
import torch
from experiment import Learned, learn, options

from thuja.apps.forecast import baseline as forecast_baseline
from thuja.codec import Columns
from thuja.data.rows import Subset
from thuja.metrics import METRICS, Outputs, Sampling, interval
from thuja.spec import Spec, parse
from thuja.task import Part
from thuja.training.prepare import Gathered, gather

HORIZONS = (96, 192, 336, 720)
BORDERS = ["2017-06-26", "2017-10-24", "2018-02-21"]
UCR = {"gunpoint": "GunPoint", "italy": "ItalyPowerDemand", "vowels": "JapaneseVowels"}
GOALS = {"etth1": 0.405, "gunpoint": 100.0, "italy": 96.1, "vowels": 99.3, "cmapss": 14.0}


def spec_of(name: str, root: Path, horizon: int, seed: int, changes: dict[str, Any]) -> Spec[Any]:
    """The recipe of a set."""
    if name == "etth1":
        split = {"kind": "time", "column": "date", "borders": BORDERS}
        task: dict[str, Any] = {"kind": "forecast", "time": "date", "horizon": horizon, "context": 504}
        data: dict[str, Any] = {"path": str(root / "etth1" / "ETTh1.csv"), "split": split}
        train: dict[str, Any] = {}
    elif name in UCR:
        task, train = {"kind": "series"}, {}
        data = {"path": str(root / "ucr_small" / UCR[name]), "split": {"kind": "given", "validation": 0.0}}
    else:
        task = {"kind": "series", "unit": "unit", "time": "cycle", "target": "remaining", "problem": "regression", "window": 30, "cap": 125}
        data, train = {"path": str(root / "cmapss_fd001"), "group": "unit", "split": {"kind": "given", "validation": 0.0}}, {}
    data |= changes.get("data", {})
    return parse({"task": task | changes.get("task", {}), "data": data, "train": train | changes.get("train", {}) | {"seed": seed}})


def experiment(spec: Spec[Any], part: str, first: bool) -> dict[str, Any]:
    """Train once and answer the rows of a part."""
    began = time.perf_counter()
    gathered = gather(spec, check=False)
    prepared = time.perf_counter() - began
    learned = learn(gathered.spec, gathered.codec, part_of(gathered, "train"))
    task, codec, test = learned.spec.task, gathered.codec, part_of(gathered, part)
    arrays = learned.answers(test.columns, task.judged)
    outputs = task.outputs(codec, test.columns, arrays, test.source)
    found = {name: round(METRICS[name].value(outputs), 5) for name in task.metrics(codec)}
    result = {"seed": spec.train.seed, **found, "rows": len(outputs.target), "steps": learned.steps, "train_s": round(learned.seconds, 1),
              "prepare_s": round(prepared, 1), "parameters": learned.parameters(), "intervals": intervals(found, outputs), "settled": learned.settled()}
    if task.kind == "forecast":
        result["validation"] = validated(learned, part_of(gathered, "validation").columns)
    elif codec.cap is not None:
        truth = np.array(test.source.take(np.arange(len(outputs.target)))[codec.target])
        result["rmse_uncapped"] = round(float(np.sqrt(np.mean((arrays["value"] - truth) ** 2))), 4)
    if first:
        result |= {"baselines": rivals(learned, test), **learned.served(test)}
    return result


def part_of(gathered: Gathered, name: str) -> Part:
    """A part, raw and encoded: the rows that could be encoded."""
    encoded = gathered.opened.encoded[name]
    return Part(Subset(gathered.opened.sources[name], encoded.kept), encoded.columns)


def validated(learned: Learned, columns: Columns) -> dict[str, float]:
    """The same figures on validation windows, for choosing."""
    outputs = learned.spec.task.outputs(learned.codec, columns, learned.answers(columns))
    return {name: round(METRICS[name].value(outputs), 5) for name in ("scaled_mse", "pinball", "coverage")}


def intervals(found: dict[str, float], outputs: Outputs) -> dict[str, list[float]]:
    """95 % intervals of the figures that matter."""
    names = [name for name in ("scaled_mse", "coverage", "accuracy", "rmse") if name in found]
    estimates = {name: interval(METRICS[name], outputs, Sampling()) for name in names}
    return {name: [round(e.low, 5), round(e.high, 5)] for name, e in estimates.items()}


def rivals(learned: Learned, test: Part) -> dict[str, float]:
    """What the classical models reach."""
    task, codec = learned.spec.task, learned.codec
    if task.kind == "forecast":
        return {name: round(value, 4) for name, value in forecast_baseline.all_scores(learned.known.columns, test.columns, codec.season).items()}
    other = task.baseline(codec, learned.known, test, 0)
    return {other.name: round(METRICS[task.goal.metric].value(task.outputs(codec, test.columns, other.outputs)), 4)}


def main() -> None:
    arguments = options(__doc__)
    arguments.add_argument("--data", choices=GOALS, required=True)
    arguments.add_argument("--horizons", type=int, nargs="+", default=HORIZONS)
    chosen = arguments.parse_args()
    name, load, runs = chosen.data, os.getloadavg()[0], []
    changes: dict[str, Any] = {"task": chosen.task, "train": chosen.train}
    if chosen.validation and name != "etth1":
        changes["data"] = {"split": {"kind": "given", "validation": 0.2}}
    settled: dict[str, Any] = {}
    for seed in range(chosen.seeds):
        for horizon in chosen.horizons if name == "etth1" else (0,):
            spec = spec_of(name, chosen.root, horizon, seed, changes)
            run = experiment(spec, "validation" if chosen.validation else "test", seed == 0 and not chosen.validation)
            settled[str(horizon)] = run.pop("settled")
            runs.append({"horizon": horizon, **run} if horizon else run)
            print(json.dumps(runs[-1]), flush=True)
    goal = "scaled_mse" if name == "etth1" else "rmse" if name == "cmapss" else "accuracy"
    each = [statistics.fmean(run[goal] for run in runs if run["seed"] == seed) for seed in range(chosen.seeds)]
    spread = round(statistics.stdev(each), 5) if len(each) > 1 else None
    result = {"data": name, "goal": GOALS[name], goal: round(statistics.fmean(each), 5), "seed_std": spread}
    if name == "etth1":
        result["coverage"] = round(statistics.fmean(run["coverage"] for run in runs), 4)
    print(json.dumps(result))
    if not chosen.validation:
        print(record.save(f"series_{name}", {**result, "runs": runs, "settled": settled, "threads": torch.get_num_threads()}, load))


if __name__ == "__main__":
    main()
