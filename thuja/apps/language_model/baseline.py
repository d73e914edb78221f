"""The classical model that stands beside the network: n-grams with interpolated Kneser-Ney smoothing, over the same tokens.

How often each run of tokens was followed by each token, a discount taken from every count and given to the shorter run, down to in how many contexts a
token appears at all.

Source: Kneser and Ney 1995; interpolated, with one discount an order, as in Chen and Goodman 1998, "An Empirical Study of Smoothing Techniques", section 2.7.
"""

import time
from typing import NamedTuple

import numpy as np

from thuja.codec import Ragged
from thuja.task import Baseline, Part

LONGEST = 6
"""Tokens of the longest run; fewer where the vocabulary is so large that a run would not fit an int64."""


class Order(NamedTuple):
    """Counts of runs of one length."""

    runs: np.ndarray
    """Sorted codes of the runs that were seen."""
    counts: np.ndarray
    contexts: np.ndarray
    """Sorted codes of the runs without their last token."""
    totals: np.ndarray
    """Of all that followed each context."""
    kinds: np.ndarray
    """Different tokens that followed each context."""
    discount: float


def fit(train: Part, test: Part, tokens: int) -> Baseline:
    """Count the training rows, score the test rows: `nll` and `tokens` as the program `score` gives them."""
    began = time.perf_counter()
    known, asked = (part.columns["text"] for part in (train, test))
    scored = test.columns["scored"]
    assert isinstance(known, Ragged) and isinstance(asked, Ragged) and isinstance(scored, Ragged)
    order = min(LONGEST, int(62 / np.log2(tokens)))
    orders = count(np.asarray(known.values), order, tokens)
    nats = -np.log(probability(orders, np.asarray(asked.values), tokens))
    counts = scored.values.astype(np.float64)
    ends, begins = asked.offsets[1:], asked.offsets[:-1]
    total = np.concatenate([[0.0], np.cumsum(nats * counts)])
    many = np.concatenate([[0.0], np.cumsum(counts)])
    outputs = {"nll": total[ends] - total[begins], "tokens": (many[ends] - many[begins]).astype(np.int64)}
    outputs |= {name: np.asarray(test.columns[name]) for name in ("characters", "bytes")}
    return Baseline(f"{order}-grams with Kneser-Ney smoothing", outputs, time.perf_counter() - began)


def codes(values: np.ndarray, length: int, tokens: int) -> np.ndarray:
    """A number for the run of `length` tokens that ends at each place, int64; before the first token stands padding."""
    padded = np.concatenate([np.zeros(length - 1, np.int64), values])
    code = np.zeros(len(values), np.int64)
    for place in range(length):
        code = code * tokens + padded[place : place + len(values)]
    return code


def count(values: np.ndarray, longest: int, tokens: int) -> list[Order]:
    """Orders 1 .. `longest`: the longest by how often, the others by before how many different tokens."""
    orders: list[Order] = []
    runs, counts = np.unique(codes(values, longest, tokens), return_counts=True)
    for length in range(longest, 0, -1):
        contexts, first, kinds = np.unique(runs // tokens, return_index=True, return_counts=True)
        totals = np.add.reduceat(counts, first)
        once, twice = int((counts == 1).sum()), int((counts == 2).sum())
        orders.append(Order(runs, counts, contexts, totals, kinds, once / (once + 2 * twice) if once else 0.5))
        runs, counts = np.unique(runs % tokens ** (length - 1), return_counts=True)
    return orders[::-1]


def probability(orders: list[Order], values: np.ndarray, tokens: int) -> np.ndarray:
    """Of each token after those before it, float64 [places], from the shortest run to the longest."""
    found = np.full(len(values), 1 / tokens)
    for length, order in enumerate(orders, 1):
        code = codes(values, length, tokens)
        seen = _looked_up(order.runs, order.counts, code)
        total, kinds = (_looked_up(order.contexts, what, code // tokens) for what in (order.totals, order.kinds))
        share = (np.maximum(seen - order.discount, 0) + order.discount * kinds * found) / np.maximum(total, 1)
        found = np.where(total > 0, share, found)
    return found


def _looked_up(keys: np.ndarray, values: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    place = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    return np.where(keys[place] == wanted, values[place], 0).astype(np.float64)
