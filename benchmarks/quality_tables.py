"""How well tables are learned on three public sets, network and boosted trees side by side, in at most a minute of training.

    python benchmarks/quality_tables.py --data adult --seeds 3

Everything goes through the verbs `train` and `evaluate` with a spec that names the target (and for fraud the columns) and leaves the rest `auto`. Those
settings were chosen on validation rows (`--validation`); test rows are answered once per seed.

adult       the official split; labels of the test file end in a dot, which is removed.
california  random 64/16/20 of `default_rng(0).permutation(rows)`: test first, then validation, then train, as in the papers on FT-Transformer and TabM.
fraud       train 2018-07-25..31, test 08-08..14 without customers known to be compromised (le Borgne et al., "Reproducible machine learning for credit
            card fraud detection", 2022); `--validation` is the same a week earlier.
"""

import argparse
import csv
import json
import os
import statistics
import tempfile
import time
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import record
import torch

from thuja.apps.table.task import Table
from thuja.settings import Check, Data, Evaluate, GivenSplit, Train
from thuja.spec import Spec
from thuja.verbs.evaluate import evaluate
from thuja.verbs.train import train

ADULT = ("age", "workclass", "fnlwgt", "education", "education_num", "marital_status", "occupation", "relationship", "race", "sex", "capital_gain",
         "capital_loss", "hours_per_week", "native_country", "income")
WINDOWS = ("1DAY", "7DAY", "30DAY")
FRAUD = ("TX_AMOUNT", "TX_DURING_WEEKEND", "TX_DURING_NIGHT", *(f"CUSTOMER_ID_{what}_{days}_WINDOW" for days in WINDOWS for what in ("NB_TX", "AVG_AMOUNT")),
         *(f"TERMINAL_ID_{what}_{days}_WINDOW" for days in WINDOWS for what in ("NB_TX", "RISK")))
TASKS = {"adult": Table(target="income"), "california": Table(target="median_house_value"), "fraud": Table(target="TX_FRAUD", numbers=FRAUD, categories=())}
GOALS = {"adult": {"accuracy": 0.859}, "california": {"rmse": 45_000.0}, "fraud": {"roc_auc": 0.872, "average_precision": 0.66}}
Columns = dict[str, Any]


def chosen(columns: Columns, index: np.ndarray) -> Columns:
    """The rows at `index`, a mask or places."""
    places = np.flatnonzero(index) if index.dtype == bool else index
    return {name: [values[i] for i in places] for name, values in columns.items()}


def adult(root: Path, validation: bool) -> dict[str, Columns]:
    """The official files; with `validation`, a fifth of the training rows is tested instead."""
    def read(name: str) -> Columns:
        with (root / "adult" / name).open(newline="") as file:
            rows = [[cell.strip().rstrip(".") for cell in row] for row in csv.reader(file) if len(row) == len(ADULT)]
        cells = {name: [None if row[i] == "?" else row[i] for row in rows] for i, name in enumerate(ADULT)}
        return {name: [float(v) for v in values] if str(values[0]).isdigit() else values for name, values in cells.items()}

    rows = read("adult.data")
    if not validation:
        return {"train": rows, "test": read("adult.test")}
    order = np.random.default_rng(1).permutation(len(rows["age"]))
    return {"train": chosen(rows, order[6500:]), "test": chosen(rows, order[:6500])}


def california(root: Path, validation: bool) -> dict[str, Columns]:
    """64/16/20; with `validation`, the 16 are tested instead of the 20."""
    with (root / "california_housing" / "housing.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    columns = {name: [(row[name] if name == "ocean_proximity" else float(row[name])) if row[name] else None for row in rows] for name in rows[0]}
    order = np.random.default_rng(0).permutation(len(rows))
    test, held, used = np.split(order, [int(0.2 * len(rows)), int(0.36 * len(rows))])
    return {"train": chosen(columns, used), "test": chosen(columns, held if validation else test)}


def fraud(root: Path, validation: bool) -> dict[str, Columns]:
    """A week, a week's delay, a week; a customer is known to be compromised once seven days have passed since a fraud."""
    import pyarrow.csv

    table = pyarrow.csv.read_csv(root / "fraud_sim" / "transactions_2018-06-20_2018-08-14.csv.gz")
    day = table["TX_TIME_DAYS"].to_numpy()
    customer, cheated = table["CUSTOMER_ID"].to_numpy(), table["TX_FRAUD"].to_numpy() == 1
    first = date(2018, 7, 25) - timedelta(days=7 * validation)
    start = int(day[0]) + (first - date(2018, 6, 20)).days
    used = (day >= start) & (day < start + 7)
    known = set(customer[used & cheated])
    test = np.zeros(len(day), bool)
    for today in range(start + 14, start + 21):
        known |= set(customer[(day == today - 8) & cheated])
        test |= (day == today) & ~np.isin(customer, list(known))
    columns = {name: table[name].to_numpy() for name in (*FRAUD, "TX_FRAUD")}
    return {part: {name: values[mask] for name, values in columns.items()} for part, mask in (("train", used), ("test", test))}


def experiment(name: str, data: dict[str, Columns], settings: dict[str, Any], seed: int, baseline: bool) -> dict[str, Any]:
    """Train and evaluate once."""
    task = Table(**TASKS[name].model_dump() | settings.get("task", {}))
    split = Data(split=GivenSplit(validation=0.0))
    spec = Spec(task=task, data=split, check=Check(enabled=False), train=Train(**settings.get("train", {}), seed=seed), evaluate=Evaluate(baseline=baseline))
    with tempfile.TemporaryDirectory() as folder:
        began = time.perf_counter()
        run = train(spec, data=data, root=Path(folder))
        seconds = time.perf_counter() - began
        scores = evaluate(run, data=data)
        loop = next(entry["seconds"] for entry in reversed(run.records()) if "seconds" in entry)
        result = {"seed": seed, "train_s": round(loop, 1), "with_preparation_s": round(seconds, 1), "steps": run.records()[-1]["step"],
                  "metrics": {metric: figure.model_dump(include={"value", "low", "high"}) for metric, figure in scores.metrics.items()},
                  "spec": run.spec_data(), "rows": {"train": len(next(iter(data["train"].values()))), "test": scores.count}}
        if scores.baseline is not None:
            figures = {metric: figure.value for metric, figure in scores.baseline.metrics.items()}
            result["baseline"] = {"name": scores.baseline.name, "seconds": scores.baseline.seconds, "metrics": figures, "advice": str(scores.recommendation)}
            print(result["baseline"])
    return result


def main() -> None:
    """Run the seeds and keep the result as `tables_<data>`."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", choices=TASKS, required=True)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--validation", action="store_true", help="test on validation rows, for choosing settings; writes nothing")
    parser.add_argument("--settings", type=json.loads, default={}, help='JSON such as {"train": {"epochs": 10}, "task": {"model": {"dropout": 0.2}}}')
    parser.add_argument("--root", type=Path, default=Path(os.environ.get("THUJA_DATA", Path(__file__).parents[2] / "shared" / "data")))
    arguments = parser.parse_args()
    data = {"adult": adult, "california": california, "fraud": fraud}[arguments.data](arguments.root, arguments.validation)
    load, runs = os.getloadavg()[0], []
    for seed in range(arguments.seeds):
        runs.append(experiment(arguments.data, data, arguments.settings, seed, baseline=seed == 0))
        print(seed, runs[-1]["train_s"], {m: round(f["value"], 4) for m, f in runs[-1]["metrics"].items()}, flush=True)
    values = {metric: [run["metrics"][metric]["value"] for run in runs] for metric in runs[0]["metrics"]}
    result = {"data": arguments.data, "goal": GOALS[arguments.data], "mean": {m: statistics.fmean(v) for m, v in values.items()},
              "seed_std": {m: statistics.stdev(v) if len(v) > 1 else None for m, v in values.items()}, "runs": runs, "threads": torch.get_num_threads()}
    print({m: (round(result["mean"][m], 4), goal) for m, goal in GOALS[arguments.data].items()})
    if not arguments.validation:
        print(record.save(f"tables_{arguments.data}", result, load))


if __name__ == "__main__":
    main()
