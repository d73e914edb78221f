"""How well English captions are translated into German after a given time of training from random weights: Multi30k, test of 2016.

    python benchmarks/quality_translation.py --budget 180 --seeds 3

Everything goes through the verb `train`: the files, the vocabulary, the settled choices, the budget turned into steps by timing, the loop. The budget is wall
time of training, timing and checkpoints included; learning the vocabulary and encoding is not. The text is the lower-cased and tokenised one, as in the papers
it is compared with (`--text raw` for the other). The test sentences are translated once, by the program that would be exported, with the task's beams, and
scored by sacrebleu itself, whose signature is kept; the intervals are ours. Hyper-parameters were chosen on the validation sentences (`--part validation`).
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
import sacrebleu
import torch
from served import served

from thuja.apps.translation.task import Translation
from thuja.data.source import open_source
from thuja.metrics import METRICS, Outputs, interval
from thuja.settings import Check, Data, Train
from thuja.spec import Spec
from thuja.task import Part
from thuja.training import checkpoint
from thuja.training.look import answers
from thuja.training.loop import begin
from thuja.verbs.train import train

GOALS = {180: 35.0}
CONVERGED = 41.0
"""A tiny transformer on the same text: Wu et al. 2021, "Good for Misconceived Reasons", arXiv 2105.14462."""


def experiment(data: Data, task: Translation, settings: Train, part: str, first: bool) -> tuple[dict[str, Any], Outputs]:
    """Train once, translate the sentences of a part once."""
    spec = Spec(task=task, data=data, check=Check(enabled=False), train=settings)
    with tempfile.TemporaryDirectory() as runs:
        load = os.getloadavg()[0]
        began = time.perf_counter()
        run = train(spec, root=Path(runs))
        wall = time.perf_counter() - began
        codec, settled = run.codec(), Spec[Translation].model_validate(run.spec_data())
        state = begin(settled.task, codec, settled.train)
        checkpoint.restore(run.checkpoints, state)
        timed = [entry["seconds"] for entry in run.records() if "seconds" in entry]
        service = served(run) if first else {}
    source = open_source(data)[part]
    columns = codec.encode(source.take(np.arange(len(source))))
    began = time.perf_counter()
    arrays = answers(settled.task.programs(state.best_model.eval(), codec), columns)
    searched = time.perf_counter() - began
    outputs = settled.task.outputs(codec, columns, arrays, source)
    bleu, found = sacrebleu.metrics.BLEU(force=True), interval(METRICS["bleu"], outputs)
    score = bleu.corpus_score(list(outputs.arrays["text"]), [list(outputs.target)])
    assert abs(score.score - found.value) < 1e-6, (score.score, found.value)
    return {"seed": settings.seed, "bleu": round(score.score, 2), "interval_95": [round(found.low, 2), round(found.high, 2)],
            "signature": str(bleu.get_signature()), "chrf": round(METRICS["chrf"].value(outputs), 2), "rows": len(outputs.target), "steps": state.step,
            "train_s": round(timed[-1], 1) if timed else None, "wall_s": round(wall, 1), "search_s": round(searched, 1), "load_before": round(load, 2),
            "parameters": sum(p.numel() for p in state.model.parameters()),
            "settled": settled.model_dump(mode="json", include={"task", "train"})} | service, outputs


def baseline(data: Data, task: Translation, part: str) -> dict[str, Any]:
    """The translation memory on the same sentences."""
    sources = open_source(data)
    task, codec = task.prepare(sources["train"])
    known, asked = (Part(sources[name], codec.encode(sources[name].take(np.arange(len(sources[name]))))) for name in ("train", part))
    answered = task.baseline(codec, known, asked, 0)
    outputs = Outputs(task.outputs(codec, asked.columns, {"tokens": np.zeros((len(asked.source), 1), np.int64), "log_probability": np.zeros(len(asked.source))},
                                   asked.source).target, answered.outputs)
    return {"name": answered.name, "bleu": round(METRICS["bleu"].value(outputs), 2), "seconds": round(answered.seconds, 1)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--budget", type=float, default=180.0)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2], help="which seeds")
    parser.add_argument("--text", choices=("tok", "raw"), default="tok")
    parser.add_argument("--part", choices=("test", "validation"), default="test", help="validation: to choose a recipe; test: to report one")
    parser.add_argument("--task", type=json.loads, default={}, help="settings of the task as JSON")
    parser.add_argument("--train", type=json.loads, default={}, help="settings of the train section as JSON; steps in place of the budget")
    arguments = parser.parse_args()
    root = Path(os.environ.get("THUJA_DATA", Path(__file__).parents[2] / "shared" / "data"))
    data = Data(path=str(root / "multi30k" / arguments.text))
    task = Translation(**{"source": "en", "target": "de", **arguments.task})
    how = arguments.train if "steps" in arguments.train else {"budget": arguments.budget, **arguments.train}
    runs, before = [], os.getloadavg()[0]
    for seed in arguments.seeds:
        result, outputs = experiment(data, task, Train(**{**how, "seed": seed}), arguments.part, seed == arguments.seeds[0])
        runs.append(result)
        print(json.dumps({key: value for key, value in result.items() if key != "settled"}), outputs.arrays["text"][:2].tolist(), flush=True)
    values = [run["bleu"] for run in runs]
    long = f"{how['steps']} steps" if "steps" in how else f"{arguments.budget:g} s"
    result = {"says": f"multi30k en-de ({arguments.text}), BLEU of the {arguments.part} sentences after {long} of training",
              "goal": None if "steps" in how else GOALS.get(int(arguments.budget)), "published_converged": CONVERGED, "mean": round(statistics.mean(values), 2),
              "sd_of_seeds": round(statistics.pstdev(values), 3), "interval_95_of_rows": runs[0]["interval_95"], "runs": runs,
              "baseline": baseline(data, task, arguments.part), "torch_threads": torch.get_num_threads()}
    name = f"translation_multi30k_{arguments.text}_{long.replace(' ', '')}" + ("" if arguments.part == "test" else "_validation")
    print(f"BLEU {result['mean']} after {long}, baseline {result['baseline']['bleu']}; {record.save(name, result, before)}")


if __name__ == "__main__":
    main()
