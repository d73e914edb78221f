"""The classical model that stands beside the network: alternating least squares for implicit feedback (iALS), each user and each item solved exactly.

Source: Hu, Koren and Volinsky 2008, "Collaborative filtering for implicit feedback datasets", ICDM, eq. 4 and 5, in the form of Rendle et al. 2022, "Revisiting
the performance of iALS on item recommendation benchmarks", RecSys, arXiv 2110.14037, eq. 1 to 3: weight 1 for what was taken, a small one for every pair, and
regularisation that grows with how often a user or an item occurs. Differs: a user is solved anew from the history in the row, so that what came after training
counts, and unknown users are answered as well.
"""

import time
from typing import NamedTuple

import numpy as np

from thuja.apps.recommendation.codec import HISTORY, TARGET, USER
from thuja.apps.recommendation.ranks import ranked
from thuja.codec import Arrays, Columns, Ragged
from thuja.core.seeds import stream
from thuja.task import Part

DIM, ROUNDS = 64, 12
UNOBSERVED = 0.1
"""Weight of a pair that was not seen."""
REGULARISATION, POWER = 0.03, 0.5
"""Of the vectors, times (occurrences + UNOBSERVED * size of the other side) to this power."""


class Pairs(NamedTuple):
    """Who took what, each pair once: rows of ids on both sides, from 0."""

    by_user: list[np.ndarray]
    by_item: list[np.ndarray]


def interactions(train: Part, items: int) -> Pairs:
    """The training interactions, user by user."""
    names: dict[str, int] = {}
    user = np.array([names.setdefault(name, len(names)) for rows in train.source.batches() for name in rows[USER]], np.int64)
    history, target = train.columns[HISTORY], np.asarray(train.columns[TARGET])[:, 0]
    assert isinstance(history, Ragged)
    users = np.concatenate([np.repeat(user, np.diff(history.offsets)), user])
    taken = np.concatenate([np.asarray(history.values), target]) - 1
    pairs = np.unique(users * items + taken)
    users, taken = pairs // items, pairs % items
    order = np.argsort(taken, kind="stable")
    return Pairs(np.split(taken, np.searchsorted(users, np.arange(1, len(names)))), np.split(users[order], np.searchsorted(taken[order], np.arange(1, items))))


def solve(rows: list[np.ndarray], other: np.ndarray, unobserved: float = UNOBSERVED, regularisation: float = REGULARISATION) -> np.ndarray:
    """The vectors float64 [rows, dim] that fit best, given those of the other side [n, dim]: for each row the solution of its normal equations."""
    dim = other.shape[1]
    everything = unobserved * other.T @ other
    left = np.empty((len(rows), dim, dim))
    right = np.empty((len(rows), dim))
    for place, row in enumerate(rows):
        some = other[row]
        weight = regularisation * (len(row) + unobserved * len(other)) ** POWER
        left[place] = some.T @ some + everything + weight * np.eye(dim)
        right[place] = some.sum(0)
    return np.asarray(np.linalg.solve(left, right[:, :, None])[:, :, 0])


def learn(pairs: Pairs, seed: int, dim: int = DIM, rounds: int = ROUNDS) -> np.ndarray:
    """Vectors of the items, float64 [items, dim]."""
    found = stream(seed, "als").normal(0, dim**-0.5 * 0.1, (len(pairs.by_item), dim))
    for _ in range(rounds):
        users = solve(pairs.by_user, found)
        found = solve(pairs.by_item, users)
    return found


def fit(train: Part, test: Part, items: int, top: int, seed: int) -> tuple[Arrays, float]:
    """What the model recommends for the test rows (`ranks.ranked`), and the seconds it took."""
    began = time.perf_counter()
    found = learn(interactions(train, items), seed)

    def score(columns: Columns) -> np.ndarray:
        history = columns[HISTORY]
        assert isinstance(history, Ragged)
        rows = [np.unique(row) - 1 for row in np.split(history.values, history.offsets[1:-1])]
        return np.pad((solve(rows, found) @ found.T).astype(np.float32), ((0, 0), (1, 0)))

    return ranked(score, test.columns, top), time.perf_counter() - began
