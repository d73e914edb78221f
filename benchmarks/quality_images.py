"""How well pictures are classified after a given time of training from random weights.

    python benchmarks/quality_images.py --data mnist --budget 60 --seeds 3
    python benchmarks/quality_images.py --data cifar10 --budget 180 --seeds 3

Everything goes through the verb `train`: the source, the split, the codec, the cache, the settled choices, the budget turned into steps by timing, the
loop with its checkpoints. The budget is wall time of training, timing and checkpoints included; reading and decoding the pictures is not. Checks of the
data are off, as they are not training; 2 % of the training rows are held out for the look at the end. The test rows are answered once, by the program that
would be exported.

Rates, weight decay, batch size and the number of whitening filters were chosen on validation rows: with `--part validation` a tenth of the training rows is
held out and answered instead, and the test rows are not read. Widths, depth and smoothing come from an older recipe that was compared on test rows.
"""

import argparse
import json
import os
import statistics
import tarfile
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import record
import torch
from served import served

from thuja.apps.image_classification.task import ImageClassification
from thuja.codec import count, take
from thuja.data.source import open_source
from thuja.data.split import split
from thuja.settings import Check, Data, GivenSplit, Train
from thuja.spec import Spec
from thuja.task import Part
from thuja.training import checkpoint
from thuja.training.loop import begin
from thuja.verbs.train import train

TASKS: dict[tuple[str, int], dict[str, Any]] = {("cifar10", 180): {"model": {"kind": "convnet", "widths": [48, 96, 192]}}}
"""What is typed in the spec rather than left to `auto`: three times the time pays for a wider network, and `auto` does not know the time."""
HELD_OUT = {"test": 0.02, "validation": 0.1}
"""Share of the training rows that become validation rows, by the part that is answered."""
GOALS = {("mnist", 60): 99.4, ("cifar10", 60): 85.0, ("cifar10", 180): 90.0}


def folder(name: str, root: Path, cache: Path) -> Path:
    """The pictures of a set on disk; archives are unpacked once, under `cache`."""
    if name == "mnist":
        return root / "mnist"
    place = cache / "cifar10_jpeg"
    for part in ("train", "test"):
        if not (place / part).is_dir():
            with tarfile.open(root / "cifar10_jpeg" / f"{part}.tar.xz") as archive:
                archive.extractall(place, filter="data")
    return place


def experiment(data: Path, budget: float, seed: int, task: ImageClassification, part: str, first: bool) -> dict[str, Any]:
    """Train once, answer the rows of `part`, "test" or "validation", once."""
    spec = Spec(task=task, data=Data(path=str(data), split=GivenSplit(validation=HELD_OUT[part])), check=Check(enabled=False),
                train=Train(budget=budget, seed=seed, evaluate_every=10**6, save_every=10**6))
    with tempfile.TemporaryDirectory() as runs:
        load = os.getloadavg()[0]
        began = time.perf_counter()
        run = train(spec, root=Path(runs))
        wall = time.perf_counter() - began
        codec, settled = run.codec(), Spec[ImageClassification].model_validate(run.spec_data())
        state = begin(settled.task, codec, settled.train)
        checkpoint.restore(run.checkpoints, state)
        timed = [entry["seconds"] for entry in run.records() if "seconds" in entry][-1]
        service = served(run) if first else {}
    sources = open_source(spec.data)
    source = split(sources, settled.data, (settled.task.image,))[part]
    columns = codec.encode(source.take(np.arange(len(source))))
    module = settled.task.programs(state.best_model, codec)["predict"].module
    with torch.inference_mode():
        pieces = (take(columns, index)[settled.task.image] for index in np.array_split(np.arange(count(columns)), 20))
        probability = np.concatenate([module(torch.from_numpy(np.asarray(piece))).numpy() for piece in pieces])
    target = np.asarray(columns[settled.task.target])
    right = probability.argmax(axis=1) == target
    return {"seed": seed, "accuracy": round(100 * float(right.mean()), 2), "log_loss": round(float(-np.log(probability[np.arange(len(target)),
    target]).mean()), 4),
            "rows": len(target), "steps": state.step, "train_s": timed, "wall_s": round(wall, 1), "load_before": round(load, 2),
            "settled": settled.model_dump(mode="json", include={"task", "train"})} | service


def baseline(data: Path, task: ImageClassification) -> dict[str, Any]:
    """The classical model on the same rows."""
    sources = open_source(Data(path=str(data)))
    task, codec = task.prepare(sources["train"])
    parts = [Part(source, codec.encode(source.take(np.arange(len(source))))) for source in (sources["train"], sources["test"])]
    answered = task.baseline(codec, parts[0], parts[1], 0)
    accuracy = (answered.outputs["probability"].argmax(axis=1) == parts[1].columns[task.target]).mean()
    return {"name": answered.name, "accuracy": round(100 * float(accuracy), 2), "seconds": round(answered.seconds, 1)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", choices=("mnist", "cifar10"), required=True)
    parser.add_argument("--budget", type=float, default=60.0)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--task", type=json.loads, help="settings of the task as JSON, to try others than those of TASKS")
    parser.add_argument("--part", choices=("test", "validation"), default="test", help="validation: to choose a recipe; test: to report one")
    parser.add_argument("--no-baseline", action="store_true")
    arguments = parser.parse_args()
    root = Path(os.environ.get("THUJA_DATA", Path(__file__).parents[2] / "shared" / "data"))
    data = folder(arguments.data, root, Path(tempfile.gettempdir()) / "thuja-benchmark-data")
    typed = TASKS.get((arguments.data, int(arguments.budget)), {}) if arguments.task is None else arguments.task
    task = ImageClassification(**typed)
    runs, before = [], os.getloadavg()[0]
    for seed in range(arguments.seeds):
        runs.append(experiment(data, arguments.budget, seed, task, arguments.part, seed == 0))
        print(json.dumps({key: value for key, value in runs[-1].items() if key != "settled"}), flush=True)
    values = [run["accuracy"] for run in runs]
    mean, rows = statistics.mean(values), runs[0]["rows"]
    half = 1.96 * (mean / 100 * (1 - mean / 100) / rows) ** 0.5 * 100
    result = {"says": f"{arguments.data}, accuracy in % on the {arguments.part} rows after {arguments.budget:g} s of training",
              "goal": GOALS.get((arguments.data, int(arguments.budget))),
              "mean": round(mean, 2), "interval_of_rows": [round(mean - half, 2), round(mean + half, 2)], "sd_of_seeds": round(statistics.pstdev(values), 3),
              "runs": runs, "baseline": None if arguments.no_baseline or arguments.part != "test" else baseline(data, task),
              "torch_threads": torch.get_num_threads()}
    suffix = "" if arguments.part == "test" else "_validation"
    out = record.save(f"{arguments.data}_{arguments.budget:g}s{suffix}", result, before)
    print(f"{arguments.data}: {result['mean']} % in {arguments.budget:g} s; {out}")


if __name__ == "__main__":
    main()
