"""Scores: every metric with its interval, the baseline beside it, the paired difference, slices, and what to do about it. A pure function of the outputs."""

import itertools
from collections.abc import Iterator, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
from pydantic import BaseModel, ConfigDict

from thuja.metrics import METRICS, Estimate, Metric, Sampling, intervals, paired
from thuja.report.outputs import Answered
from thuja.settings import Evaluate

SLICES = 12
"""Largest number of values shown for a slice column: the commonest ones; a column of numbers is cut into quarters instead."""


class _Plain(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Figure(_Plain):
    """An estimate as plain data: None is unknown, and `note` says why."""

    value: float | None
    low: float | None
    high: float | None
    method: str = ""
    note: str = ""


class Rival(_Plain):
    """The baseline."""

    name: str
    seconds: float
    metrics: dict[str, Figure]


class Slice(_Plain):
    """The rows where `column` is `value`."""

    column: str
    value: str
    rows: int
    metrics: dict[str, Figure]


class Recommendation(_Plain):
    """What to do, in one word for programs and in plain words for people."""

    verdict: Literal["network", "baseline", "no difference", "unknown"]
    text: str

    def __str__(self) -> str:
        return self.text


class Line(NamedTuple):
    """One metric in words, for a table."""

    label: str
    network: str
    interval: str
    baseline: str
    difference: str


class Scores(_Plain):
    """All that is known about one part."""

    part: str
    count: int
    """Rows."""
    groups: int | None
    """How many groups the rows fall into, where rows belong together."""
    level: float
    goal: str
    """The metric that decides."""
    weights: str
    """The hash of the weights that answered."""
    metrics: dict[str, Figure]
    baseline: Rival | None
    difference: dict[str, Figure]
    """Network minus baseline, row by row on the same draws."""
    slices: list[Slice]
    recommendation: Recommendation

    @property
    def baseline_name(self) -> str:
        """What stands beside the network; empty when nothing does."""
        return self.baseline.name if self.baseline else ""

    def rows(self) -> list[Line]:
        """Every metric in words: the network's value and interval, the baseline's value, the paired difference with its interval."""
        found = []
        for name, figure in self.metrics.items():
            metric, gap = METRICS[name], self.difference.get(name)
            theirs = said(metric, self.baseline.metrics[name].value) if self.baseline else ""
            difference = f"{said(metric, gap.value, gap=True)} ({known(metric, gap, gap=True)})" if gap else ""
            found.append(Line(metric.label, said(metric, figure.value), known(metric, figure), theirs, difference))
        return found

    def plain(self) -> dict[str, Any]:
        """The content of scores.json: the part's own name is the key of its metrics."""
        data: dict[str, Any] = self.model_dump(mode="json")
        rival = data["baseline"]
        about = {} if rival is None else {"baseline_name": rival["name"], "baseline_seconds": rival["seconds"]}
        return data | {self.part: data.pop("metrics"), "baseline": rival and rival["metrics"]} | about


class Asked(NamedTuple):
    """What to score by."""

    metrics: Sequence[str]
    goal: str
    settings: Evaluate
    seconds: float | None = None
    """How long the network trained, for the recommendation."""
    seed: int = 0


def score(answered: Answered, asked: Asked) -> Scores:
    """Everything about one part, from its outputs file alone: equal files give equal scores."""
    ours, theirs = answered.ours, answered.baseline
    names = list(dict.fromkeys([*asked.metrics, *([asked.goal] if asked.goal in METRICS else [])]))
    metrics = [METRICS[name] for name in names]
    sampling = Sampling(asked.settings.level, asked.settings.resamples, asked.seed)
    rival, difference = None, {}
    if theirs is not None:
        rival = Rival(name=answered.facts["baseline"], seconds=answered.facts["baseline_s"], metrics=_figures(intervals(metrics, theirs, sampling)))
        difference = _figures(paired(metrics, ours, theirs, sampling))
    slices = [
        Slice(column=column, value=value, rows=int(mask.sum()), metrics=_figures(intervals(metrics, ours.take(mask), sampling)))
        for column, values in answered.slices.items() for value, mask in sliced(values)
    ]
    return Scores(
        part=answered.facts["part"], count=len(ours.target), groups=None if ours.group is None else len(np.unique(ours.group)), level=asked.settings.level,
        goal=asked.goal, weights=answered.facts["weights"], metrics=_figures(intervals(metrics, ours, sampling)), baseline=rival, difference=difference,
        slices=slices, recommendation=recommend(METRICS.get(asked.goal), rival, difference, asked.seconds, asked.settings.level),
    )


def sliced(values: Sequence[Any]) -> Iterator[tuple[str, np.ndarray]]:
    """A name and a mask [rows] for each slice: quarters of a column of many numbers, else the commonest values, missing ones last."""
    missing = np.array([v is None or v != v for v in values])
    known = [v for v, gone in zip(values, missing, strict=True) if not gone]
    if known and all(isinstance(v, (int, float)) and not isinstance(v, bool) for v in known) and len(set(known)) > SLICES:
        numbers = np.array([np.nan if gone else float(v) for v, gone in zip(values, missing, strict=True)])
        edges = np.unique(np.quantile(numbers[~missing], [0, 0.25, 0.5, 0.75, 1]))
        for i, (low, high) in enumerate(itertools.pairwise(edges)):
            last = i == len(edges) - 2
            yield f"{low:.4g} {'to' if last else 'to under'} {high:.4g}", (numbers >= low) & ((numbers <= high) if last else (numbers < high))
    else:
        words = np.array([("" if gone else str(v)) for v, gone in zip(values, missing, strict=True)])
        found, counts = np.unique(words[~missing], return_counts=True)
        for value in found[np.lexsort((found, -counts))][:SLICES]:
            yield str(value), (words == value) & ~missing
    if missing.any():
        yield "(missing)", missing


def recommend(goal: Metric | None, rival: Rival | None, difference: dict[str, Figure], seconds: float | None, level: float) -> Recommendation:
    """Network or baseline, from the paired interval of the metric that decides; `seconds` is how long the network trained, where that is known."""
    if goal is None or rival is None:
        return Recommendation(verdict="unknown", text="No classical baseline stands beside it, so nothing shows that a network is needed here.")
    gap, name = difference[goal.name], rival.name
    took = f"{name[:1].upper()}{name[1:]} trains in {duration(rival.seconds)}" + ("" if seconds is None else f", the network in {duration(seconds)}")
    if gap.value is None or gap.low is None or gap.high is None:
        return Recommendation(verdict="unknown", text=f"Whether the network or {name} is better cannot be told from these rows ({gap.note}). {took}.")
    sign = 1 if goal.direction == "max" else -1
    low, high = sorted((sign * gap.low, sign * gap.high))
    size = f"{said(goal, abs(gap.value), gap=True)} {'of' if goal.percent else 'in'} {inline(goal)}"
    if low > 0:
        within = f"{level * 100:g} % interval {span(goal, low, high, gap=True)}"
        return Recommendation(verdict="network", text=f"Use the network: on the same rows it is better than {name} by {size} ({within}). {took}.")
    if high < 0:
        within = f"{level * 100:g} % interval {span(goal, -high, -low, gap=True)}"
        text = f"Do not use deep learning here: on the same rows {name} is better by {size} ({within}). {took}."
        return Recommendation(verdict="baseline", text=text)
    within = f"{level * 100:g} % interval of the network's lead in {inline(goal)}: {span(goal, low, high, gap=True)}"
    text = f"No difference between the network and {name} can be shown on these rows ({within}). {took}: take the one that is easier to keep."
    return Recommendation(verdict="no difference", text=text)


def inline(metric: Metric) -> str:
    """The label inside a sentence: `accuracy`, `ROC AUC`."""
    return metric.label if not metric.label[1:2].islower() else metric.label[0].lower() + metric.label[1:]


def said(metric: Metric, value: float | None, *, gap: bool = False) -> str:
    """A value for people: `98.5 %`, `0.913`; a `gap` between two percentages is in points.

    >>> said(METRICS["accuracy"], 0.98523), said(METRICS["accuracy"], -0.0012, gap=True), said(METRICS["rmse"], 12345.6), said(METRICS["rmse"], None)
    ('98.5 %', '−0.1 points', '12,346', 'unknown')
    >>> said(METRICS["accuracy"], 0.9997), said(METRICS["roc_auc"], 0.99971), said(METRICS["roc_auc"], -0.00001, gap=True), said(METRICS["rmse"], 0.0412)
    ('99.97 %', '0.9997', '0.0000', '0.041')
    """
    if value is None or value != value:
        return "unknown"
    if metric.percent:
        decimals = 2 if not gap and 0.9995 <= value < 1 else 1  # 99.97 % is not 100.0 %
        text = f"{round(value * 100, decimals) + 0.0:.{decimals}f}" + (" points" if gap else " %")
    elif abs(value) >= 1:
        text = f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"
    else:
        decimals = 4 if abs(value) < 0.01 or abs(value) >= 0.9995 else 3
        text = f"{round(value, decimals) + 0.0:.{decimals}f}"  # + 0.0 turns -0.0 into 0.0
    return text.replace("-", "−", 1)


def span(metric: Metric, low: float | None, high: float | None, *, gap: bool = False) -> str:
    """An interval for people, its unit said once.

    >>> span(METRICS["accuracy"], 0.976, 0.991), span(METRICS["rmse"], 0.41, 0.47), span(METRICS["rmse"], None, None)
    ('97.6 to 99.1 %', '0.410 to 0.470', 'unknown')
    """
    if low is None or high is None:
        return "unknown"
    first = said(metric, low, gap=gap).removesuffix(" points").removesuffix(" %")
    return f"{first} to {said(metric, high, gap=gap)}"


def known(metric: Metric, figure: Figure, *, gap: bool = False) -> str:
    """The interval of a figure in words, or why there is none."""
    return figure.note or "unknown" if figure.low is None or figure.high is None else span(metric, figure.low, figure.high, gap=gap)


def duration(seconds: float) -> str:
    """Time for people.

    >>> duration(0.04), duration(3.2), duration(75), duration(5400)
    ('under 0.1 s', '3.2 s', '75 s', '1.5 h')
    """
    if seconds < 0.1:
        return "under 0.1 s"
    if seconds < 600:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 3600 else f"{seconds / 3600:.1f} h"


def _figures(estimates: dict[str, Estimate]) -> dict[str, Figure]:
    return {name: Figure(value=_known(e.value), low=_known(e.low), high=_known(e.high), method=e.method, note=e.note) for name, e in estimates.items()}


def _known(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
