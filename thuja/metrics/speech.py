"""Metrics of what was written down: the share of words or characters that must be changed, put in or taken out to make it right.

Source: edit distance, Levenshtein 1966; word error rate as in NIST's sclite and in jiwer 3+ (errors of all rows over words of all references). The tests
compare with jiwer. Texts are compared as they are: words are what white space separates.
"""

from collections.abc import Callable, Sequence

import numpy as np

from thuja.metrics.metric import Metric, Outputs, Weighted, ratio

TOGETHER = 256
"""Rows compared side by side."""


def edits(first: Sequence[Sequence[str]], second: Sequence[Sequence[str]]) -> np.ndarray:
    """The fewest substitutions, insertions and deletions that turn each of `second` into its partner in `first`: int64 [rows].

    >>> edits(["kitten", ""], ["sitting", "ab"]).tolist()
    [3, 2]
    """
    parts = [_edits(first[i : i + TOGETHER], second[i : i + TOGETHER]) for i in range(0, len(first), TOGETHER)]
    return np.concatenate(parts) if parts else np.zeros(0, np.int64)


def _edits(first: Sequence[Sequence[str]], second: Sequence[Sequence[str]]) -> np.ndarray:
    """Row by row of the table of distances, all texts at once; the running minimum along a row of the table replaces its inner loop."""
    names: dict[str, int] = {}
    one, other = (_numbered(texts, names) for texts in (first, second))
    lengths, ends = (np.array([len(text) for text in texts], np.int64) for texts in (first, second))
    place = np.arange(other.shape[1] + 1)
    above = np.tile(place, (len(one), 1))
    for at in range(one.shape[1]):
        changed = above[:, :-1] + (one[:, at, None] != other)
        best = np.concatenate([above[:, :1] + 1, np.minimum(above[:, 1:] + 1, changed)], axis=1)
        row = np.minimum.accumulate(best - place, axis=1) + place
        above = np.where((at < lengths)[:, None], row, above)
    return np.take_along_axis(above, ends[:, None], axis=1)[:, 0]


def _numbered(texts: Sequence[Sequence[str]], names: dict[str, int]) -> np.ndarray:
    """int64 [rows, longest], equal parts with equal numbers."""
    out = np.zeros((len(texts), max(map(len, texts), default=0)), np.int64)
    for row, text in zip(out, texts, strict=True):
        row[: len(text)] = [names.setdefault(part, len(names) + 1) for part in text]
    return out


def _rate(parts: Callable[[str], Sequence[str]]) -> Callable[[Outputs], Weighted]:
    """Edits of all rows over parts of all references."""

    def prepare(outputs: Outputs) -> Weighted:
        said, written = ([parts(str(text)) for text in texts] for texts in (outputs.target, outputs.arrays["text"]))
        errors, total = edits(said, written).astype(np.float64), np.array([len(text) for text in said], np.float64)

        def weighted(weights: np.ndarray) -> np.ndarray:
            return ratio(weights @ errors, weights @ total)

        return weighted

    return prepare


METRICS = (
    Metric("word_error_rate", "Word error rate", "min", "text", _rate(str.split), "no words", percent=True),
    Metric("character_error_rate", "Character error rate", "min", "text", _rate(str), "no characters", percent=True),
)
