"""Molecules: a column of SMILES, and what is known of each."""

import re
from collections.abc import Mapping
from typing import Any

import numpy as np

from thuja.core.errors import DataError, MissingExtra, did_you_mean
from thuja.data.guess import Guess
from thuja.data.rows import Source
from thuja.data.split import settle
from thuja.fields import Molecule
from thuja.settings import Data

NAME = re.compile(r"(^|_| )smiles($|_| )|^(mol|molecule|structure)$", re.IGNORECASE)
FORM = re.compile(r"[A-Za-z0-9@+\-\[\]()=#$:/\\.%*]+")
"""The characters of SMILES."""
BONDS = re.compile(r"[\[(=#]|[a-z]\d")
"""What hardly any word or name has, and most molecules do: brackets, branches, double bonds, rings."""
MEASURED = re.compile(r"measured|observed|^(exp|expt|experimental|y|label|target|activity|active|class|value|outcome|p_?np|homo|lumo|gap)\b", re.IGNORECASE)
SAMPLE = 200
READ = 0.9
"""Share of the sample that must be molecules."""


def recognise(parts: Mapping[str, Source], target: str | None) -> Guess | None:
    """A guess where a column of texts holds molecules. Raises: DataError when `target` is no column, or no column of labels is there."""
    source = parts.get("train") or parts["all"]
    index = np.unique(np.linspace(0, max(len(source) - 1, 0), min(len(source), SAMPLE)).astype(np.int64))
    texts = tuple(name for name in source.names if source.kinds[name] == "text" and name != target)
    if not texts or not len(source):
        return None
    rows = source.take(index, texts)
    smiles = next((name for name in sorted(texts, key=lambda name: not NAME.search(name)) if _molecules(name, [v for v in rows[name] if v])), None)
    if smiles is None:
        return None
    others = [name for name in source.names if name != smiles]
    if target is not None and target not in others:
        raise DataError("target", expected="the name of a column", found=repr(target), fix=did_you_mean(target, others))
    targets, why = ((target,), "as asked") if target is not None else _targets(source, others, index)
    notes = [", ".join(f"{len(part):,} {'molecules' if name == 'all' else name + ' molecules'}" for name, part in parts.items()) + f" ({smiles!r}).",
             f"Target: {', '.join(map(repr, targets))}, {why}."]
    if unused := [name for name in others if name not in targets]:
        notes.append(f"Not used: {', '.join(map(repr, unused))}.")
    how = settle(parts, Data())
    notes.append(f"Split: {how.value.kind}, because {how.reason}.")
    if "all" in parts:
        notes.append(f"To test on kinds of molecules never learned from: `data.split: {{kind: scaffold, column: {smiles}}}`.")
    return Guess({"kind": "molecules", "smiles": smiles, "target": targets[0] if len(targets) == 1 else list(targets)}, {}, notes)


def _molecules(name: str, values: list[str]) -> bool:
    """Whether texts are molecules: by their form, where rdkit can read them; without rdkit the name of the column must say so too."""
    if not values or sum(bool(FORM.fullmatch(value.strip())) for value in values) < READ * len(values):
        return False
    named = bool(NAME.search(name))
    if not named and sum(bool(BONDS.search(value)) for value in values) < 0.5 * len(values):
        return False
    field, read = Molecule(), 0
    for value in values:
        try:
            field.read(value, name)
        except MissingExtra:
            return named
        except DataError:
            continue
        read += 1
    return read >= READ * len(values)


def _targets(source: Source, others: list[str], index: np.ndarray) -> tuple[tuple[str, ...], str]:
    """The columns to learn: those that say yes or no, where all numbers do; else what is named as measured; else the last column of numbers."""
    numbers = [name for name in others if source.kinds[name] == "number"]
    if not numbers:
        raise DataError("data", expected="a column with what is known of each molecule", found=f"{len(others)} others, none of numbers",
                        fix="Add one, or name it with --target.")
    rows: Mapping[str, Any] = source.take(index, tuple(numbers))
    if all({value for value in rows[name] if value is not None} <= {0.0, 1.0} for name in numbers):
        return tuple(numbers), "yes or no" if len(numbers) == 1 else "each yes or no, learned together"
    if named := [name for name in numbers if MEASURED.search(name)]:
        return (named[0],), "by its name; name another with --target"
    return (numbers[-1],), "the last column of numbers; name another with --target"
