"""How well series are forecast and told apart: ETTh1, three small sets of the UCR and UEA archives, and the engines of C-MAPSS FD001.

    python benchmarks/quality_series.py --data etth1 --seeds 3

Everything goes through the real task: `arrange`, `prepare`, the codec, the settled choices, the loop. ETTh1 by the usual protocol: 8,640 / 2,880 / 2,880 hours,
all seven columns, every test window, errors in standard deviations of the training hours, horizons of 96, 192, 336 and 720 hours; the context was chosen on the
validation hours. The archives by their official parts, all training rows, the last weights. FD001 by its official parts, windows of 30 cycles, one answer per
test engine, targets above 125 cycles taken as 125 as is usual; the error against the targets as they are stands beside it. Hyper-parameters were chosen on
validation rows (`--validation`); the figure is of the test rows, seen once per seed.
"""

import argparse
import json
import os
import statistics
import time
from pathlib import Path
from typing import Any

import numpy as np
import record
import torch

from thuja.apps.forecast import baseline as forecast_baseline
from thuja.codec import Columns, count
from thuja.metrics import METRICS, Outputs, Sampling, interval
from thuja.spec import Spec, facts, parse, settle
from thuja.task import Part
from thuja.training.look import answers
from thuja.training.loop import begin, steps
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


def trained(gathered: Gathered) -> tuple[Spec[Any], torch.nn.Module, float, int]:
    """The settled spec, the weights, the seconds and the steps."""
    spec, columns = gathered.spec, gathered.opened.encoded["train"].columns
    spec, _ = settle(spec, gathered.codec, facts(spec.train, count(columns)))
    began = time.perf_counter()
    state = begin(spec.task, gathered.codec, spec.train)
    for _step in steps(spec.task, state, columns, spec.train):
        pass
    return spec, state.best_model.eval(), time.perf_counter() - began, state.step


def experiment(spec: Spec[Any], part: str, baseline: bool) -> dict[str, Any]:
    """Train once and answer the rows of a part."""
    began = time.perf_counter()
    gathered = gather(spec, check=False)
    prepared = time.perf_counter() - began
    settled, model, seconds, made = trained(gathered)
    task, codec, columns = settled.task, gathered.codec, gathered.opened.encoded[part].columns
    arrays = answers(task.programs(model, codec), columns, task.judged)
    outputs = task.outputs(codec, columns, arrays, gathered.opened.sources[part])
    found = {name: round(METRICS[name].value(outputs), 5) for name in task.metrics(codec)}
    result = {"seed": spec.train.seed, **found, "rows": len(outputs.target), "steps": made, "train_s": round(seconds, 1), "prepare_s": round(prepared, 1),
              "parameters": sum(p.numel() for p in model.parameters()), "intervals": intervals(found, outputs),
              "settled": settled.model_dump(mode="json", include={"task", "train"})}
    if task.kind == "forecast":
        result["validation"] = validated(gathered, settled, model)
    elif codec.cap is not None:
        truth = np.array(gathered.opened.sources[part].take(np.arange(len(outputs.target)))[codec.target])
        result["rmse_uncapped"] = round(float(np.sqrt(np.mean((arrays["value"] - truth) ** 2))), 4)
    if baseline:
        result["baselines"] = rivals(gathered, settled, columns, part)
    return result


def validated(gathered: Gathered, spec: Spec[Any], model: torch.nn.Module) -> dict[str, float]:
    """The same figures on validation windows, for choosing."""
    columns = gathered.opened.encoded["validation"].columns
    outputs = spec.task.outputs(gathered.codec, columns, answers(spec.task.programs(model, gathered.codec), columns))
    return {name: round(METRICS[name].value(outputs), 5) for name in ("scaled_mse", "pinball", "coverage")}


def intervals(found: dict[str, float], outputs: Outputs) -> dict[str, list[float]]:
    """95 % intervals of the figures that matter."""
    names = [name for name in ("scaled_mse", "coverage", "accuracy", "rmse") if name in found]
    estimates = {name: interval(METRICS[name], outputs, Sampling()) for name in names}
    return {name: [round(e.low, 5), round(e.high, 5)] for name, e in estimates.items()}


def rivals(gathered: Gathered, spec: Spec[Any], columns: Columns, part: str) -> dict[str, float]:
    """What the classical models reach."""
    train = gathered.opened.encoded["train"].columns
    if spec.task.kind == "forecast":
        return {name: round(value, 4) for name, value in forecast_baseline.all_scores(train, columns, gathered.codec.season).items()}
    sources = gathered.opened.sources
    other = spec.task.baseline(gathered.codec, Part(sources["train"], train), Part(sources[part], columns), 0)
    metric = METRICS[spec.task.goal.metric]
    return {other.name: round(metric.value(spec.task.outputs(gathered.codec, columns, other.outputs)), 4)}


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--data", choices=GOALS, required=True)
    arguments.add_argument("--seeds", type=int, default=3)
    arguments.add_argument("--horizons", type=int, nargs="+", default=HORIZONS)
    arguments.add_argument("--validation", action="store_true", help="score validation rows, for choosing hyper-parameters; writes nothing")
    arguments.add_argument("--task", type=json.loads, default={}, help="fields of the task, as JSON")
    arguments.add_argument("--train", type=json.loads, default={}, help="fields of the train section, as JSON")
    arguments.add_argument("--root", type=Path, default=Path(os.environ.get("THUJA_DATA", Path(__file__).parents[2] / "shared" / "data")))
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
