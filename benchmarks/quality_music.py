"""How well a language model foretells the chorales of Bach: nats a time step on the 77 test chorales of JSB Chorales, in quarter notes.

    python benchmarks/quality_music.py --budget 120 --seeds 0 1 2

The language model as it is, on the text of `thuja.data.pianoroll`: a character a pitch, from the lowest up, and a space after each step, so that the nats of
the text are those of the music; what it says of the end of a piece counts as well. Intervals are of whole chorales. With `--keys 12` the training chorales are
given in so many keys (up to 5 half-tones up, 6 down), which teaches that a chord is the same chord in another key; validation and test are as they are. Recipes
were chosen with `--part validation`.
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

from thuja.data import pianoroll
from thuja.metrics import METRICS, Outputs, Sampling, interval
from thuja.report.outputs import read
from thuja.settings import Evaluate
from thuja.spec import parse
from thuja.verbs.evaluate import evaluate
from thuja.verbs.train import train

PUBLISHED = {"lstm": 8.43, "tcn": 8.10, "rnn-rbm": 6.27, "rnn-nade": 5.56}
"""Bai et al. 2018, arXiv 1803.01271 (each key by itself); Boulanger-Lewandowski et al. 2012, arXiv 1206.6392 (keys of a step together, as here)."""
GOAL = 8.1
TASK: dict[str, Any] = {"kind": "language-model", "rows": "documents", "vocabulary": "characters", "vocabulary_size": 128, "context": 256,
                        "model": {"kind": "gpt", "dim": 128, "depth": 3, "heads": 4, "hidden": 512, "dropout": 0.2}}


def pieces(path: Path, keys: int) -> dict[str, dict[str, list[str]]]:
    """The parts as texts; training in so many keys."""
    rolls = json.loads(path.read_text("utf-8"))
    ups = range(-(keys // 2), keys - keys // 2)
    parts = {name: [pianoroll.written(piece) for piece in rolls[given]] for name, given in (("validation", "valid"), ("test", "test"))}
    parts["train"] = [pianoroll.written(piece, up) for up in ups for piece in rolls["train"]]
    return {name: {"text": parts[name]} for name in ("train", "validation", "test")}


def experiment(chosen: argparse.Namespace, seed: int, data: dict[str, dict[str, list[str]]]) -> dict[str, Any]:
    """Train once, and judge the chorales of a part."""
    how = chosen.train if "steps" in chosen.train else {"budget": chosen.budget, **chosen.train}
    spec = parse({"task": TASK | chosen.task, "check": {"enabled": False}, "train": {**how, "seed": seed}})
    with tempfile.TemporaryDirectory() as place:
        load, began = os.getloadavg()[0], time.perf_counter()
        run = train(spec, data=data, root=Path(place))
        wall = time.perf_counter() - began
        evaluate(run, part=chosen.part, settings=Evaluate(), data=data)
        answered, settled = read(run.path / f"outputs-{chosen.part}.parquet"), run.spec_data()
        timed = [entry["seconds"] for entry in run.records() if "seconds" in entry]
        steps = np.array([text.count(pianoroll.STEP) for text in data[chosen.part]["text"]])
        found = {name: interval(METRICS["nll_character"], Outputs(steps, {"nll": outputs.arrays["nll"], "characters": steps}), Sampling())
                 for name, outputs in (("network", answered.ours), ("ngrams", answered.baseline)) if outputs is not None}
        result: dict[str, Any] = {"seed": seed, "nats_a_step": round(found["network"].value, 4),
                                  "interval_95": [round(found["network"].low, 4), round(found["network"].high, 4)],
                                  "baseline": answered.facts["baseline"], "baseline_nats_a_step": round(found["ngrams"].value, 4), "pieces": len(steps),
                                  "time_steps": int(steps.sum()), "steps": settled["train"]["steps"], "train_s": round(timed[-1], 1), "wall_s": round(wall, 1),
                                  "load_before": round(load, 2), "settled": {"task": settled["task"], "train": settled["train"]}}
        if seed == chosen.seeds[0] and chosen.part == "test":
            result["served"] = served(run, data)
    return result


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--budget", type=float, default=120.0)
    arguments.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2], help="which seeds")
    arguments.add_argument("--keys", type=int, default=12)
    arguments.add_argument("--part", choices=("test", "validation"), default="test", help="validation: to choose a recipe; test: to report one")
    arguments.add_argument("--task", type=json.loads, default={}, help="fields of the task, as JSON")
    arguments.add_argument("--train", type=json.loads, default={}, help="fields of the train section, as JSON; steps in place of the budget")
    chosen = arguments.parse_args()
    root = Path(os.environ.get("THUJA_DATA", Path(__file__).parents[2] / "shared" / "data"))
    data, before, runs = pieces(root / "jsb_chorales" / "jsb-chorales-quarter.json", chosen.keys), os.getloadavg()[0], []
    for seed in chosen.seeds:
        runs.append(experiment(chosen, seed, data))
        print(json.dumps({key: value for key, value in runs[-1].items() if key != "settled"}), flush=True)
    values = [run["nats_a_step"] for run in runs]
    long = f"{chosen.train['steps']} steps" if "steps" in chosen.train else f"{chosen.budget:g} s"
    result = {"says": f"JSB Chorales in quarter notes, nats a time step of the {chosen.part} chorales after {long} of training in {chosen.keys} keys",
              "goal": GOAL, "published": PUBLISHED, "mean": round(statistics.mean(values), 4), "sd_of_seeds": round(statistics.pstdev(values), 4), "runs": runs}
    print({key: value for key, value in result.items() if key != "runs"})
    if chosen.part == "test":
        print(record.save("music_jsb_chorales", result, before))


if __name__ == "__main__":
    main()
