"""The README's tables of figures: what was aimed at, and what the newest files in benchmarks/results say was reached, alone and beside the peers. What has no
file yet is named as such."""

import json
import math
import statistics
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks import record

Result = dict[str, Any]


class Reached(NamedTuple):
    """A figure as measured."""

    value: float
    low: float | None = None
    high: float | None = None
    seeds: int = 0
    """0 where seeds mean nothing."""
    baseline: float | None = None
    seconds: float | None = None
    """Longest training among the seeds."""
    load: float | None = None
    """Highest load average (one minute) around it; two cores."""


class Goal(NamedTuple):
    """A figure to reach."""

    what: str
    file: str
    """In benchmarks/results, up to the hardware and the date."""
    goal: float
    unit: str
    read: Callable[[Result], Reached]
    smaller: bool = False
    digits: int = 1

    def met(self, value: float) -> bool:
        """Whether the goal is reached."""
        return value <= self.goal if self.smaller else value >= self.goal

    def shown(self, value: float) -> str:
        """A value of this figure."""
        return f"{value:,.{self.digits}f}"


def load(result: Result) -> float | None:
    """The higher of the load averages before and after."""
    around = result["surroundings"]
    return max((around[key] for key in ("load_before", "load_after") if around[key] is not None), default=None)


def picture(result: Result) -> Reached:
    """benchmarks/quality_images.py."""
    low, high = result["interval_of_rows"]
    baseline = result["baseline"] or {}
    runs = result["runs"]
    return Reached(result["mean"], low, high, len(runs), baseline.get("accuracy"), max(run["train_s"] for run in runs), load(result))


def text(result: Result) -> Reached:
    """benchmarks/quality_text.py."""
    low, high = result["interval_95"]
    seeds = len({run["seed"] for run in result["runs"]})
    return Reached(result["accuracy"], low, high, seeds, result["baseline_accuracy"], result["longest_train_s"], load(result))


def table(metric: str) -> Callable[[Result], Reached]:
    """benchmarks/quality_tables.py: one of its metrics; the interval is the mean of the seeds' intervals."""

    def read(result: Result) -> Reached:
        runs = result["runs"]
        low, high = (statistics.fmean(run["metrics"][metric][end] for run in runs) for end in ("low", "high"))
        baselines = [run["baseline"]["metrics"][metric] for run in runs if run.get("baseline")]
        baseline = statistics.fmean(baselines) if baselines else None
        return Reached(result["mean"][metric], low, high, len(runs), baseline, max(run["train_s"] for run in runs), load(result))

    return read


def overhead(step: str, unit: str) -> Callable[[Result], Reached]:
    """benchmarks/loop_overhead.py, the step that takes `step`."""

    def read(result: Result) -> Reached:
        found = next(measured for measured in result["results"] if measured["step"] == step)
        return Reached(found[unit], load=load(result))

    return read


def start(name: str) -> Callable[[Result], Reached]:
    """benchmarks/start_up.py: the median in milliseconds, the interpreter's own start taken off where a whole process was timed."""

    def read(result: Result) -> Reached:
        empty = result["figures"]["empty process"]["median_s"] if name == "import thuja" else 0.0
        return Reached(1000 * (result["figures"][name]["median_s"] - empty), load=load(result))

    return read


def edge(rows: int) -> Callable[[Result], Reached]:
    """benchmarks/loop_overhead.py: how much longer the first step of an epoch takes."""

    def read(result: Result) -> Reached:
        return Reached(next(found["epoch_edge_ms"] for found in result["edges"] if found["rows"] == rows), load=load(result))

    return read


def first_epoch(data: str) -> Callable[[Result], Reached]:
    """benchmarks/decode.py, by the clock."""
    return within("results", data, "first epoch", "thuja_percent_of_pillow", "by_the_clock")


def exponent(result: Result) -> Reached:
    """benchmarks/growth.py: the worst of all."""
    return Reached(max(value for found in result["results"].values() for value in found["exponents"].values()), load=load(result))


def flat(result: Result) -> Reached:
    """benchmarks/memory.py; endless where the process was not really limited."""
    limited = not result["limit"].startswith("none")
    return Reached(result["beyond_the_base_mb"]["growth_percent"] if limited and result["passed"] else float("inf"), load=load(result))


def share_of_starlette(result: Result) -> Reached:
    """benchmarks/serving.py: requests a second of the 1 ms model at saturation."""
    ours, theirs = (max(found["requests_per_s"] for found in result["convnet"][name]["binary"].values()) for name in ("Thuja", "Starlette, bare"))
    return Reached(ours / theirs, load=load(result))


def server(key: str) -> Callable[[Result], Reached]:
    """benchmarks/serve_start.py: the worst of the applications measured."""
    return lambda result: Reached(max(found[key] for found in result.values() if isinstance(found, dict) and key in found))


def within(*path: str) -> Callable[[Result], Reached]:
    """A number some steps inside a result."""

    def read(result: Result) -> Reached:
        found: Any = result
        for key in path:
            found = found[key]
        return Reached(found, load=load(result))

    return read


GOALS = (
    Goal("mnist, 60 s", "mnist_60s", 99.4, " %", picture, digits=2),
    Goal("cifar10 as JPEG, 60 s", "cifar10_60s", 85, " %", picture),
    Goal("cifar10 as JPEG, 180 s", "cifar10_180s", 90, " %", picture),
    Goal("SST-2, sentences only", "text_sst2", 82.5, " %", text),
    Goal("TREC", "text_trec", 90, " %", text),
    Goal("Subj", "text_subj", 91, " %", text),
    Goal("MR", "text_mr", 77, " %", text),
    Goal("sms_spam", "text_sms", 98.5, " %", text),
    Goal("adult, accuracy", "tables_adult", 0.859, "", table("accuracy"), digits=4),
    Goal("california_housing, RMSE", "tables_california", 45_000, "", table("rmse"), smaller=True, digits=0),
    Goal("fraud_sim, ROC AUC", "tables_fraud", 0.872, "", table("roc_auc"), digits=3),
    Goal("fraud_sim, average precision", "tables_fraud", 0.66, "", table("average_precision"), digits=3),
    Goal("loop overhead, 1 ms step", "loop_overhead", 1, " %", overhead("1 ms", "added_percent"), smaller=True, digits=2),
    Goal("loop overhead, 1 ms step", "loop_overhead", 10, " µs", overhead("1 ms", "added_us"), smaller=True, digits=1),
    Goal("loop overhead, 0.2 ms step", "loop_overhead", 10, " µs", overhead("0.2 ms", "added_us"), smaller=True, digits=1),
    Goal("`import thuja`", "start_up", 60, " ms", start("import thuja"), smaller=True, digits=0),
    Goal("`thuja --help`, whole process", "start_up", 200, " ms", start("thuja --help"), smaller=True, digits=0),
    Goal("first training step, torch loaded", "start_up", 500, " ms", start("first step after torch"), smaller=True, digits=0),
    Goal("server: start to first answer", "serve_start", 1, " s", server("first_answer_s"), smaller=True, digits=2),
    Goal("server: resident memory", "serve_start", 120, " MB", server("resident_mb"), smaller=True, digits=0),
    Goal("server, tiny model, JSON: requests, times LitServe", "serving", 4, "", within("ratios", "JSON, tiny: times the better LitServe")),
    Goal("server, 1 ms model, JSON: requests, times LitServe", "serving", 4, "", within("ratios", "JSON, 1 ms: times the better LitServe")),
    Goal("server, 1 ms model, binary: share of bare Starlette", "serving", 0.7, "", share_of_starlette, digits=2),
    Goal("server, tiny model, binary: share of bare Starlette", "serving", 0.7, "", within("ratios", "binary, tiny: share of bare Starlette"), digits=2),
    Goal("server, 1 ms model: share of the raw batched forward", "serving", 0.9, "", within("ratios", "binary, 1 ms: share of the raw batched forward"),
         digits=2),
    Goal("an epoch of 1,000,000 rows begins", "loop_overhead", 2, " ms", edge(1_000_000), smaller=True, digits=2),
    Goal("convnet's training step, times a bare loop's rate", "step_rate", 0.98, "", within("convnet", "thuja's rate over bare's"), digits=2),
    Goal("the same, times a tutorial's loop", "step_rate", 2, "", within("convnet", "thuja's rate over naive's"), digits=2),
    Goal("transformer's training step, times a bare loop's rate", "step_rate", 0.98, "", within("transformer", "thuja's rate over bare's"), digits=2),
    Goal("checkpoint of 100 MB, blocking", "checkpoint", 10, " ms", within("times", "Saver.save", "median_ms"), smaller=True),
    Goal("JPEGs of 32x32, first epoch, of a bare Pillow loop", "decode", 90, " %", first_epoch("cifar10, 32 x 32 JPEG"), digits=0),
    Goal("JPEGs of 640x480, first epoch, of a bare Pillow loop", "decode", 90, " %", first_epoch("bccd, 640 x 480 JPEG"), digits=0),
    Goal("cost as rows, columns, classes grow: largest exponent", "growth", 1.1, "", exponent, smaller=True, digits=2),
    Goal("growth of memory in an epoch on ten times the memory allowed", "memory", 5, " %", flat, smaller=True, digits=1),
    Goal("augmented 32x32 pictures a second, one core", "loader", 400_000, "", within("rates", "thuja", "a_core"), digits=0),
    Goal("the same, times the tutorial's DataLoader", "loader", 5, "", within("against_the_best_of_0_1_2_workers", "times_tutorial_a_core")),
)
SEEDS = 3


THIRD = 1 / 3
PEERS = (("mnist", "mnist to 99.0 %"), ("cifar10", "cifar10 as JPEG to 85 %"), ("sst2", "SST-2 to 80 %"), ("adult", "adult to 0.855, a network"))
LIBRARIES = {"torch": "bare PyTorch", "lightning": "Lightning", "keras": "Keras", "skorch": "skorch", "fastai": "fastai"}


def line(goal: Goal, path: Path) -> str:
    """One row of the table of goals."""
    found = goal.read(json.loads(path.read_text("utf-8")))
    reached = "only measured, without the limit" if math.isinf(found.value) else goal.shown(found.value) + goal.unit
    if found.low is not None and found.high is not None:
        reached += f" ({goal.shown(found.low)} to {goal.shown(found.high)})"
    if found.seeds and found.seeds != SEEDS:
        reached += f", {found.seeds} seed{'s' if found.seeds > 1 else ''} only"
    if not goal.met(found.value):
        reached += ", **not reached**"
    baseline = "" if found.baseline is None else goal.shown(found.baseline) + goal.unit
    seconds = "" if found.seconds is None else f"{found.seconds:.0f}"
    around = "" if found.load is None else f"{found.load:.1f}"
    aim = f"{'≤' if goal.smaller else '≥'} {goal.goal:,g}{goal.unit}"
    return f"| {goal.what} | {aim} | {reached} | {baseline} | {seconds} | {around} | [{goal.file}](benchmarks/results/{path.name}) |"


def figures(folder: Path) -> str:
    """The table of goals as Markdown, from the newest result files in `folder`."""
    lines = ["| what | goal | reached (95 % interval) | classical model, same rows | training, s | load | result |", "|---|---|---|---|---|---|---|"]
    absent = []
    for goal in GOALS:
        path = record.latest(goal.file, folder)
        if path is not None:
            lines.append(line(goal, path))
        else:
            absent.append(goal.what)
    lines += ["", f"Reached is the mean over seeds, {SEEDS} unless it says otherwise; the interval is that of the test rows; training is the slowest seed; "
              "load is the highest load average around it, with two cores."]
    return "\n".join(lines + ([f"Not measured yet: {'; '.join(absent)}."] if absent else []))


def beside(what: str, path: Path) -> list[str]:
    """The rows of one workload: Thuja against the best documented recipe, which the goal is about, and against the best one tuned by us."""
    result = json.loads(path.read_text("utf-8"))
    lines = []
    for name, found in result["ratios"].items():
        library, _, recipe = name.partition(":")
        missed = found["seeds_short_of_the_goal"]
        needed = f"> {found['peer_s']:.0f} s ({missed} of {result['seeds']} seeds never got there)" if missed else f"{found['peer_s']:.1f} s"
        peer = f"{LIBRARIES[library]}, {'as documented' if recipe == 'documented' else 'tuned by us'}: {needed}"
        ours = f"{result['thuja_s']:.1f} s ({result['thuja_training_s']:.1f} s of it training)" + ("" if result["reached"] else ", **short of it**")
        goal = "≤ 1/3" if recipe == "documented" else ""
        fell = goal and (found["ratio"] > THIRD or not result["reached"])
        ratio = f"{'< ' if missed else ''}{found['ratio']:.2f}{', **not reached**' if fell else ''}"
        lines.append(f"| {what} | {goal} | {ours} | {peer} | {ratio} | [{path.name.partition('.')[0]}](benchmarks/results/{path.name}) |")
    return lines


def peers(folder: Path) -> str:
    """The table of times to a quality as Markdown."""
    lines = ["| workload | goal | Thuja | best peer | ratio | result |", "|---|---|---|---|---|---|"]
    absent: list[str] = []
    for name, what in PEERS:
        path = record.latest(f"time_to_quality_{name}", folder)
        if path is not None:
            lines += beside(what, path)
        else:
            absent.append(what)
    lines += ["", "Whole processes from the start of the interpreter, float32, not compiled, in turn in one run, mean over seeds. Thuja begins with raw files "
              "and an empty cache and checks them; the peers read decoded arrays, and stop at their first lucky epoch. A peer that is not there at the cap "
              "counts as the cap."]
    return "\n".join(lines + ([f"Not measured yet: {'; '.join(absent)}."] if absent else []))
