"""Everything that a report or a model card may say about a run: plain values, gathered once by `evaluate`."""

from collections.abc import Mapping, Sequence
from pathlib import PurePath
from typing import Any, NamedTuple

import numpy as np

from thuja.fields import Schema
from thuja.metrics import METRICS, Metric, Outputs
from thuja.report.answers import kind_of
from thuja.report.outputs import Answered
from thuja.report.scores import Scores, duration, inline, said, span

WORST = 12
"""Examples in the gallery."""


class Material(NamedTuple):
    """What is known. No name of an application in it decides anything: the kinds of fields and outputs do."""

    run: str
    """The run's name: its number."""
    spec: dict[str, Any]
    """Settled, as plain data."""
    schema: Schema
    answered: Answered
    scores: Scores
    worst: np.ndarray
    """Places of the gallery's rows among the answered ones, worst first."""
    worst_rows: Mapping[str, Sequence[Any]]
    """The raw input values of those rows."""
    records: list[dict[str, Any]]
    """The run's log."""
    data: dict[str, Any]
    """data.json: fingerprints, rows, bad, findings, waived; see `parts` and `findings`."""
    reasons: dict[str, Any]
    """reasons.json: {dotted name: [value, reason]}."""
    environment: dict[str, str]
    """Versions and the machine."""
    ageing: dict[str, Any] | None = None
    """ageing.json: how models like this one fared when they grew old; None where nobody has looked."""
    cautions: tuple[str, ...] = ()
    """What this kind of model must not be used for, and what is known to go wrong (`Codec.cautions`)."""

    @property
    def outputs(self) -> Outputs:
        """The network's."""
        return self.answered.ours

    @property
    def goal(self) -> Metric:
        """The metric that decides, or the first one where that is the loss."""
        return METRICS.get(self.scores.goal) or METRICS[next(iter(self.scores.metrics))]

    @property
    def classifies(self) -> bool:
        """Whether the answers are probabilities of classes."""
        return "probability" in self.outputs.arrays


def worst(outputs: Outputs, most: int = WORST) -> np.ndarray:
    """Places of the worst answers, worst first; right ones are left out."""
    wrong = kind_of(outputs).wrong(outputs)
    order = np.argsort(-wrong, kind="stable")[:most]
    return order[wrong[order] > 0]


class PartFacts(NamedTuple):
    """One part of the data, as the run saw it."""

    name: str
    rows: int
    bad: list[tuple[str, str]]
    """Unreadable rows: id and reason."""
    fingerprint: str


class Found(NamedTuple):
    """A finding of the checks."""

    check: str
    severity: str
    message: str
    waived: str
    """Why it was accepted; empty when it was not."""


def parts(data: dict[str, Any]) -> list[PartFacts]:
    """The parts that data.json tells of."""
    bad, fingerprints = data.get("bad", {}), data.get("fingerprints", {})
    return [
        PartFacts(name, rows, [(str(row), str(reason)) for row, reason in bad.get(name, [])], fingerprints.get(name, ""))
        for name, rows in data.get("rows", {}).items()
    ]


def findings(data: dict[str, Any]) -> list[Found]:
    """The findings that data.json tells of, with their waivers."""
    waived = data.get("waived", {})
    return [Found(f["check"], f["severity"], f["message"], waived.get(f["check"], "")) for f in data.get("findings", [])]


def training_seconds(records: list[dict[str, Any]]) -> float | None:
    """How long training took, all sittings together; None where the log does not say."""
    seconds = [r["seconds"] for r in records if "seconds" in r]
    return float(max(seconds)) if seconds else None


def summary(material: Material) -> list[str]:
    """A few plain sentences: what was trained on what, how good it is and how sure that is, what stands beside it."""
    scores, goal = material.scores, material.goal
    seconds = training_seconds(material.records)
    rows = next((f"{part.rows:,} rows" for part in parts(material.data) if part.name == "train"), "the training rows")
    took = "" if seconds is None else f" in {duration(seconds)}"
    together = "" if scores.groups is None else f" ({scores.groups:,} groups)"
    sentences = [
        f"The network learned {material.answered.target!r} from {rows} of {source_name(material.spec)}{took}.",
        f"On {scores.count:,} {scores.part} rows{together} it had not seen, its {inline(goal)} is {between(goal, scores, 'ours')}.",
    ]
    if scores.baseline is not None:
        sentences.append(f"The classical baseline, {scores.baseline.name}, reaches {between(goal, scores, 'baseline')} on the same rows.")
    return sentences


def source_name(spec: dict[str, Any]) -> str:
    """What the data are called: the last part of their path, since the rest says more about a machine than about them."""
    return PurePath(spec.get("data", {}).get("path") or "a table in memory").name


def between(metric: Metric, scores: Scores, whose: str) -> str:
    """A value and its interval in words."""
    figures = scores.metrics if whose == "ours" or scores.baseline is None else scores.baseline.metrics
    figure = figures[metric.name]
    if figure.low is None or figure.high is None:
        return f"{said(metric, figure.value)}" + (f" ({figure.note})" if figure.note else "")
    return f"{said(metric, figure.value)} ({scores.level * 100:g} % interval {span(metric, figure.low, figure.high)})"
