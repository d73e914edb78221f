"""How well a language model predicts text, and how often a dialogue model says what was said, from random weights and within a stated budget.

    python benchmarks/quality_language.py --data shakespeare --budget 20 --seeds 3
    python benchmarks/quality_language.py --data shakespeare --budget 180 --seeds 3
    python benchmarks/quality_language.py --data babi5 --budget 600 --seeds 1

Everything goes through the real verbs: `train` with a budget that begins before step one, `evaluate` beside its baseline. Shakespeare is trained on the
first 90 % of the characters and judged on the whole last tenth, cut into blocks of the context, each token guessed once from what is before it in its block
(as nanoGPT's `estimate_loss` does on random blocks). The dialogues of bAbI task 5 keep all facts of the knowledge base, as messages of a tool; a response is
right when every token of it, and its end, is the likeliest one after the true history: what a greedy answer would say, to the letter.
"""

import argparse
import gzip
import json
import os
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import record
from served import served

from thuja.run import Run
from thuja.spec import parse
from thuja.verbs.evaluate import evaluate
from thuja.verbs.train import train

Rows = dict[str, list[Any]]
RECIPES: dict[str, dict[str, Any]] = {
    "shakespeare20": {"task": {"context": 64, "model": {"kind": "gpt", "dim": 128, "depth": 3, "heads": 4, "hidden": 512, "buckets": 4096, "ngrams": 4}},
                      "train": {"batch": 16}},
    "shakespeare180": {"task": {"context": 128, "model": {"kind": "gpt", "dim": 128, "depth": 4, "heads": 4, "hidden": 512, "buckets": 8192, "ngrams": 4}},
                       "train": {"batch": 16}},
    "babi5": {"task": {"context": 1536, "model": {"kind": "gpt", "dim": 96, "depth": 3, "heads": 4, "hidden": 256, "buckets": 4096, "ngrams": 3}},
              "train": {"batch": 4}},
}
GOALS = {"shakespeare20": ("nll_token", 1.88), "shakespeare180": ("nll_token", 1.60), "babi5": ("response_accuracy", 0.985)}


def shakespeare(root: Path) -> dict[str, Rows]:
    """The first 90 % and the last tenth, in short passages as `data/passages.py` gives them: the task cuts them anew."""
    text = (root / "tinyshakespeare" / "input.txt").read_text("utf-8")
    cut = int(0.9 * len(text))
    return {part: {"text": [half[i : i + 256] for i in range(0, len(half), 256)]} for part, half in (("train", text[:cut]), ("test", text[cut:]))}


def babi(root: Path, task: int) -> dict[str, Rows]:
    """Dialogues as messages: what the user says, what the bot answers, and facts of the knowledge base as a message of a tool."""
    return {part: {"messages": dialogues(root / "dialog_babi" / f"dialog-babi-task{task}{suffix}.txt.gz")}
            for part, suffix in (("train", "trn"), ("validation", "dev"), ("test", "tst"))}


def dialogues(path: Path) -> list[list[dict[str, str]]]:
    """`n user<TAB>bot` lines, `n fact` lines, an empty line after each dialogue."""
    found: list[list[dict[str, str]]] = []
    for block in gzip.decompress(path.read_bytes()).decode().strip().split("\n\n"):
        messages: list[dict[str, str]] = []
        for line in block.split("\n"):
            said = line.partition(" ")[2]
            if "\t" in said:
                user, bot = said.split("\t")
                messages += [{"role": "user", "content": user}, {"role": "assistant", "content": bot}]
            elif messages[-1]["role"] == "tool":
                messages[-1]["content"] += "\n" + said
            else:
                messages.append({"role": "tool", "content": said})
        found.append(messages)
    return found


def experiment(name: str, data: dict[str, Rows], budget: float, seed: int, changes: dict[str, Any], first: bool) -> dict[str, Any]:
    """One run through the verbs, in a folder of its own."""
    recipe = RECIPES[name]
    kind = {"rows": "messages", "text": "messages", "vocabulary": "byte-pairs", "vocabulary_size": 1024, "temperature": 0.0, "too_long": "cut"}
    if name != "babi5":
        kind = {"rows": "passages", "vocabulary": "characters", "vocabulary_size": 128}
    train_section = {**recipe["train"], **changes.get("train", {}), "budget": budget, "seed": seed}
    if "validation" not in data:  # the split takes one from the training rows otherwise
        train_section["evaluate_every"] = 10**9
    spec = parse({"task": {"kind": "language-model", **kind, **recipe["task"], **changes.get("task", {})}, "train": train_section,
                  "data": {"split": {"kind": "given", "validation": 0.0}}, "check": {"enabled": False}})
    with tempfile.TemporaryDirectory() as folder:
        os.environ["THUJA_CACHE"] = f"{folder}/cache"
        began = time.perf_counter()
        run = train(spec, data=data, root=Path(folder) / "runs")
        seconds = time.perf_counter() - began
        scores = evaluate(run, data=data)
        figures = {metric: [figure.value, figure.low, figure.high] for metric, figure in scores.metrics.items()}
        result = {"seed": seed, "figures": figures, "wall_s": round(seconds, 1), "steps": run.spec_data()["train"]["steps"],
                  "parameters": parameters(run), "spec": run.spec_data()}
        if first:
            result |= served(run, data)
        if scores.baseline is not None:
            result |= {"baseline": scores.baseline.name, "baseline_s": round(scores.baseline.seconds, 2),
                       "baseline_figures": {metric: figure.value for metric, figure in scores.baseline.metrics.items()}}
    return result


def parameters(run: Run) -> int:
    """Of the network."""
    return sum(p.numel() for p in parse(run.spec_data()).task.build(run.codec()).parameters())


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--data", choices=("shakespeare", "babi5"), required=True)
    arguments.add_argument("--budget", type=float, required=True, help="seconds of training")
    arguments.add_argument("--seeds", type=int, default=3)
    arguments.add_argument("--first", type=int, default=0, help="the first seed")
    arguments.add_argument("--threads", type=int, help="cores of one run; left out: what `train` measures")
    arguments.add_argument("--changes", type=json.loads, default={}, help='{"task": {...}, "train": {...}} over the recipe; writes nothing')
    arguments.add_argument("--root", type=Path, default=Path(os.environ.get("THUJA_DATA", Path(__file__).parents[2] / "shared" / "data")))
    chosen = arguments.parse_args()
    name = chosen.data if chosen.data == "babi5" else f"shakespeare{20 if chosen.budget < 100 else 180}"
    data = babi(chosen.root, 5) if chosen.data == "babi5" else shakespeare(chosen.root)
    load, runs = os.getloadavg()[0], []
    for seed in range(chosen.first, chosen.first + chosen.seeds):
        threads = {"train": {"threads": chosen.threads}} if chosen.threads else {}
        runs.append(experiment(name, data, chosen.budget, seed, chosen.changes or threads, seed == chosen.first))
        spec = runs[-1].pop("spec")
        print(json.dumps(runs[-1]), flush=True)
    metric, goal = GOALS[name]
    values = [run["figures"][metric][0] for run in runs]
    summary = {"data": chosen.data, "budget_s": chosen.budget, "metric": metric, "goal": goal, "mean": round(statistics.fmean(values), 4),
               "seed_std": round(statistics.stdev(values), 4) if len(values) > 1 else None}
    print(json.dumps(summary))
    if not chosen.changes:
        what = f"language_{chosen.data}_{chosen.budget:g}s"
        print(record.save(what, {**summary, "runs": runs, "settled": {k: spec[k] for k in ("task", "train")}}, load))


if __name__ == "__main__":
    main()
