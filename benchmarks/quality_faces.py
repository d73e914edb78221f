"""How well faces are recognised on orl_faces (40 people, 10 pictures each): known people on other pictures, and people whom training never saw.

    python benchmarks/quality_faces.py --protocol known unseen --seeds 0 1 2

Everything goes through the verbs `train` and `evaluate`: the folder, the settled choices, the loop, the scores beside eigenfaces on the same rows.
`known`: of everyone, pictures 1 to 5 train and 6 to 10 are asked for; rank 1 by the prototypes that training learned, and, as a gallery would be used, by the
most alike of the five training pictures of each person. `unseen`: s1 to s30 train, and every pair of the 100 pictures of s31 to s40 is compared. Recipes were
chosen with `--part validation`, which never opens a test picture: pictures 1 to 3 against 4 and 5, and s1 to s20 against s21 to s30.
Published for 5/5: 96.2 % (a convolutional network of 1997, Lawrence et al.).
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
from served import served

from thuja.apps.face_recognition.baseline import among
from thuja.apps.face_recognition.task import FaceRecognition
from thuja.data.source import open_source
from thuja.run import Run
from thuja.settings import Check, Data, GivenSplit, Train
from thuja.spec import Spec
from thuja.training import checkpoint
from thuja.training.look import answers
from thuja.verbs.evaluate import evaluate
from thuja.verbs.train import train

GOALS = {"known": ("rank_1", 0.98), "unseen": ("eer", 0.02)}
PUBLISHED = {"known": 0.962, "unseen": None}
PATTERN = "{label}/{take}"
TAKES, PEOPLE = [str(take) for take in range(1, 11)], [f"s{person}" for person in range(1, 41)]


def asked(folder: Path, protocol: str, part: str) -> tuple[Data, Any]:
    """The data section of a protocol, and a Python object in its place for choosing, where the test pictures stay closed."""
    column, values, late = ("take", TAKES, TAKES[5:]) if protocol == "known" else ("label", PEOPLE, PEOPLE[30:])
    if part == "test":
        return Data(path=str(folder), pattern=PATTERN, split=GivenSplit(column=column, test=tuple(late), validation=0.0)), None
    tried = TAKES[3:5] if protocol == "known" else PEOPLE[20:30]
    source = open_source(Data(path=str(folder), pattern=PATTERN))["all"]
    rows = source.take(np.arange(len(source)))
    places = {"train": [i for i, value in enumerate(rows[column]) if value in values and value not in (*late, *tried)],
              "test": [i for i, value in enumerate(rows[column]) if value in tried]}
    parts = {name: {key: [cells[i] for i in index] for key, cells in rows.items()} for name, index in places.items()}
    return Data(files=("image",), split=GivenSplit(validation=0.0)), parts


def by_gallery(run: Run, data: Data) -> float:
    """Rank 1 where the training pictures are enrolled and each test picture is searched for."""
    spec, codec = Spec[FaceRecognition].model_validate(run.spec_data()), run.codec()
    model = spec.task.build(codec)
    checkpoint.load_model(run.best_checkpoint(), model)
    source = open_source(data)["all"]
    columns = codec.encode(source.take(np.arange(len(source))))
    vectors = answers(spec.task.programs(model.eval(), codec), columns)["embedding"]
    late = np.isin(np.array(source.take(np.arange(len(source)), ("take",))["take"]), TAKES[5:])
    person = np.asarray(columns["label"])[:, 1]
    return float((among(vectors[late], person[late], vectors[~late], person[~late]) == 1).mean())


def experiment(folder: Path, protocol: str, part: str, task: FaceRecognition, settings: Train) -> dict[str, Any]:
    """Train once, judge once."""
    data, rows = asked(folder, protocol, part)
    spec = Spec(task=task, data=data, check=Check(enabled=False), train=settings)
    with tempfile.TemporaryDirectory() as runs:
        load, began = os.getloadavg()[0], time.perf_counter()
        run = train(spec, data=rows, root=Path(runs))
        wall = time.perf_counter() - began
        scores = evaluate(run, data=rows)
        settled = run.spec_data()
        result: dict[str, Any] = {
            "seed": settings.seed, "metrics": {name: figure.model_dump(include={"value", "low", "high"}) for name, figure in scores.metrics.items()},
            "baseline": scores.baseline and {"name": scores.baseline.name, "seconds": round(scores.baseline.seconds, 2),
                                             **{name: figure.value for name, figure in scores.baseline.metrics.items()}},
            "difference": {name: figure.model_dump(include={"value", "low", "high"}) for name, figure in scores.difference.items()},
            "rows": scores.count, "people": scores.groups, "steps": settled["train"]["steps"], "wall_s": round(wall, 1), "load_before": round(load, 2),
            "settled": {key: settled[key] for key in ("task", "train")}}
        if protocol == "known" and part == "test":
            result["gallery_rank_1"] = by_gallery(run, data)
        if settings.seed == 0:
            result["served"] = served(run, rows)
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--protocol", nargs="+", choices=tuple(GOALS), default=list(GOALS))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2], help="which seeds")
    parser.add_argument("--budget", type=float, help="seconds of training in place of the task's own number of steps")
    parser.add_argument("--part", choices=("test", "validation"), default="test", help="validation: to choose a recipe; test: to report one")
    parser.add_argument("--task", type=json.loads, default={}, help="settings of the task as JSON")
    parser.add_argument("--train", type=json.loads, default={}, help="settings of the train section as JSON")
    arguments = parser.parse_args()
    folder = Path(os.environ.get("THUJA_DATA", Path(__file__).parents[2] / "shared" / "data")) / "orl_faces"
    how = arguments.train if arguments.budget is None else {"budget": arguments.budget, **arguments.train}
    for protocol in arguments.protocol:
        runs, before = [], os.getloadavg()[0]
        for seed in arguments.seeds:
            result = experiment(folder, protocol, arguments.part, FaceRecognition(**arguments.task), Train(**{**how, "seed": seed}))
            runs.append(result)
            values = {name: figure["value"] for name, figure in result["metrics"].items()}
            print(protocol, seed, values, result.get("gallery_rank_1"), result["wall_s"], flush=True)
        metric, goal = GOALS[protocol]
        values = [run["metrics"][metric]["value"] for run in runs]
        figures = {"says": f"orl_faces, {protocol} people, {metric} on {arguments.part} pictures", "goal": goal, "published": PUBLISHED[protocol],
                   "mean": round(statistics.mean(values), 4), "sd_of_seeds": round(statistics.pstdev(values), 4), "runs": runs}
        name = f"faces_orl_{protocol}" + ("" if arguments.part == "test" else "_validation")
        print(f"{metric} {figures['mean']} (goal {goal}); {record.save(name, figures, before)}")


if __name__ == "__main__":
    main()
