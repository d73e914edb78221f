"""The README's table of figures: what was aimed at, and what the files in benchmarks/results say was reached. A file that is not there is named as such."""

import json
import statistics
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

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
    """In benchmarks/results, without .json."""
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


def picture(result: Result) -> Reached:
    """benchmarks/quality_images.py."""
    runs = result["runs"]
    low, high = result["interval_of_rows"]
    load = max([run["load_before"] for run in runs] + [result["machine"]["load_after"]])
    baseline = result["baseline"] or {}
    return Reached(result["mean"], low, high, len(runs), baseline.get("accuracy"), max(run["train_s"] for run in runs), load)


def text(result: Result) -> Reached:
    """benchmarks/quality_text.py."""
    low, high = result["interval_95"]
    load = max(result["machine"]["load_before"][0], result["machine"]["load_after"][0])
    seeds = len({run["seed"] for run in result["runs"]})
    return Reached(result["accuracy"], low, high, seeds, result["baseline_accuracy"], result["longest_train_s"], load)


def table(metric: str) -> Callable[[Result], Reached]:
    """benchmarks/quality_tables.py: one of its metrics; the interval is the mean of the seeds' intervals."""

    def read(result: Result) -> Reached:
        runs = result["runs"]
        low, high = (statistics.fmean(run["metrics"][metric][end] for run in runs) for end in ("low", "high"))
        baselines = [run["baseline"]["metrics"][metric] for run in runs if run.get("baseline")]
        load = max(average[0] for average in result["load_average"])
        baseline = statistics.fmean(baselines) if baselines else None
        return Reached(result["mean"][metric], low, high, len(runs), baseline, max(run["train_s"] for run in runs), load)

    return read


def overhead(step: str, unit: str) -> Callable[[Result], Reached]:
    """benchmarks/loop_overhead.py, the step that takes `step`."""

    def read(result: Result) -> Reached:
        found = next(measured for measured in result["results"] if measured["step"] == step)
        return Reached(found[unit], load=max(result["load_before"][0], result["load_after"][0]))

    return read


def start(name: str) -> Callable[[Result], Reached]:
    """benchmarks/start_up.py: the median in milliseconds, the interpreter's own start taken off where a whole process was timed."""

    def read(result: Result) -> Reached:
        empty = result["figures"]["empty process"]["median_s"] if name == "import thuja" else 0.0
        return Reached(1000 * (result["figures"][name]["median_s"] - empty), load=result["load"])

    return read


def server(key: str) -> Callable[[Result], Reached]:
    """benchmarks/serve_start.py: the worst of the applications measured."""
    return lambda result: Reached(max(application[key] for application in result.values()))


def kills(result: Result) -> Reached:
    """benchmarks/kill.py: kills of runs that ended with the same bits."""
    found = result["result"]
    equal = found["runs"] == found["runs_equal_to_the_unbroken"]
    return Reached(found["kills"] if equal else 0)


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
    Goal("kill -9 at random moments, resumed to the same bits", "kill", 60, "", kills, digits=0),
)
SEEDS = 3


def line(goal: Goal, result: Result) -> str:
    """One row of the table."""
    found = goal.read(result)
    reached = goal.shown(found.value) + goal.unit
    if found.low is not None and found.high is not None:
        reached += f" ({goal.shown(found.low)} to {goal.shown(found.high)})"
    if found.seeds and found.seeds != SEEDS:
        reached += f", {found.seeds} seed{'s' if found.seeds > 1 else ''} only"
    if not goal.met(found.value):
        reached += ", **not reached**"
    baseline = "" if found.baseline is None else goal.shown(found.baseline) + goal.unit
    seconds = "" if found.seconds is None else f"{found.seconds:.0f}"
    load = "" if found.load is None else f"{found.load:.1f}"
    aim = f"{'≤' if goal.smaller else '≥'} {goal.goal:,g}{goal.unit}"
    return f"| {goal.what} | {aim} | {reached} | {baseline} | {seconds} | {load} | [{goal.file}.json](benchmarks/results/{goal.file}.json) |"


def figures(folder: Path) -> str:
    """The table as Markdown, from the result files in `folder`."""
    lines = ["| what | goal | reached (95 % interval) | classical model, same rows | training, s | load | result |", "|---|---|---|---|---|---|---|"]
    absent = []
    for goal in GOALS:
        path = folder / f"{goal.file}.json"
        if path.is_file():
            lines.append(line(goal, json.loads(path.read_text("utf-8"))))
        else:
            absent.append(goal.what)
    lines += ["", f"Reached is the mean over seeds, {SEEDS} unless it says otherwise; the interval is that of the test rows; training is the slowest seed; "
              "load is the highest load average around it, with two cores."]
    return "\n".join(lines + ([f"Not measured yet: {'; '.join(absent)}."] if absent else []))
