"""How well texts are classified from random weights, on the sentences and messages of the public sets, in at most a minute of training.

    python benchmarks/quality_text.py --data sst2 --seeds 3

Everything goes through the real task: `prepare`, the codec, the settled choices, the loop. Hyper-parameters were chosen on validation rows (`--validation`: the
dev file of SST-2, else a tenth of the training rows); the figure is of the test rows, seen once per seed. Sets without a test part: `mr`, `subj` by ten folds
(fold = shuffled place modulo 10, always the same), `sms` by the hash of the message (10 % validation, 20 % test, copies of a message together).
"""

import json
import math
import os
import statistics
import time
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import record
import torch
from experiment import encoded, learn, options

from thuja.apps.text_classification.task import TextClassification
from thuja.codec import count
from thuja.data.objects import from_object
from thuja.data.split import split
from thuja.settings import Data, HashSplit, Train
from thuja.spec import Spec

GOALS = {"sst2": 82.5, "trec": 90.0, "subj": 91.0, "mr": 77.0, "sms": 98.5}
FOLDS = 10
Rows = dict[str, list[str]]


class Parts(NamedTuple):
    """Raw rows of one experiment."""

    train: Rows
    validation: Rows
    test: Rows


def sentences(path: Path) -> Rows:
    """A file of `label text` lines. Latin-1 has a character for every byte; other line ends than \\n belong to the text."""
    lines = [line for line in path.read_bytes().decode("latin-1").split("\n") if line.strip()]
    return {"label": [line[0] for line in lines], "text": [line[2:].strip() for line in lines]}


def chosen(rows: Rows, index: np.ndarray) -> Rows:
    """The rows at `index`."""
    return {name: [values[i] for i in index] for name, values in rows.items()}


def tenth(rows: Rows, fold: int, seed: int = 0) -> tuple[Rows, Rows]:
    """All but a tenth of the rows, and that tenth."""
    place = np.random.default_rng(seed).permutation(len(rows["text"])) % FOLDS
    return chosen(rows, np.flatnonzero(place != fold)), chosen(rows, np.flatnonzero(place == fold))


def parts(root: Path, name: str, fold: int) -> Parts:
    """The rows of a set; `fold` counts where there are folds."""
    folder = root / "sentence_classification"
    if name == "sst2":
        return Parts(*(sentences(folder / f"stsa.binary.{part}") for part in ("train", "dev", "test")))
    if name == "trec":
        rows = sentences(folder / "TREC.train.all")
        return Parts(rows, tenth(rows, 0, seed=1)[1], sentences(folder / "TREC.test.all"))
    if name == "sms":
        lines = [line.split("\t") for line in (root / "sms_spam" / "smsspamcollection.tsv").read_text("utf-8").split("\n")[1:] if line]
        source = from_object({"label": [line[0] for line in lines], "text": [line[1] for line in lines]})
        divided = split({"all": source}, Data(split=HashSplit(validation=0.1, test=0.2)), ("text",))
        return Parts(*({k: list(v) for k, v in divided[p].take(np.arange(len(divided[p]))).items()} for p in ("train", "validation", "test")))
    train, test = tenth(sentences(folder / {"mr": "rt-polarity.all", "subj": "subj.all"}[name]), fold)
    return Parts(train, tenth(train, 0, seed=1)[1], test)


def experiment(task: TextClassification, train_rows: Rows, test_rows: Rows, train: Train, baseline: bool = False) -> dict[str, Any]:
    """Train once and answer the test rows."""
    began = time.perf_counter()
    task, codec = task.prepare(from_object(train_rows))
    known, test = encoded(codec, train_rows), encoded(codec, test_rows)
    prepared = time.perf_counter() - began
    learned = learn(Spec(task=task, train=train), codec, known)
    probability = learned.answers(test.columns)["probability"]
    target = np.asarray(test.columns["label"])
    right = probability.argmax(1) == target
    result = {"seed": train.seed, "accuracy": round(100 * float(right.mean()), 3),
              "log_loss": round(float(-np.log(probability[np.arange(len(target)), target].clip(1e-9)).mean()), 4),
              "rows": len(target), "train_rows": count(known.columns), "steps": learned.steps, "train_s": round(learned.seconds, 1),
              "prepare_s": round(prepared, 2), "parameters": learned.parameters(), "settled": learned.settled()}
    if baseline:
        other = task.baseline(codec, known, test, 0)
        assert other is not None
        result |= learned.served(test)
        result |= {"baseline": other.name, "baseline_accuracy": round(100 * float((other.outputs["probability"].argmax(1) == target).mean()), 3)}
    return result


def without(rows: Rows, left_out: Rows) -> Rows:
    """Rows whose text is not among `left_out`."""
    texts = set(left_out["text"])
    return chosen(rows, np.array([i for i, text in enumerate(rows["text"]) if text not in texts]))


def summary(name: str, runs: list[dict[str, Any]], part: str) -> dict[str, Any]:
    """Mean over runs with a Wilson interval for one pass over the test rows (sampling of rows, not of seeds)."""
    accuracy = [run["accuracy"] for run in runs]
    p, z = statistics.fmean(accuracy) / 100, 1.96
    n = sum(run["rows"] for run in runs) / len({run["seed"] for run in runs})
    half = z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n)) / (1 + z * z / n)
    middle = (p + z * z / (2 * n)) / (1 + z * z / n)
    baselines = [run["baseline_accuracy"] for run in runs if "baseline_accuracy" in run]
    interval = [round(100 * (middle - half), 2), round(100 * (middle + half), 2)]
    return {"data": name, "part": part, "goal": GOALS[name], "accuracy": round(100 * p, 3), "interval_95": interval,
            "seed_std": round(statistics.stdev(accuracy), 3) if len(runs) > 1 else None,
            "baseline_accuracy": round(statistics.fmean(baselines), 3) if baselines else None, "longest_train_s": max(run["train_s"] for run in runs)}


def main() -> None:
    arguments = options(__doc__)
    arguments.add_argument("--data", choices=GOALS, required=True)
    arguments.add_argument("--folds", type=int, default=FOLDS, help="of mr and subj: how many of the ten are run")
    chosen_ = arguments.parse_args()
    task, name = TextClassification(**chosen_.task), chosen_.data
    load, runs = os.getloadavg()[0], []
    for fold in range(chosen_.folds if name in ("mr", "subj") else 1):
        train_rows, validation, test = parts(chosen_.root, name, fold)
        if chosen_.validation:
            train_rows, test = without(train_rows, validation), validation
        for seed in range(chosen_.seeds):
            run = experiment(task, train_rows, test, Train(**{**chosen_.train, "seed": seed}), baseline=seed == 0 and not chosen_.validation)
            settled = run.pop("settled")
            runs.append({"fold": fold, **run})
            print(json.dumps(runs[-1]), flush=True)
    result = summary(name, runs, "validation" if chosen_.validation else "test")
    print(json.dumps(result))
    if not chosen_.validation:
        print(record.save(f"text_{name}", {**result, "runs": runs, "settled": settled, "threads": torch.get_num_threads()}, load))


if __name__ == "__main__":
    main()
