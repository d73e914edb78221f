"""report.html: one self-contained page, readable on a phone, in light and dark, without scripts or requests."""

from pathlib import Path
from typing import Any

import numpy as np

from thuja.chart import Chart
from thuja.metrics import METRICS
from thuja.metrics.classification import confusion, per_class
from thuja.report import ageing
from thuja.report.charts import drawn
from thuja.report.gallery import gallery
from thuja.report.material import Material, findings, parts, summary
from thuja.report.plots import pictures
from thuja.report.scores import Scores, duration, known, said

TABLE = 20
"""Most classes of a confusion table that can be read; with more, only the commonest confusions are listed."""
PAIRS = 12


def render(material: Material) -> str:
    """The page as HTML. What is in it follows from the outputs and the fields that are there."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(loader=FileSystemLoader(Path(__file__).parent), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters["duration"] = duration
    scores = material.scores
    return environment.get_template("page.html").render(
        material=material, scores=scores, summary=summary(material), lines=scores.rows(), slices=slices(scores, material.goal.name), goal=material.goal,
        pictures=[*pictures(material.outputs, material.answered.baseline, material.records), *map(drawn, [*charts(material), *ageing.charts(material.ageing)])],
        classes=per_class(material.outputs) if material.classifies else [], table=confusion_table(material), pairs=confused(material),
        examples=gallery(material), level=f"{scores.level * 100:g} %", settings=settled(material), findings=findings(material.data),
        parts=parts(material.data),
    )


def charts(material: Material) -> list[Chart]:
    """What the application itself had to show."""
    return [Chart.parse(data) for data in material.answered.facts.get("charts", [])]


def slices(scores: Scores, goal: str) -> dict[str, list[tuple[str, int, str, str]]]:
    """Per slice column: value, rows, the deciding metric and its interval."""
    found: dict[str, list[tuple[str, int, str, str]]] = {}
    for part in scores.slices:
        figure = part.metrics[goal]
        found.setdefault(part.column, []).append((part.value, part.rows, said(METRICS[goal], figure.value), known(METRICS[goal], figure)))
    return found


def confusion_table(material: Material) -> list[tuple[str, list[tuple[int, float]]]]:
    """Per true class: its name, and for every decision the number of rows and their share of the class. Empty for too many classes, or none."""
    if not material.classifies or material.outputs.arrays["probability"].shape[1] > TABLE:
        return []
    counts = confusion(material.outputs, np.ones((1, len(material.outputs.target))))[0]
    names = _names(material)
    return [(names[i], [(int(n), float(n / max(row.sum(), 1))) for n in row]) for i, row in enumerate(counts)]


def confused(material: Material) -> list[tuple[str, str, int]]:
    """The commonest confusions: truth, decision, rows."""
    if not material.classifies:
        return []
    counts = confusion(material.outputs, np.ones((1, len(material.outputs.target))))[0]
    np.fill_diagonal(counts, 0)
    names = _names(material)
    order = np.argsort(-counts, axis=None, kind="stable")[:PAIRS]
    places = [tuple(map(int, np.unravel_index(place, counts.shape))) for place in order]
    return [(names[i], names[j], int(counts[i, j])) for i, j in places if counts[i, j]]


def _names(material: Material) -> tuple[str, ...]:
    return material.outputs.names or tuple(map(str, range(material.outputs.arrays["probability"].shape[1])))


def settled(material: Material) -> list[tuple[str, str, str]]:
    """Name, value and reason of every choice that was settled."""
    return [(name, _short(value), str(reason)) for name, (value, reason) in sorted(material.reasons.items())]


def _short(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} {_short(item)}" for key, item in value.items())
    return f"{value:g}" if isinstance(value, float) else str(value)
