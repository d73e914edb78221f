"""How well things are found in pictures after a given time of training from random weights: blood cells (bccd), its official test pictures.

    python benchmarks/quality_detection.py --budget 180 --seeds 0 1 2

Everything goes through the verb `train`: the files and their official lists, the settled choices, the budget turned into steps by timing, the loop. The budget
is wall time of training, timing and checkpoints included; decoding the pictures is not. The test pictures are answered once, by the program that would be
exported; average precision is ours, and must equal that of faster-coco-eval on the same boxes to 1e-6, or the benchmark fails. Intervals are over pictures.
Hyper-parameters were chosen on the validation pictures (`--part validation`).
"""

import argparse
import contextlib
import io
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
from faster_coco_eval import COCO, COCOeval_faster
from served import served

from thuja.apps.object_detection import judge
from thuja.apps.object_detection.codec import ObjectDetectionCodec
from thuja.apps.object_detection.task import ObjectDetection
from thuja.codec import Columns
from thuja.data.source import open_source
from thuja.metrics import METRICS, Outputs, interval
from thuja.metrics.detection import average_precision, ranked
from thuja.settings import Check, Data, Train
from thuja.spec import Spec
from thuja.task import Part
from thuja.training import checkpoint
from thuja.training.look import answers
from thuja.training.loop import begin
from thuja.verbs.train import train

GOALS = {180: 0.80}
PUBLISHED = "0.904, YOLOv8n after pretraining on COCO"
COMPARED = ("map_50_95", "map_50", "map_75", "map_small", "map_medium", "map_large")
"""In the order of faster-coco-eval's figures."""


def reference(codec: ObjectDetectionCodec, columns: Columns, outputs: Outputs) -> list[float]:
    """What faster-coco-eval makes of the same boxes, -1 where nothing is to be found."""
    drawn, rows = judge.drawn(columns, codec), len(outputs.target)
    boxes = outputs.arrays["boxes"].reshape(rows, -1, 4).astype(float)
    annotations, results = [], []
    for row in range(rows):
        for box, label, ignore in zip(drawn.box[row].astype(float), drawn.label[row], drawn.ignore[row], strict=True):
            if label >= 0:
                sides = box[2:] - box[:2]
                annotations.append({"id": len(annotations) + 1, "image_id": row + 1, "category_id": int(label) + 1, "bbox": [*box[:2], *sides],
                                    "area": float(sides.prod()), "iscrowd": int(ignore)})
        for box, label, score in zip(boxes[row], outputs.arrays["label"][row], outputs.arrays["score"][row], strict=True):
            if score > 0:
                results.append({"image_id": row + 1, "category_id": int(label) + 1, "bbox": [*box[:2], *(box[2:] - box[:2])], "score": float(score)})
    truth = {"images": [{"id": i + 1, "width": 1, "height": 1} for i in range(rows)], "annotations": annotations,
             "categories": [{"id": i + 1, "name": name} for i, name in enumerate(codec.names)]}
    with contextlib.redirect_stdout(io.StringIO()):
        known = COCO(truth)
        evaluation = COCOeval_faster(known, known.loadRes(results), "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return [float(value) for value in evaluation.stats[:6]]


def judged(codec: ObjectDetectionCodec, columns: Columns, outputs: Outputs) -> dict[str, Any]:
    """Every figure, after it was found equal to the reference's."""
    ours = {name: METRICS[name].value(outputs) for name in COMPARED}
    for name, theirs in zip(COMPARED, reference(codec, columns, outputs), strict=True):
        assert abs(np.nan_to_num(ours[name], nan=-1) - theirs) < 1e-6, (name, ours[name], theirs)
    found, one = interval(METRICS["map_50"], outputs), np.ones((1, len(outputs.target)))
    classes = {name: round(float(average_precision(boxes, one, (0,))[0]), 4) for name, boxes in zip(codec.names, ranked(outputs), strict=True)}
    return {"map_50": round(ours["map_50"], 4), "interval_95": [round(found.low, 4), round(found.high, 4)], "by_class_50": classes,
            **{name: round(ours[name], 4) for name in COMPARED if name != "map_50" and ours[name] == ours[name]}}


def experiment(data: Data, task: ObjectDetection, settings: Train, part: str, first: bool) -> dict[str, Any]:
    """Train once, answer the pictures of a part once."""
    spec = Spec(task=task, data=data, check=Check(enabled=False), train=settings)
    with tempfile.TemporaryDirectory() as runs:
        load = os.getloadavg()[0]
        began = time.perf_counter()
        run = train(spec, root=Path(runs))
        wall = time.perf_counter() - began
        codec, settled = run.codec(), Spec[ObjectDetection].model_validate(run.spec_data())
        assert isinstance(codec, ObjectDetectionCodec)
        state = begin(settled.task, codec, settled.train)
        checkpoint.restore(run.checkpoints, state)
        timed = [entry["seconds"] for entry in run.records() if "seconds" in entry]
        service = served(run) if first else {}
    source = open_source(data)[part]
    columns = codec.encode(source.take(np.arange(len(source))))
    outputs = settled.task.outputs(codec, columns, answers(settled.task.programs(state.best_model.eval(), codec), columns))
    return {"seed": settings.seed, **judged(codec, columns, outputs), "rows": len(outputs.target), "steps": state.step,
            "train_s": round(timed[-1], 1) if timed else None, "wall_s": round(wall, 1), "load_before": round(load, 2), **service,
            "parameters": sum(p.numel() for p in state.model.parameters()), "settled": settled.model_dump(mode="json", include={"task", "train"})}


def baseline(data: Data, task: ObjectDetection, part: str) -> dict[str, Any] | None:
    """The classical model on the same pictures."""
    sources = open_source(data)
    task, codec = task.prepare(sources["train"])
    known, asked = (Part(sources[name], codec.encode(sources[name].take(np.arange(len(sources[name]))))) for name in ("train", part))
    answered = task.baseline(codec, known, asked, 0)
    if answered is None:
        return None
    target = answered.outputs["truth"].reshape(len(asked.source), -1, len(codec.names))[:, 0]
    return {"name": answered.name, **judged(codec, asked.columns, Outputs(target, answered.outputs)), "seconds": round(answered.seconds, 1)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--budget", type=float, default=180.0)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2], help="which seeds")
    parser.add_argument("--part", choices=("test", "validation"), default="test", help="validation: to choose a recipe; test: to report one")
    parser.add_argument("--task", type=json.loads, default={}, help="settings of the task as JSON")
    parser.add_argument("--train", type=json.loads, default={}, help="settings of the train section as JSON; steps in place of the budget")
    arguments = parser.parse_args()
    root = Path(os.environ.get("THUJA_DATA", Path(__file__).parents[2] / "shared" / "data"))
    data, task = Data(path=str(root / "bccd")), ObjectDetection(**{"flip": "both", **arguments.task})  # cells have no up and down
    how = arguments.train if "steps" in arguments.train else {"budget": arguments.budget, **arguments.train}
    runs, before = [], os.getloadavg()[0]
    for seed in arguments.seeds:
        runs.append(experiment(data, task, Train(**{**how, "seed": seed}), arguments.part, first=not runs))
        print(json.dumps({key: value for key, value in runs[-1].items() if key != "settled"}), flush=True)
    values = [run["map_50"] for run in runs]
    long = f"{how['steps']} steps" if "steps" in how else f"{arguments.budget:g} s"
    result = {"says": f"bccd, mAP50 of the {arguments.part} pictures after {long} of training from random weights",
              "goal": None if "steps" in how else GOALS.get(int(arguments.budget)), "goal_converged": 0.87, "published": PUBLISHED,
              "mean": round(statistics.mean(values), 4), "sd_of_seeds": round(statistics.pstdev(values), 4), "interval_95_of_rows": runs[0]["interval_95"],
              "runs": runs, "baseline": baseline(data, task, arguments.part), "torch_threads": torch.get_num_threads()}
    name = f"detection_bccd_{long.replace(' ', '')}" + ("" if arguments.part == "test" else "_validation")
    print(f"mAP50 {result['mean']} after {long}, baseline {result['baseline'] and result['baseline']['map_50']}; {record.save(name, result, before)}")


if __name__ == "__main__":
    main()
