"""card.md: the model card, from the same material as the report.

Source: the sections of Mitchell et al. 2019, "Model Cards for Model Reporting", arXiv 1810.03993. What is not known is said to be unknown.
"""

from typing import Any

from thuja.metrics import METRICS
from thuja.report import ageing
from thuja.report.material import Material, findings, parts, source_name, summary, training_seconds
from thuja.report.scores import duration, known, said


def render(material: Material) -> str:
    """The card as Markdown."""
    sections = [
        (f"Model card: {material.answered.target}", [" ".join(summary(material))]),
        ("Intended use", _use(material)),
        ("Cautions", [f"- {caution}" for caution in material.cautions]),
        ("Data", _data(material)),
        ("Metrics", _metrics(material)),
        ("Slices", _slices(material)),
        ("Recommendation", [material.scores.recommendation.text]),
        ("Ageing", ageing.sentences(material.ageing)),
        ("Limits", _limits(material)),
        ("Training", _training(material)),
    ]
    return "\n".join(f"{'#' if place == 0 else '##'} {title}\n\n" + "\n".join(lines) + "\n" for place, (title, lines) in enumerate(sections) if lines)


def _cell(value: Any) -> str:
    return str(value).replace("|", "\\|").replace("\n", " ")


def _table(head: list[str], rows: list[list[Any]]) -> list[str]:
    return ["| " + " | ".join(map(_cell, row)) + " |" for row in (head, ["---"] * len(head), *rows)]


def _use(material: Material) -> list[str]:
    takes, gives = ([f"- `{name}`: {field.kind}{': ' + field.description if field.description else ''}" for name, field in fields.items()]
                    for fields in (material.schema.inputs, material.schema.outputs))
    return [f"Predicts `{material.answered.target}` for rows like those it was trained on. It takes", "", *takes, "", "and gives", "", *gives, "",
            "It has not been judged for any other population, language, instrument or period than that of its test rows."]


def _data(material: Material) -> list[str]:
    spec = material.spec.get("data", {})
    lines = [f"- source: {source_name(material.spec)}", f"- split: {_split(spec.get('split'))}",
             "- licence: unknown, since the data do not state one"]
    for part in parts(material.data):
        fingerprint = f", fingerprint `{part.fingerprint}`" if part.fingerprint else ""
        lines.append(f"- {part.name}: {part.rows:,} rows, {len(part.bad)} unreadable{fingerprint}")
    for found in findings(material.data):
        waived = f" Waived: {found.waived}" if found.waived else ""
        lines.append(f"- finding `{found.check}` ({found.severity}): {found.message}{waived}")
    return lines


def _split(split: Any) -> str:
    if not isinstance(split, dict):
        return str(split or "unknown")
    return " ".join([str(split.get("kind")), *(f"{key}={value}" for key, value in split.items() if key != "kind" and value is not None)])


def _metrics(material: Material) -> list[str]:
    scores = material.scores
    rows = []
    for name, figure in scores.metrics.items():
        row = [METRICS[name].label, said(METRICS[name], figure.value), known(METRICS[name], figure)]
        if scores.baseline is not None:
            rival = scores.baseline.metrics[name]
            row += [said(METRICS[name], rival.value), known(METRICS[name], rival)]
        rows.append(row)
    level = f"{scores.level * 100:g} % interval"
    head = ["metric", "network", level] + ([scores.baseline.name, level] if scores.baseline is not None else [])
    counted = f"{scores.count:,} {scores.part} rows" + ("" if scores.groups is None else f" in {scores.groups:,} groups, drawn whole")
    return [f"On {counted}:", "", *_table(head, rows)]


def _slices(material: Material) -> list[str]:
    goal = material.goal
    figures = [(s, s.metrics[goal.name]) for s in material.scores.slices]
    rows = [[s.column, s.value, f"{s.rows:,}", said(goal, figure.value), known(goal, figure)] for s, figure in figures]
    return _table(["column", "value", "rows", goal.label, f"{material.scores.level * 100:g} % interval"], rows) if rows else []


def _limits(material: Material) -> list[str]:
    lines = ["- The intervals say how far the figures may move with other test rows of the same kind; they say nothing about a world that changes.",
             "- One training run: how much another seed would change is not in the intervals."]
    undefined = [METRICS[name].label for name, figure in material.scores.metrics.items() if figure.value is None]
    if undefined:
        lines.append(f"- Could not be computed on these rows: {', '.join(undefined)}.")
    if not material.scores.slices:
        lines.append("- No slices were asked for (`evaluate.slices`): it may be much worse for some kinds of rows.")
    return lines


def _training(material: Material) -> list[str]:
    seconds = training_seconds(material.records)
    train = material.spec.get("train", {})
    lines = [f"- run: {material.run}", f"- seed: {train.get('seed', 'unknown')}", f"- steps: {train.get('steps', 'unknown')}",
             f"- training time: {'unknown' if seconds is None else duration(seconds)}", "- energy: not measured",
             f"- weights: SHA-256 `{material.scores.weights}`"]
    return lines + [f"- {name}: {value}" for name, value in material.environment.items()]
