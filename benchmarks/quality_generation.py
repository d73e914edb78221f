"""How far made pictures are from real ones after a given time of training from random weights, beside TorchCFM's recipe at equal time.

    python benchmarks/quality_generation.py --data mnist --budget 180 --seeds 0 1 2
    python benchmarks/quality_generation.py --data cifar10 --budget 180 --peer small

Everything goes through the verb `train`. The budget is wall time of training, timing and checkpoints included; reading and decoding is not, nor is making the
pictures. Distances are Fréchet distances in the last layer of one classifier, trained here once by image classification (or `--judge`), from the same test
rows: equal classifier, equal number of pictures, for ours, for TorchCFM, for the classical baseline, and for as many real training pictures (the floor).
TorchCFM has no guidance; ours is judged at the strength that a request gets that says nothing. Hyper-parameters were chosen on validation rows.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import record
import torch
from quality_images import folder
from served import served

import thuja
from thuja.apps.image_classification.task import ImageClassification
from thuja.apps.image_generation.judge import open_judge
from thuja.apps.image_generation.judged import judged
from thuja.apps.image_generation.task import ImageGeneration
from thuja.codec import take
from thuja.data.source import open_source
from thuja.data.split import split
from thuja.metrics import METRICS, Outputs, interval
from thuja.metrics.generation import frechet
from thuja.settings import Check, Data, GivenSplit, Train
from thuja.spec import Spec
from thuja.task import Part
from thuja.training import checkpoint
from thuja.training.look import answers
from thuja.training.loop import begin

NAMES = ("frechet", "precision_pictures", "recall_pictures", "recognised")
PEER = Path(__file__).parent / "peers" / "torchcfm.py"


def judge_of(data: Path, place: Path, budget: float) -> Path:
    """The artefact of a classifier of these pictures; trained once."""
    if not place.is_dir():
        spec = Spec(task=ImageClassification(), data=Data(path=str(data), split=GivenSplit(validation=0.02)), check=Check(enabled=False),
                    train=Train(budget=budget, seed=0))
        with tempfile.TemporaryDirectory() as runs:
            run = thuja.train(spec, root=Path(runs))
            print("judge:", json.dumps({name: figure.value for name, figure in thuja.evaluate(run).metrics.items()}), flush=True)
            thuja.export(run, out=place)
    return place


def parts(data: Data, task: ImageGeneration, part: str, rows: int) -> tuple[Any, Part, Part]:
    """The codec, the training rows, and so many rows of the part that is asked for, spread evenly."""
    sources = task.arrange(split(open_source(data), data, (task.image,)))  # type: ignore[arg-type]
    task, codec = task.prepare(sources["train"])
    index = np.unique(np.linspace(0, len(sources[part]) - 1, min(rows, len(sources[part]))).astype(np.int64))
    wanted = {"train": np.arange(len(sources["train"])), part: index}
    known, asked = (Part(sources[name], codec.encode(sources[name].take(places))) for name, places in wanted.items())
    return codec, known, asked


def figures(outputs: Outputs) -> dict[str, Any]:
    """Every metric with its interval."""
    found = {name: interval(METRICS[name], outputs) for name in NAMES}
    return {name: [round(float(v), 4) for v in (one.value, one.low, one.high)] for name, one in found.items()}


def experiment(data: Data, task: ImageGeneration, settings: Train, asked: Part, *, serve: bool) -> dict[str, Any]:
    """Train once, make a picture for each row that is asked."""
    spec = Spec(task=task, data=data, check=Check(enabled=False), train=settings)
    with tempfile.TemporaryDirectory() as runs:
        load, began = os.getloadavg()[0], time.perf_counter()
        run = thuja.train(spec, root=Path(runs))
        wall = time.perf_counter() - began
        codec, settled = run.codec(), Spec[ImageGeneration].model_validate(run.spec_data())
        state = begin(settled.task, codec, settled.train)
        checkpoint.restore(run.checkpoints, state)
        timed = [entry["seconds"] for entry in run.records() if "seconds" in entry]
        service = served(run) if serve else {}
    began = time.perf_counter()
    arrays = answers(settled.task.programs(state.best_model.eval(), codec), asked.columns, rows=64)
    made = time.perf_counter() - began
    return {"seed": settings.seed, **figures(settled.task.outputs(codec, asked.columns, arrays)), "steps": state.step, "train_s": timed[-1] if timed else None,
            "wall_s": round(wall, 1), "making_s": round(made, 1), "load_before": round(load, 2), **service,
            "settled": settled.model_dump(mode="json", include={"task": True, "train": True}, exclude={"task": {"judge"}})}  # its digest says which it was


def peer(known: Part, asked: Part, codec: Any, recipe: str, budget: float, judge: Any) -> dict[str, Any]:
    """TorchCFM's recipe for the same seconds, on the same pictures, judged alike."""
    with tempfile.TemporaryDirectory() as place:
        np.savez(Path(place) / "asked.npz", x=known.columns[codec.image], y=known.columns[codec.label], asked=asked.columns[codec.label])
        command = [sys.executable, str(PEER), "--folder", place, "--recipe", recipe, "--budget", str(budget)]
        said = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
        made = np.load(Path(place) / "made.npz")
    return json.loads(said.splitlines()[-1]) | {
        kind: figures(judged(judge, codec, asked.columns, made[kind])) for kind in made.files}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", choices=("mnist", "cifar10"), required=True)
    parser.add_argument("--budget", type=float, default=180.0)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2], help="which seeds")
    parser.add_argument("--rows", type=int, default=2000, help="pictures made, and real ones they are compared with")
    parser.add_argument("--part", choices=("test", "validation"), default="test", help="validation: to choose a recipe; test: to report one")
    parser.add_argument("--judge", type=Path, help="the artefact of a classifier; made where none is given")
    parser.add_argument("--judge-budget", type=float, default=60.0)
    parser.add_argument("--peer", choices=("documented", "small", "none"), default="documented")
    parser.add_argument("--task", type=json.loads, default={}, help="settings of the task as JSON")
    parser.add_argument("--train", type=json.loads, default={}, help="settings of the train section as JSON; steps in place of the budget")
    arguments = parser.parse_args()
    cache = Path(tempfile.gettempdir()) / "thuja-benchmark-data"
    pictures = folder(arguments.data, Path(os.environ.get("THUJA_DATA", Path(__file__).parents[2] / "shared" / "data")), cache)
    path = arguments.judge or judge_of(pictures, cache / f"judge-{arguments.data}", arguments.judge_budget)
    task = ImageGeneration(**{"judge": str(path), **arguments.task})
    data = Data(path=str(pictures), split=GivenSplit(validation=0.05))
    codec, known, asked = parts(data, task, arguments.part, arguments.rows)
    judge, rows = open_judge(str(path)), len(np.asarray(asked.columns[task.target]))
    how = arguments.train if "steps" in arguments.train else {"budget": arguments.budget, **arguments.train}
    runs, before = [], os.getloadavg()[0]
    for seed in arguments.seeds:
        runs.append(experiment(data, task, Train(**{**how, "seed": seed}), asked, serve=seed == arguments.seeds[0]))
        print(json.dumps({key: value for key, value in runs[-1].items() if key != "settled"}), flush=True)
    real = judge.see(np.asarray(asked.columns[task.image])).features
    spread = np.linspace(0, len(np.asarray(known.columns[task.image])) - 1, rows).astype(np.int64)
    other = judge.see(np.asarray(take(known.columns, spread)[task.image])).features
    classical = task.baseline(codec, known, asked, 0)
    values = [run["frechet"][0] for run in runs]
    long = f"{how['steps']} steps" if "steps" in how else f"{arguments.budget:g} s"
    result = {"says": f"{arguments.data}, Fréchet distance of {rows} made pictures from {rows} {arguments.part} rows after {long} of training, in "
                      f"{judge.title}", "mean": round(statistics.mean(values), 3), "sd_of_seeds": round(statistics.pstdev(values), 4),
              "floor": round(frechet(real, other), 4), "runs": runs,
              "baseline": {"name": classical.name, "seconds": round(classical.seconds, 1), **figures(Outputs(real, classical.outputs))},
              "torch_threads": torch.get_num_threads()}
    if arguments.peer != "none":
        result["torchcfm"] = peer(known, asked, codec, arguments.peer, arguments.budget, judge)
    name = f"generation_{arguments.data}_{task.model.kind}_{long.replace(' ', '')}" + ("" if arguments.part == "test" else "_validation")
    print(json.dumps({key: value for key, value in result.items() if key != "runs"}))
    print(f"distance {result['mean']} after {long}; {record.save(name, result, before)}")


if __name__ == "__main__":
    main()
