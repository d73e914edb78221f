"""What is known of a model before it answers anybody: what its artefact answers to rows whose truth is known, and how models like it have aged.

No torch: `thuja export` writes it into the artefact (`life.json`), and `thuja deploy --rows` makes it for an artefact that has none.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any, NamedTuple, Protocol

import numpy as np

from thuja.artifact.runtime import Predictor
from thuja.codec import Rows
from thuja.core.errors import BadRows, DataError, SpecError, did_you_mean
from thuja.fields import Audio, Boxes, Category, Image, Number, Schema
from thuja.fields.base import Field
from thuja.life import estimate
from thuja.life.ageing import Cut, went
from thuja.life.lifetime import Life
from thuja.life.loss import Judged, judged_field, losses, scale_of, score_of
from thuja.life.path import ways_of
from thuja.life.plan import Plan
from thuja.life.watch import Reference

MOST, FILES, STEPPED = 10_000, 2_000, 500
"""Rows that are answered at most: of plain values; of files, such as pictures; where an answer is made step by step."""
BATCH = 256
USUAL = 0.95
"""The share of the gaps between rows that are no longer than the usual one."""


class Source(Protocol):
    """Rows at rest."""

    names: tuple[str, ...]

    def __len__(self) -> int: ...
    def take(self, index: np.ndarray) -> Rows: ...


class Origin(NamedTuple):
    """Where a model comes from, as plain data: what of `life.json` does not come from its answers."""

    plan: Plan
    targets: tuple[str, ...]
    """Columns with what is true of a row."""
    answers: bool
    """Whether what is true is what should have been answered; else what is judged is something else than the answers."""
    spec: dict[str, Any]
    """From which the model can be made again on other rows: every blank that training fills is blank again."""
    trained: float
    """When, in seconds since 1970."""
    snapshot: str
    """A hash of the data."""
    dated: bool
    """Whether the rows were parted by time."""
    gap: float
    """The usual seconds between rows; 0: unknown."""
    checks: dict[str, Any]
    """What the data checks found: whether they ran, what blocked, and why it was waived."""
    ageing: dict[str, Any] | None
    """What the ageing test found (`Aged.plain`)."""


class Answered(NamedTuple):
    """Rows that an artefact has answered, and what is true of them; plain values, as a client has them."""

    inputs: dict[str, list[Any]]
    answers: list[dict[str, Any]]
    truths: list[dict[str, Any]]


def life(predictor: Predictor, source: Source, origin: Origin) -> dict[str, Any]:
    """The content of `life.json`. Raises: SpecError for a group that is no input."""
    known, why = reference(predictor, source, origin.targets if origin.answers else (), origin.plan.harm.groups)
    known = aged(replace(known, usual_gap=origin.gap), origin.ageing, origin.plan)
    return {"reference": known.plain(), "plan": origin.plan.model_dump(mode="json"), "spec": origin.spec, "trained": origin.trained,
            "snapshot": origin.snapshot, "dated": origin.dated, "checks": origin.checks, "aged": origin.ageing is not None, "faults_only": why}


def reference(predictor: Predictor, source: Source, targets: Sequence[str], groups: Sequence[str] = ()) -> tuple[Reference, str]:
    """What an artefact's answers to rows with a known truth say of it, and why nothing can be said of its losses; empty where it can.

    Args: targets: columns with what should have been answered; none: the truth is about something else. groups: inputs whose values are watched apart.
    Raises: SpecError for a group that is no input.
    """
    schema = predictor.artifact.codec.schema()  # in the order of its outputs: the first that a label can be about is what is judged
    for group in groups:
        if group not in schema.inputs:
            raise SpecError("life.harm.groups", expected="inputs of the model", found=repr(group), fix=did_you_mean(group, schema.inputs))
    bare = Reference(predictor.artifact.reference.get("inputs", {}), 1.0, 0, True, None, judged=Judged("", 1.0))
    try:
        field = judged_field(schema)
    except DataError as error:
        return bare, f"its answers have no single field that a label could be about ({error.found})"
    bare = replace(bare, judged=Judged(field, 1.0))
    column = field if field in targets else targets[0] if targets else ""
    absent = [name for name in (column, *schema.inputs) if name not in source.names]
    if absent:
        return bare, f"what is true of a row is not what should have been answered, or is not in the data ({absent[0] or 'no target'})"
    answered = answers(predictor, source, column, field)
    judged = Judged(field, _scale(schema, field, answered))
    lost = losses(schema, judged, answered.answers, answered.truths)
    known = np.isfinite(lost)
    if not known.any():
        return bare, "no test row has a truth of the kind that is answered"
    score, falling = score_of(schema, answered.answers)
    scored = known & np.isfinite(score)
    return replace(bare, loss=float(lost[known].mean()), rows=int(known.sum()), share=bool(np.isin(lost[known], (0, 1)).all()), judged=judged,
                   expected=estimate.learn(score[scored], lost[scored], falling=falling) if scored.any() else None,
                   groups=dict(_groups(answered, lost, groups))), ""


def answers(predictor: Predictor, source: Source, column: str, field: str) -> Answered:
    """What the artefact answers to rows of a source, spread evenly, a batch at a time; rows that it refuses are left out. `column`: with what is true."""
    schema = predictor.artifact.codec.schema()
    wanted = [name for name in schema.outputs if name in (field, "probability", "log_probability")]
    found = Answered({name: [] for name in schema.inputs}, [], [])
    for rows in _batches(source, _most(predictor)):
        inputs = {name: list(rows[name]) for name in schema.inputs}
        truths = list(rows[column])
        try:
            outputs = predictor.predict(inputs)
        except BadRows as error:
            keep = [place for place in range(len(truths)) if place not in error.rows]
            inputs, truths = {name: [values[place] for place in keep] for name, values in inputs.items()}, [truths[place] for place in keep]
            outputs = predictor.predict(inputs) if keep else {}
        for name, values in inputs.items():
            found.inputs[name].extend(values)
        found.answers.extend({name: schema.outputs[name].to_json(outputs[name][place]) for name in wanted} for place in range(len(truths)))
        found.truths.extend({field: plain_truth(schema.outputs[field], truth)} for truth in truths)
    return found


def plain_truth(field: Field, value: Any) -> Any:
    """A cell of the data as a label would say it."""
    if value is None or isinstance(field, Number):
        return float(value) if isinstance(value, (int, float, np.number)) else None
    if isinstance(field, Boxes) and isinstance(value, (list, tuple)):
        return field.to_json(value)
    text = str(value)
    if isinstance(field, Category) and text not in field.names and text.endswith(".0"):
        return text[:-2]  # CSV's 1.0 and JSON's 1 are one class
    return text


def aged(known: Reference, ageing: dict[str, Any] | None, plan: Plan) -> Reference:
    """With what the ageing test found, counted in the windows of the plan; unchanged where nothing was found, or its windows are not times."""
    if ageing is None or not ageing["dated"]:
        return known
    cuts = [Cut(cut["at"], np.array([math.nan if loss is None else loss for loss in cut["losses"]])) for cut in ageing.get("cuts", ())]
    ways = tuple(tuple(way) for way in ways_of(went(cuts, ageing.get("margin", plan.harm.margin))).round(4).tolist())
    return stretched(replace(known, lives=tuple(Life(length, ended) for length, ended in ageing["lives"]), calendar=ageing["calendar"]["every"], ways=ways),
                     ageing["window"] / plan.harm.window)


def stretched(known: Reference, factor: float) -> Reference:
    """With lives and calendar in windows that are `1 / factor` times as long."""
    return replace(known, lives=tuple(Life(life.length * factor, life.ended) for life in known.lives),
                   calendar=None if known.calendar is None else known.calendar * factor)


def usual_gap(times: np.ndarray) -> float:
    """Seconds between rows that are usual, from their times in microseconds; 0 where they do not say. Rows of one time come together, and count once."""
    gaps = np.diff(np.unique(times[np.isfinite(times)]))
    return float(np.quantile(gaps, USUAL)) / 1e6 if len(gaps) else 0.0


def _most(predictor: Predictor) -> int:
    if predictor.repeats:
        return STEPPED
    return FILES if any(isinstance(field, (Audio, Image)) for field in predictor.schema.inputs.values()) else MOST


def _batches(source: Source, most: int) -> Iterator[Rows]:
    index = np.unique(np.linspace(0, len(source) - 1, min(len(source), most)).astype(np.int64))
    for start in range(0, len(index), BATCH):
        yield source.take(index[start : start + BATCH])


def _scale(schema: Schema, field: str, answered: Answered) -> float:
    pairs = [(answer[field], truth[field]) for answer, truth in zip(answered.answers, answered.truths, strict=True)
             if answer[field] is not None and truth[field] is not None]
    return scale_of(schema.outputs[field], [answer for answer, _ in pairs], [truth for _, truth in pairs])


def _groups(answered: Answered, lost: np.ndarray, groups: Sequence[str]) -> Iterator[tuple[str, tuple[float, int]]]:
    """By stream, named as `life.deployment` names it: the mean loss and the rows."""
    for name in groups:
        values = np.array(["" if value is None else str(value) for value in answered.inputs[name]])
        for value in sorted(set(values.tolist()) - {""}):
            of_it = lost[(values == value) & np.isfinite(lost)]
            if len(of_it):
                yield f"{name}={value}", (float(of_it.mean()), len(of_it))
