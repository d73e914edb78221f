"""How well pixels are classified after a given time of training from random weights: vessels of the retina, nuclei, membranes, streets.

    python benchmarks/quality_segmentation.py --data chase --budget 900 --seeds 0 1 2
    python benchmarks/quality_segmentation.py --data nuclei --budget 300
    python benchmarks/quality_segmentation.py --data membrane --budget 300
    python benchmarks/quality_segmentation.py --data camvid --budget 900

Everything goes through the verb `train`: the files, the settled choices, the budget turned into steps by timing, the loop. The budget is wall time of
training, timing and checkpoints included; reading and cutting the pictures is not. The test pictures are answered once, by the program that would be
exported, tile by tile, at their own size; every pixel counts.

Splits: chase_db1, Image_11 to 14 train (8 pictures) and 01 to 10 test (20), first annotator, intervals over patients; dsb2018_nuclei, the first 80 % of the
sorted names train; isbi_membrane, the first 24 pictures train; camvid_240, the official parts. With `--part validation` the recipe is chosen on training rows
that are held out (chase: Image_14; else every fifth picture; camvid: its own validation part), and the test rows are not read.
"""

import argparse
import json
import os
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import record
import torch
from served import served

from thuja.apps.segmentation import judge
from thuja.apps.segmentation.task import Segmentation
from thuja.data.masks import open_masks
from thuja.data.source import open_source
from thuja.fields import Mask
from thuja.metrics import METRICS, Outputs, intervals
from thuja.metrics.bootstrap import Sampling, bounds, draws
from thuja.metrics.segmentation import class_iou
from thuja.settings import Check, Data, Train
from thuja.spec import Spec
from thuja.task import Part
from thuja.training import checkpoint
from thuja.training.look import answers
from thuja.training.loop import begin
from thuja.verbs.train import train

FOLDERS = {"chase": "chase_db1", "nuclei": "dsb2018_nuclei", "membrane": "isbi_membrane", "camvid": "camvid_240"}
GOALS = {"chase": ("f1_pixels", 0.80), "nuclei": ("dice", 0.90), "membrane": ("pixel_accuracy", 0.93), "camvid": ("miou", 0.50)}
BUDGETS = {"chase": 900.0, "nuclei": 300.0, "membrane": 300.0, "camvid": 900.0}
TASKS: dict[str, dict[str, Any]] = {
    "chase": {"classes": ["background", "vessel"], "balance": 0.5, "light": 0.05},
    "nuclei": {"classes": ["background", "nucleus"], "least_object": 16},
    "membrane": {"classes": ["membrane", "cell"]},
    "camvid": {"values": list(range(11)), "void": [11], "classes": ["sky", "building", "pole", "road", "pavement", "tree", "sign", "fence", "car", "pedestrian",
                                                                     "bicyclist"]},
}
"""What is typed in the spec rather than left to `auto`."""
TRAINS: dict[str, dict[str, Any]] = {
    "chase": {"optimizer": {"kind": "adamw", "learning_rate": 4e-3, "weight_decay": 0.05}}, "nuclei": {}, "membrane": {}, "camvid": {}}


def rows(name: str, root: Path, part: str) -> dict[str, dict[str, list[Any]]]:
    """The pictures and masks that train, and those that are answered, as "train" and "test"."""
    parts = open_masks(root / FOLDERS[name])
    if name == "camvid":
        chosen = {"train": (parts["train"], None), "test": (parts[part], None)}
    else:
        source = next(iter(parts.values()))
        index = np.array(sorted(range(len(source)), key=lambda i: _number(source.ids(np.array([i]))[0])))
        if name == "chase":
            patient = np.array([int(_number(i)[0]) for i in source.ids(index)])
            held = patient <= 10 if part == "test" else patient == 14
            known = (patient > 10) & ~held
        else:
            first = len(index) * 4 // 5
            place = np.arange(len(index))
            held = place >= first if part == "test" else (place < first) & (place % 5 == 0)
            known = (place < first) & ~held
        chosen = {"train": (source, index[known]), "test": (source, index[held])}
    found = {}
    for key, (source, places) in chosen.items():
        taken = source.take(np.arange(len(source)) if places is None else places)
        found[key] = {column: list(values) for column, values in taken.items() if column in ("image", "mask", "group")}
    return found


def _number(name: str) -> tuple[Any, ...]:
    """By the number in a name where it is one, else by the name."""
    digits = "".join(c for c in Path(name).stem.removeprefix("Image_") if c.isdigit())
    return (int(digits) if len(digits) < 5 else 0, name)


def experiment(data: dict[str, Any], task: Segmentation, settings: Train, *, serve: bool) -> dict[str, Any]:
    """Train once, answer the test rows once; with `serve`, export and time the artefact as well, which asks some 200 pictures five times."""
    group = "group" if "group" in data["train"] else None
    spec = Spec(task=task, data=Data(group=group), check=Check(enabled=False), train=settings)
    with tempfile.TemporaryDirectory() as runs:
        load, began = os.getloadavg()[0], time.perf_counter()
        run = train(spec, data=data, root=Path(runs))
        wall = time.perf_counter() - began
        codec, settled = run.codec(), Spec[Segmentation].model_validate(run.spec_data())
        state = begin(settled.task, codec, settled.train)
        checkpoint.restore(run.checkpoints, state)
        timed = [entry["seconds"] for entry in run.records() if "seconds" in entry]
        service = served(run, data) if serve else {}
    source = open_source(Data(), object=data)["test"]
    columns = codec.encode(source.take(np.arange(len(source))))
    began = time.perf_counter()
    arrays = answers(settled.task.programs(state.best_model.eval(), codec), columns, rows=4)
    answered = time.perf_counter() - began
    outputs = settled.task.outputs(codec, columns, arrays, source)
    outputs = outputs._replace(group=np.array(data["test"]["group"]) if group else None)
    found = intervals([METRICS[name] for name in settled.task.metrics(codec)], outputs)
    figures = {name: [round(float(v), 4) for v in (e.value, e.low, e.high)] for name, e in found.items()}
    return {"seed": settings.seed, **figures, "rows": len(source), "steps": state.step, "train_s": round(timed[-1], 1) if timed else None,
            "wall_s": round(wall, 1), "answer_s": round(answered, 1), "load_before": round(load, 2),
            "parameters": sum(p.numel() for p in state.model.parameters()), "classes": by_class(outputs),
            "settled": settled.model_dump(mode="json", include={"task", "train"}), **({"served": service} if serve else {})}


def by_class(outputs: Outputs) -> dict[str, list[float]]:
    """Intersection over union of each class with its interval."""
    confusion = np.asarray(outputs.arrays["confusion"], float)
    values = class_iou(confusion, np.ones((1, len(confusion))))[0]
    drawn = np.concatenate([class_iou(confusion, weights) for weights in draws(len(confusion), outputs.group, Sampling())])
    return {name: [round(float(v), 4) for v in (values[i], *bounds(values[i], drawn[:, i], 0.95)[:2])] for i, name in enumerate(outputs.names)}


def baseline(data: dict[str, Any], task: Segmentation) -> dict[str, Any]:
    """The classical model on the same rows."""
    sources = open_source(Data(), object=data)
    task, codec = task.prepare(sources["train"])
    known, asked = (Part(sources[name], codec.encode(sources[name].take(np.arange(len(sources[name]))))) for name in ("train", "test"))
    answered = task.baseline(codec, known, asked, 0)
    truth = judge.outputs(codec, asked.columns, [np.zeros(tuple(size), np.uint8) for size in np.asarray(asked.columns[codec.size])], None)
    outputs = truth._replace(arrays=answered.outputs)
    return {"name": answered.name, "seconds": round(answered.seconds, 1),
            **{name: round(METRICS[name].value(outputs), 4) for name in task.metrics(codec)}}


def second_annotator(data: dict[str, Any]) -> float:
    """F1 of the second annotator of chase_db1 against the first: what people agree on."""
    field, right, added, missed = Mask(), 0, 0, 0
    for path in data["test"]["mask"]:
        first, second = field.decode(path, "mask") > 0, field.decode(Path(str(path).replace("_1stHO", "_2ndHO")), "mask") > 0
        right, added, missed = right + int((first & second).sum()), added + int((second & ~first).sum()), missed + int((first & ~second).sum())
    return round(2 * right / (2 * right + added + missed), 4)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", choices=tuple(FOLDERS), default="nuclei")
    parser.add_argument("--budget", type=float, help="seconds of training; when left out, that of the goal")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2], help="which seeds")
    parser.add_argument("--part", choices=("test", "validation"), default="test", help="validation: to choose a recipe; test: to report one")
    parser.add_argument("--task", type=json.loads, default={}, help="settings of the task as JSON")
    parser.add_argument("--train", type=json.loads, default={}, help="settings of the train section as JSON; steps in place of the budget")
    parser.add_argument("--no-baseline", action="store_true", help="leave the classical model out")
    parser.add_argument("--no-served", action="store_true", help="do not export and time the first seed's artefact")
    arguments = parser.parse_args()
    root = Path(os.environ.get("THUJA_DATA", Path(__file__).parents[2] / "shared" / "data"))
    name, budget = arguments.data, arguments.budget or BUDGETS[arguments.data]
    data = rows(name, root, arguments.part)
    task = Segmentation(**{**TASKS[name], **arguments.task})
    how: dict[str, Any] = {"evaluate_every": 10**6, "save_every": 10**6, **TRAINS[name], **arguments.train}
    how = how if "steps" in how else {"budget": budget, **how}
    runs, before = [], os.getloadavg()[0]
    for seed in arguments.seeds:
        result = experiment(data, task, Train(**{**how, "seed": seed}), serve=not runs and not arguments.no_served)
        runs.append(result)
        print(json.dumps({key: value for key, value in result.items() if key != "settled"}), flush=True)
    metric, goal = GOALS[name]
    values = [run[metric][0] for run in runs]
    long = f"{how['steps']} steps" if "steps" in how else f"{budget:g} s"
    figures: dict[str, Any] = {
        "says": f"{FOLDERS[name]}: {metric} of the {arguments.part} pictures after {long} of training", "goal": goal, "mean": round(statistics.mean(values), 4),
        "sd_of_seeds": round(statistics.pstdev(values), 4), "interval_95_of_rows": runs[0][metric][1:], "runs": runs, "torch_threads": torch.get_num_threads()}
    if not arguments.no_baseline:
        figures["baseline"] = baseline(data, task)
    if name == "chase":
        figures["second_annotator_f1"] = second_annotator(data)
    file = f"segmentation_{name}_{long.replace(' ', '')}" + ("" if arguments.part == "test" else "_validation")
    classical = figures.get("baseline", {}).get(metric)
    print(f"{name}: {metric} {figures['mean']} after {long}, goal {goal}, baseline {classical}; {record.save(file, figures, before)}")


if __name__ == "__main__":
    main()
