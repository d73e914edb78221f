"""What the data look like: the task, the columns and what each is, guessed from a sample of rows, with a sentence for every decision."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from thuja.core.errors import DataError, did_you_mean
from thuja.data.arrow import is_number
from thuja.data.folder import is_picture
from thuja.data.guess import Guess as Guess
from thuja.data.guess import Recogniser
from thuja.data.recognise import boxes, episodes, faces, language, masks, molecules, music, recommendation, series, speech, translation
from thuja.data.rows import Kind, Source
from thuja.data.split import settle
from thuja.settings import Data

SAMPLE = 20_000
"""Rows looked at, evenly spread."""
TARGETS = ("target", "label", "class", "y", "outcome", "category")
"""Usual names of what is to be predicted, in order of preference."""
CLASSES = 20
"""A target of whole numbers with at most so many values is a set of classes; with more it is an amount."""
ID_LIKE = re.compile(r"(^|_)(id|uuid|guid|key|index|row|rowid)$|^unnamed|^column_\d+$|Id$", re.IGNORECASE)

RECOGNISERS: tuple[Recogniser, ...] = (
    boxes.recognise, episodes.recognise, speech.recognise, molecules.recognise, faces.recognise, masks.recognise, translation.recognise,
    language.recognise, music.recognise, recommendation.recognise, series.whole, series.running, series.steps,
)
"""Asked in turn, before pictures, texts and tables are considered: kinds of data that are told by their form."""


class Profile(NamedTuple):
    """One column, as seen in the sample."""

    name: str
    kind: Kind
    rows: int
    missing: int
    distinct: int
    words: float
    """Mean number of words of a text."""
    whole: bool
    """Whether every number is whole."""
    odd: tuple[str, ...]
    """Of a text column that is nearly all numbers: cells that are none."""

    @property
    def is_free_text(self) -> bool:
        return self.kind == "text" and self.words >= 3 and self.distinct > 0.3 * (self.rows - self.missing)

    @property
    def is_identity(self) -> bool:
        if self.kind == "number":
            return self.whole and self.distinct > CLASSES and bool(ID_LIKE.search(self.name))
        return self.kind == "text" and self.distinct > max(50, 0.5 * (self.rows - self.missing))

    @property
    def is_classes(self) -> bool:
        return (self.kind == "text" and not self.is_identity) or (self.kind == "number" and self.whole and self.distinct <= CLASSES)


def infer(parts: Mapping[str, Source], target: str | None = None) -> Guess:
    """Guess the task from the data.

    What one of `RECOGNISERS` knows; else, pictures with classes: image-classification. A free text with classes: text-classification. Everything else: table.
    Raises: DataError when `target` is no column, or there is nothing to learn from.
    """
    for recognise in RECOGNISERS:
        if (guess := recognise(parts, target)) is not None:
            return guess
    source = parts.get("train") or parts["all"]
    profiles = {name: profile for name in source.names for profile in [_profile(source, name)]}
    notes = [", ".join(f"{len(part):,} {'rows' if name == 'all' else name + ' rows'}" for name, part in parts.items()) + f" with {len(source.names)} columns."]
    target, why = _target(profiles, target)
    notes.append(f"Target: {target!r}, {why}.")
    if not profiles[target].distinct:
        raise DataError(f"data: {target}", expected="values to learn", found="nothing but missing cells", fix="Name another target with --target.")
    if profiles[target].distinct == 1:
        raise DataError(f"data: {target}", expected="at least two different values", found="one", fix="Add rows of what it is to be told apart from.")
    pictures = [name for name, profile in profiles.items() if profile.kind in ("image", "file") or _is_file_name(source, profile)]
    texts = [name for name, profile in profiles.items() if profile.is_free_text and name != target]
    files = [name for name in pictures if profiles[name].kind != "image"]
    if pictures:
        task: dict[str, Any] = {"kind": "image-classification", "image": pictures[0], "target": target}
        notes += _unused(profiles, {pictures[0], target})
    elif texts and profiles[target].is_classes:
        text = max(texts, key=lambda name: profiles[name].words)
        task = {"kind": "text-classification", "text": text, "target": target}
        notes.append(f"Text: {text!r}, {profiles[text].words:.0f} words on average.")
        notes += _unused(profiles, {text, target})
    else:
        task = _table(profiles, target, notes)
    how = settle(parts, Data())
    notes.append(f"Split: {how.value.kind}, because {how.reason}.")
    return Guess(task, {"files": files} if files else {}, notes)


def _profile(source: Source, name: str) -> Profile:
    index = np.unique(np.linspace(0, len(source) - 1, min(len(source), SAMPLE)).astype(np.int64))
    kind = source.kinds[name]
    if kind in ("image", "other"):
        return Profile(name, kind, len(index), 0, len(index), 0.0, False, ())
    there = [value for value in source.take(index, (name,))[name] if value is not None]
    texts = there if kind == "text" else []
    words = sum(len(text.split()) for text in texts) / max(len(texts), 1)
    whole = kind == "number" and all(value.is_integer() for value in there)
    return Profile(name, kind, len(index), len(index) - len(there), len(set(there)), words, whole, _odd(texts))


def _odd(texts: list[str]) -> tuple[str, ...]:
    """Cells that are no numbers where at least nine in ten are."""
    import pyarrow as pa

    odd = [text for text in texts if not is_number(pa.array([text], pa.large_string()))] if texts and _mostly_digits(texts) else []
    return tuple(dict.fromkeys(odd)) if odd and len(odd) <= 0.1 * len(texts) else ()


def _mostly_digits(texts: list[str]) -> bool:
    return sum(text.lstrip("+-.")[:1].isdigit() for text in texts) >= 0.9 * len(texts)


def _target(profiles: dict[str, Profile], target: str | None) -> tuple[str, str]:
    if target is not None:
        if target not in profiles:
            raise DataError("target", expected="the name of a column", found=repr(target), fix=did_you_mean(target, profiles))
        return target, "as asked"
    lower = {name.lower(): name for name in reversed(profiles)}
    for usual in TARGETS:
        if usual in lower:
            return lower[usual], "by its name"
    if len(profiles) < 2:
        raise DataError("data", expected="a column to predict and one to predict it from", found=f"one column, {next(iter(profiles))!r}", fix="Add one.")
    last = list(profiles)[-1]
    return last, "the last column; name another with --target"


def _is_file_name(source: Source, profile: Profile) -> bool:
    if profile.kind != "text" or not profile.distinct:
        return False
    values = [value for value in source.take(np.arange(min(len(source), 100)), (profile.name,))[profile.name] if value is not None]
    return bool(values) and all(is_picture(Path(value).name) for value in values)


def _unused(profiles: dict[str, Profile], used: set[str]) -> list[str]:
    rest = [name for name in profiles if name not in used]
    return [f"Not used: {', '.join(map(repr, rest))}."] if rest else []


def _table(profiles: dict[str, Profile], target: str, notes: list[str]) -> dict[str, Any]:
    problem, why = _problem(profiles[target])
    notes.append(f"Problem: {problem}, because {why}.")
    numbers, categories = [], []
    for name, profile in profiles.items():
        if name == target:
            continue
        reason = _left_out(profile)
        if reason:
            notes.append(f"Left out: {name!r}, {reason}.")
        elif profile.kind == "number":
            numbers.append(name)
        else:
            categories.append(name)
            if profile.odd:
                shown = _shown(profile)
                notes.append(f"{name!r} is taken as categories because of cells such as {shown}; if these mean nothing is there, add them to data.missing.")
    if not numbers and not categories:
        raise DataError("data", expected="a column to learn from", found="none besides the target", fix="Name another target with --target, or add columns.")
    notes.append(f"{len(numbers)} columns of numbers, {len(categories)} of categories.")
    return {"kind": "table", "target": target, "problem": problem, "numbers": numbers, "categories": categories}


def _problem(profile: Profile) -> tuple[str, str]:
    if profile.kind == "number" and not (profile.whole and profile.distinct <= CLASSES):
        return "regression", f"{profile.name!r} has {profile.distinct:,} different numbers"
    if profile.distinct == 2:
        return "binary", f"{profile.name!r} has two values"
    return "classes", f"{profile.name!r} has {profile.distinct:,} values"


def _shown(profile: Profile) -> str:
    return ", ".join(map(repr, profile.odd[:3]))


def _left_out(profile: Profile) -> str:
    there = profile.rows - profile.missing
    if not there:
        return "every cell is missing"
    if profile.distinct == 1 and not profile.missing:
        return "it is the same in every row"
    if profile.kind == "time":
        return "a time; it orders the rows"
    if profile.kind == "other":
        return "it holds nested values"
    if profile.is_free_text:
        return "a free text"
    if profile.odd and profile.is_identity:
        return f"it is numbers but for cells such as {_shown(profile)}; if these mean nothing is there, add them to data.missing"
    if profile.is_identity and profile.distinct < 0.5 * there:
        return "an id that comes again; if rows with the same one belong together, set data.group to it"
    if profile.is_identity:
        return f"{profile.distinct:,} different values in {there:,} rows name a row rather than describe it"
    return ""
