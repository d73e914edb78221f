"""Parts for the checks: raw rows, and columns encoded as the applications do."""

from types import SimpleNamespace

import numpy as np

from thuja.codec import ragged
from thuja.data.checks import run_checks
from thuja.data.columns import Encoded
from thuja.data.objects import from_object
from thuja.settings import Check, Data, GivenSplit


def encode(source, numbers, categories, target):
    rows = source.take(np.arange(len(source)))
    columns = {}
    if numbers:
        columns["numbers"] = np.array([rows[name] for name in numbers], np.float32).T
    if categories:
        columns["categories"] = np.array([[1 + "abcdefgh".find(v or "?") for v in rows[name]] for name in categories], np.int64).T
    if "image" in rows:
        columns["image"] = np.stack(rows["image"])
    if "text" in rows:
        columns["text"] = ragged([np.array([1 + hash_word(w) for w in text.split()] or [1], np.int64) for text in rows["text"]])
    values = rows[target]
    amounts = any(isinstance(value, float) and value % 1 for value in values)
    columns[target] = np.array(values, np.float32) if amounts else np.array([hash_word(str(value)) for value in values], np.int64)
    return Encoded(columns, np.arange(len(source)), list(source.bad))


def hash_word(word):
    return sum(ord(c) * 31**i for i, c in enumerate(word)) % 997


def looked(parts, *, numbers=(), categories=(), target="y", data=None, waive=None):
    """Findings for a dict of parts (each a dict of columns)."""
    sources = {name: from_object(part, where=name) for name, part in parts.items()}
    encoded = {name: encode(source, numbers, categories, target) for name, source in sources.items()}
    task = SimpleNamespace(targets=(target,), numbers=numbers or "auto", categories=categories or "auto")
    spec = SimpleNamespace(task=task, data=data or Data(split=GivenSplit()), check=Check(waive=waive or {}))
    return run_checks(sources, encoded, spec)


def only(findings, check):
    """The findings of one check, each without what is the same in all."""
    return [(f.severity, f.count, f.rows, f.message) for f in findings if f.check == check]
