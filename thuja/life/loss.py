"""How wrong an answer was, once the truth is known: a number from 0 (right) to 1 (wholly wrong), by the kind of the output field.

Alarms, comparisons and lifetimes all rest on this one number, since tests that hold at any time need losses with a bound. Metrics in their own units are shown
beside it and decide nothing.

Source: words: edit distance, Levenshtein 1966, divided by the longer text. Boxes: one minus F1 at an overlap of a half, matched as in Everingham et al. 2010,
"The PASCAL Visual Object Classes Challenge", section 4.2.
"""

import contextlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from thuja.core.errors import DataError
from thuja.fields import Boxes, Category, Items, Number, Ranking, Schema, Text
from thuja.fields.base import Field
from thuja.fields.boxes import overlap

FAR = 0.99
"""The share of the reference's errors that lie below a loss of 1, for amounts."""
WORDS = 400
"""Compared of a text."""
HALF = 0.5
"""Intersection over union from which on a box is found."""
MOST_BOXES = 1000


class Judged(NamedTuple):
    """What is compared with the truth."""

    field: str
    """The output field that labels are about."""
    scale: float
    """The error that counts as wholly wrong, for amounts; 1 otherwise."""


def judged_field(schema: Schema) -> str:
    """The first output that a label can be about. Raises: DataError where there is none: such a model cannot be watched by labels."""
    for name, field in schema.outputs.items():
        if type(field) in LOSSES:
            return name
    raise DataError("outputs", expected=f"a field of kind {', '.join(sorted(kind.__name__.lower() for kind in LOSSES))}",
                    found=", ".join(field.kind for field in schema.outputs.values()), fix="Such a model can be watched for faults, not for harm.")


def scale_of(field: Field, answers: Sequence[Any], truths: Sequence[Any]) -> float:
    """The error of a reference that counts as wholly wrong."""
    if not isinstance(field, Number) or not len(answers):
        return 1.0
    errors = np.abs(np.asarray(answers, float) - np.asarray(truths, float))
    return float(np.quantile(errors[np.isfinite(errors)], FAR)) or 1.0


def loss(schema: Schema, judged: Judged, answer: Mapping[str, Any], truth: Mapping[str, Any]) -> float:
    """Of one answer, in [0, 1]. Raises: DataError for a label whose truth is missing or of the wrong kind: whoever takes labels in refuses it with that."""
    if judged.field not in truth:
        raise DataError(f"label.{judged.field}", expected="the true value", found=", ".join(map(repr, truth)) or "nothing",
                        fix="Send the true value by the name of the output.")
    return LOSSES[type(schema.outputs[judged.field])](answer[judged.field], truth[judged.field], judged.scale, f"label.{judged.field}")


def losses(schema: Schema, judged: Judged, answers: Sequence[Mapping[str, Any]], truths: Sequence[Mapping[str, Any]]) -> np.ndarray:
    """[n], each in [0, 1]; NaN where the label cannot be used (one from a file, say, that nobody had checked)."""
    out = np.full(len(answers), np.nan)
    for place, (answer, truth) in enumerate(zip(answers, truths, strict=True)):
        with contextlib.suppress(DataError):
            out[place] = loss(schema, judged, answer, truth)
    return out


def _different(answer: Any, truth: Any, scale: float, where: str) -> float:
    if not isinstance(truth, str):
        raise DataError(where, expected="the name of a class", found=repr(truth)[:60], fix="Send the class's name as text.")
    return float(answer != truth)


def _far(answer: Any, truth: Any, scale: float, where: str) -> float:
    if isinstance(truth, bool) or not isinstance(truth, (int, float)) or not np.isfinite(truth):
        raise DataError(where, expected="a finite number", found=repr(truth)[:60], fix="Send the true amount in the unit of the answer.")
    return 1.0 if answer is None or not np.isfinite(answer) else float(min(1.0, abs(answer - truth) / scale))


def _unlike(answer: Any, truth: Any, scale: float, where: str) -> float:
    if not isinstance(truth, str):
        raise DataError(where, expected="a text", found=repr(truth)[:60], fix="Send what should have been answered.")
    return _edits(str(answer).split()[:WORDS], truth.split()[:WORDS])


def _edits(a: list[str], b: list[str]) -> float:
    """Words that must be put in, taken out or replaced, as a share of the longer text."""
    if not a or not b:
        return float(bool(a or b))
    before = np.arange(len(b) + 1)
    for place, word in enumerate(a, 1):
        cost = before[:-1] + np.array([word != other for other in b])
        row = np.minimum(np.concatenate([[place], np.minimum(cost, before[1:] + 1)]), place + np.arange(len(b) + 1))
        before = np.minimum.accumulate(row - np.arange(len(b) + 1)) + np.arange(len(b) + 1)
    return float(before[-1] / max(len(a), len(b)))


def _absent(answer: Any, truth: Any, scale: float, where: str) -> float:
    """A ranking is right where what was taken is in it."""
    if not isinstance(truth, str):
        raise DataError(where, expected="the name of an item", found=repr(truth)[:60], fix="Send what was taken.")
    return float(truth not in [entry["item"] if isinstance(entry, Mapping) else entry for entry in answer])


def _unfound(answer: Any, truth: Any, scale: float, where: str) -> float:
    """Boxes that were missed and boxes that are not there, of all: each found one takes one drawn one of its class, the surest first. What is drawn to be
    ignored counts neither way."""
    Boxes(most=MOST_BOXES).check(truth, where)
    ignored, left = ([entry for entry in truth if bool(entry.get("ignore")) is kind] for kind in (True, False))
    drawn, hits, found = len(left), 0, 0
    for entry in sorted(answer, key=lambda one: -one.get("score", 1.0)):
        best = max(left, key=lambda other: overlap(entry, other), default=None)
        if best is not None and overlap(entry, best) >= HALF:
            hits, found, left = hits + 1, found + 1, [other for other in left if other is not best]
        else:
            found += not any(overlap(entry, other) >= HALF for other in ignored)
    return 1 - 2 * hits / (found + drawn) if found + drawn else 0.0


LOSSES: dict[type[Field], Callable[[Any, Any, float, str], float]] = {
    Boxes: _unfound, Category: _different, Number: _far, Text: _unlike, Ranking: _absent, Items: _absent}


def score_of(schema: Schema, answers: Sequence[Mapping[str, Any]]) -> tuple[np.ndarray, bool]:
    """[n]: what an estimate without labels goes by, and whether more of it promises less loss: the probability of the class given, or the amount itself.
    NaN where there is neither."""
    name = next((name for name, field in schema.outputs.items() if type(field) in LOSSES), "")
    if not name:
        return np.full(len(answers), np.nan), True
    if isinstance(schema.outputs[name], Category) and "probability" in schema.outputs:
        return np.array([answer["probability"] for answer in answers], float), True
    if isinstance(schema.outputs[name], Number):
        return np.array([np.nan if answer[name] is None else answer[name] for answer in answers], float), False
    if "log_probability" in schema.outputs:
        return np.array([answer["log_probability"] for answer in answers], float), True
    return np.full(len(answers), np.nan), True
