"""From scores of all items to what metrics take: the place of what was taken, among all and among negatives, and what is recommended. No torch.

The baselines rank with this; the network does the same in its graph (`task.Rank`), and a test compares the two.
"""

from collections.abc import Callable

import numpy as np

from thuja.apps.recommendation.codec import FORBIDDEN, NEGATIVES, SEEN, TARGET
from thuja.codec import Arrays, Columns, Ragged, count, take

ROWS = 512
"""Rows scored at a time."""


def ranked(score: Callable[[Columns], np.ndarray], columns: Columns, top: int) -> Arrays:
    """`rank` int64 [rows], `sampled` int64 [rows] and `top` int64 [rows, top], by scores float [rows, items + 1]; those of what was seen do not count."""
    wanted: Columns = {name: columns[name] for name in columns}
    found = []
    for start in range(0, count(wanted), ROWS):
        part = take(wanted, np.arange(start, min(start + ROWS, count(wanted))))
        found.append(_ranked(score(part), part, top))
    return {name: np.concatenate([part[name] for part in found]) for name in found[0]}


def _ranked(scores: np.ndarray, columns: Columns, top: int) -> Arrays:
    seen, target = columns[SEEN], np.asarray(columns[TARGET])[:, 0]
    assert isinstance(seen, Ragged)
    scores = np.array(scores, np.float32)
    rows = np.arange(len(scores))
    scores[np.repeat(rows, np.diff(seen.offsets)), seen.values] = FORBIDDEN
    scores[:, 0] = FORBIDDEN
    own = scores[rows, target]
    possible = own > FORBIDDEN / 2
    rank = np.where(possible, (scores >= own[:, None]).sum(1), scores.shape[1])
    best = np.argsort(-scores, axis=1, kind="stable")[:, :top]
    best = np.where(np.take_along_axis(scores, best, 1) > FORBIDDEN / 2, best, 0)
    return {"rank": rank.astype(np.int64), "sampled": _among(scores, own, columns), "top": best.astype(np.int64)}


def _among(scores: np.ndarray, own: np.ndarray, columns: Columns) -> np.ndarray:
    """The rank among the row's negatives; 0 where it has none."""
    negatives = columns.get(NEGATIVES)
    if negatives is None:
        return np.zeros(len(scores), np.int64)
    assert isinstance(negatives, Ragged)
    drawn = negatives.padded()
    there = drawn != 0
    above = (np.take_along_axis(scores, drawn, 1) >= own[:, None]) & there
    return np.where(there.any(1), 1 + above.sum(1), 0).astype(np.int64)
