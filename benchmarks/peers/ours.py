"""Thuja on a workload, in a process of its own: `thuja.train` with a budget, from raw files with an empty cache, checks included, then one answer of the
test rows. Prints one line of JSON.

    python benchmarks/peers/ours.py mnist --budget 10 --started "$(date +%s.%N)"

seconds is what passed since `--started` (just before the process began) until the run was trained: interpreter, imports, reading, checks, decoding, the
cache, timing the budget, training, checkpoints. train_s is training alone as the run's log has it, prepare_s what precedes it in the verb. The test rows are
scored after the clock has stopped, by `thuja.evaluate`. float32 unless the settled spec says otherwise; not compiled; pictures are answered with test-time
augmentation where the task's own default says so; the settled values are in the result.
"""

import argparse
import json
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from peers.arrays import NUMBERS  # numpy alone

NAMES = ("age", "workclass", "fnlwgt", "education", "education_num", "marital_status", "occupation", "relationship", "race", "sex", "capital_gain",
         "capital_loss", "hours_per_week", "native_country", "income")


def sentences(root: Path) -> dict[str, Any]:
    """SST-2 as rows."""
    found = {}
    for part in ("train", "test"):
        lines = (root / "sentence_classification" / f"stsa.binary.{part}").read_bytes().decode("latin-1").split("\n")
        lines = [line for line in lines if line.strip()]
        found[part] = {"label": [line[0] for line in lines], "text": [line[2:].strip() for line in lines]}
    return found


def people(root: Path) -> dict[str, Any]:
    """Adult as Arrow tables; spaces around cells and the dot behind the labels of the test file are removed, its first line is a comment."""
    import pyarrow as pa
    import pyarrow.compute as pc
    from pyarrow import csv

    found = {}
    for part, file, skipped in (("train", "adult.data", 0), ("test", "adult.test", 1)):
        table = csv.read_csv(root / "adult" / file, csv.ReadOptions(column_names=NAMES, skip_rows=skipped),
                             convert_options=csv.ConvertOptions(column_types=dict.fromkeys(NAMES, pa.string())))
        cells = {name: pc.ascii_rtrim(pc.utf8_trim_whitespace(table[name]), ".") for name in NAMES}
        nothing = pa.scalar(None, pa.string())
        found[part] = pa.table({name: pc.cast(values, pa.float64()) if name in NUMBERS else pc.if_else(pc.equal(values, "?"), nothing, values)
                                for name, values in cells.items()})
    return found


def asked() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("workload", choices=("mnist", "cifar10", "sst2", "adult"))
    parser.add_argument("--budget", type=float, required=True)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--started", type=float, required=True)
    parser.add_argument("--task", type=json.loads, default={}, help="fields of the task, as JSON")
    parser.add_argument("--train", type=json.loads, default={}, help="fields of the train section, as JSON")
    parser.add_argument("--pictures", type=Path, help="cifar10: the folder with train/ and test/ unpacked")
    parser.add_argument("--root", type=Path, default=Path(os.environ.get("THUJA_DATA", Path(__file__).parents[3] / "shared" / "data")))
    return parser.parse_args()


def main() -> None:
    """Train, stop the clock, score."""
    options = asked()
    with tempfile.TemporaryDirectory() as folder:
        os.environ["THUJA_CACHE"] = str(Path(folder) / "cache")
        print(json.dumps(measured(options, Path(folder))), flush=True)


def measured(options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """One run, trained and scored."""
    import thuja
    from thuja.settings import Check, Data, Evaluate, GivenSplit, Train
    from thuja.spec import Spec, task_class

    pictures = {"mnist": options.root / "mnist", "cifar10": options.pictures}
    kind, target = {"sst2": ("text-classification", "label"), "adult": ("table", "income")}.get(options.workload, ("image-classification", "label"))
    task = task_class(kind).model_validate({"target": target, **options.task})
    data = {"sst2": sentences, "adult": people}[options.workload](options.root) if options.workload not in pictures else None
    waived = dict.fromkeys(("exact-duplicates", "near-duplicates", "target-proxy"), "the official split of a public set, compared with others on it")
    spec = Spec(task=task, data=Data(path="" if data else str(pictures[options.workload]), split=GivenSplit(validation=0.02)), check=Check(waive=waived),
                train=Train(budget=options.budget, seed=options.seed, **options.train), evaluate=Evaluate(baseline=False))
    verb = time.time()
    run = thuja.train(spec, data=data, root=folder / "runs")
    over = time.time()
    train_s = [record["seconds"] for record in run.records() if "seconds" in record][-1]
    scores = thuja.evaluate(run, data=data)
    settled = run.spec_data()
    return {"seed": options.seed, "budget": options.budget, "metric": round(scores.metrics["accuracy"].value, 5), "seconds": round(over - options.started, 3),
            "train_s": round(train_s, 3), "prepare_s": round(over - verb - train_s, 3), "steps": run.records()[-1]["step"],
            "settled": {"task": settled["task"], "train": settled["train"]}}


if __name__ == "__main__":
    main()
