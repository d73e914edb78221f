"""How well properties of molecules are learned: ESOL, FreeSolv, Lipophilicity (RMSE) and BBBP (ROC AUC), on random splits and by scaffold.

    python benchmarks/quality_molecules.py --data esol --seeds 0 1 2
    python benchmarks/quality_molecules.py --data bbbp --split scaffold

Everything goes through the verb `train`. A random split is by hash with its own seed, 8:1:1, so that seeds are splits and trainings; the
scaffold split is that of MoleculeNet (the largest scaffolds train; 8:1:1), one split, three trainings. Nothing is chosen on the test rows: recipes were chosen
with `--part validation`. The random forest on fingerprints and descriptors answers the same test rows. Rows that rdkit refuses are counted.
"""

import argparse
import json
import os
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import record
import torch
from served import served

from thuja.metrics import METRICS
from thuja.report.outputs import read
from thuja.settings import Evaluate
from thuja.spec import parse
from thuja.verbs.evaluate import evaluate
from thuja.verbs.train import train

SETS = {
    "esol": ("delaney-processed.csv", "measured log solubility in mols per litre", "rmse", 0.58),
    "freesolv": ("SAMPL.csv", "expt", "rmse", 1.15),
    "lipophilicity": ("Lipophilicity.csv", "exp", "rmse", 0.655),
    "bbbp": ("BBBP.csv", "BBBP", "roc_auc", 0.729),
}
"""File, target, metric, and the best published on a random split by MoleculeNet (Wu et al. 2018, arXiv 1703.00564, table 3); of BBBP the best on its scaffold
split there (kernel SVM 0.729, graph convolutions 0.690)."""


def experiment(name: str, chosen: argparse.Namespace, seed: int, root: Path) -> dict[str, Any]:
    """Train once on the split of this seed and judge one part."""
    file, target, metric, _ = SETS[name]
    split: dict[str, Any] = {"kind": "scaffold", "column": "smiles"} if chosen.split == "scaffold" else {"kind": "hash", "seed": seed}
    how = chosen.train if "steps" in chosen.train else chosen.train | ({"budget": chosen.budget} if chosen.budget else {})
    spec = parse({"task": {"kind": "molecules", "smiles": "smiles", "target": target} | chosen.task,
                  "data": {"path": str(root / file), "split": {**split, "validation": 0.1, "test": 0.1}},
                  "check": {"enabled": False}, "train": {**how, "seed": seed}})
    with tempfile.TemporaryDirectory() as place:
        load, began = os.getloadavg()[0], time.perf_counter()
        run = train(spec, root=Path(place))
        wall = time.perf_counter() - began
        scores = evaluate(run, part=chosen.part, settings=Evaluate(baseline=not chosen.no_baseline))
        found, timed = scores.metrics[metric], [entry["seconds"] for entry in run.records() if "seconds" in entry]
        answered, settled, data = read(run.path / f"outputs-{chosen.part}.parquet"), run.spec_data(), run.read("data.json")
        result: dict[str, Any] = {
            "seed": seed, metric: round(found.value, 4), "interval_95": [round(found.low, 4), round(found.high, 4)], "rows": scores.count,
            "bad": sum(map(len, data["bad"].values())), "train_s": round(timed[-1], 1), "wall_s": round(wall, 1), "load_before": round(load, 2),
            "steps": settled["train"]["steps"], "settled": {"task": settled["task"], "train": settled["train"], "split": settled["data"]["split"]}}
        if answered.baseline is not None:
            result |= {"baseline": answered.facts["baseline"], f"baseline_{metric}": round(METRICS[metric].value(answered.baseline), 4)}
        if seed == chosen.seeds[0] and chosen.part == "test":
            result |= {"served": served(run)}
    return result


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--data", choices=SETS, required=True)
    arguments.add_argument("--split", choices=("random", "scaffold"), default="random")
    arguments.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2], help="which seeds")
    arguments.add_argument("--part", choices=("test", "validation"), default="test", help="validation: to choose a recipe; test: to report one")
    arguments.add_argument("--budget", type=float, help="seconds of training; empty: the steps that the task chooses")
    arguments.add_argument("--no-baseline", action="store_true")
    arguments.add_argument("--task", type=json.loads, default={}, help="fields of the task, as JSON")
    arguments.add_argument("--train", type=json.loads, default={}, help="fields of the train section, as JSON")
    chosen = arguments.parse_args()
    root = Path(os.environ.get("THUJA_DATA", Path(__file__).parents[2] / "shared" / "data")).resolve() / "molecules"
    metric, published = SETS[chosen.data][2:]
    before, runs = os.getloadavg()[0], []
    for seed in chosen.seeds:
        runs.append(experiment(chosen.data, chosen, seed, root))
        print(json.dumps({key: value for key, value in runs[-1].items() if key != "settled"}), flush=True)
    values = [run[metric] for run in runs]
    long = f"{runs[0]['steps']} steps" if not chosen.budget else f"{chosen.budget:g} s"
    result = {"says": f"{chosen.data}, {chosen.split} split 8:1:1, {metric} of the {chosen.part} rows after {long}", "published": published, "metric": metric,
              "mean": round(statistics.mean(values), 4), "sd_of_seeds": round(statistics.pstdev(values), 4), "runs": runs,
              "torch_threads": torch.get_num_threads()}
    print({key: value for key, value in result.items() if key != "runs"})
    if chosen.part == "test":
        print(record.save(f"molecules_{chosen.data}_{chosen.split}", result, before))


if __name__ == "__main__":
    main()
