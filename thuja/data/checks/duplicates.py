"""Rows that are in two parts at once: what was learned by heart is then taken for what was understood.

The rule for blocking is `finding.tolerated`. Equal pictures and texts count whatever their label. Rows of a table count when all inputs and the target are
equal; and since a table of few values repeats itself by nature, it blocks only where test rows are found among the training rows more than twice as often
as training rows among each other.
"""

from collections.abc import Iterator

import numpy as np

from thuja.data.checks.finding import Finding, Looked, ids, share, tolerated


def exact_duplicates(looked: Looked) -> Iterator[Finding]:
    """Test rows that are also training or validation rows; validation rows that are also training rows (only a warning: nothing is reported on them)."""
    names = looked.inputs + (tuple(t for t in looked.targets if t in looked.parts["train"].names) if looked.is_table else ())
    hashes = {part: looked.hashes(part, names) for part in looked.parts}
    for held in ("test", "validation"):
        others: list[str] = [part for part in ("train", "validation") if part in hashes and part != held]
        if held not in hashes or (held == "validation" and "train" not in hashes):
            continue
        seen = np.concatenate([hashes[part] for part in others])
        places = np.flatnonzero(np.isin(hashes[held], seen))
        if len(places):
            yield _finding(looked, held, others, hashes, places)


def _finding(looked: Looked, held: str, others: list[str], hashes: dict[str, np.ndarray], places: np.ndarray) -> Finding:
    source = looked.parts[held]
    by_nature = looked.is_table and len(places) <= 2 * _repeats(hashes["train"]) * len(source)
    blocks = held == "test" and len(places) > tolerated(len(source)) and not by_nature
    first = hashes[held][places[0]]
    twin = next(looked.parts[part].ids(found[:1])[0] for part in others if len(found := np.flatnonzero(hashes[part] == first)))
    return Finding(
        "exact-duplicates", "block" if blocks else "warn", len(places), ids(source, places),
        f"{share(len(places), len(source))} {held} rows are also {' or '.join(others)} rows: {ids(source, places)[0]} equals {twin}.",
        "Split by hash (equal rows then land together), or remove these rows from one part.",
    )


def _repeats(hashes: np.ndarray) -> float:
    """The share of rows that have an equal one in the same part."""
    counts = np.unique(hashes, return_counts=True)[1]
    return float(counts[counts > 1].sum() / max(len(hashes), 1))
