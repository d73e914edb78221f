"""From the probabilities of every frame to tokens: the likeliest frames, or a search over texts; and how likely a text is. numpy only, all rows at once.

Source: Graves et al. 2006, "Connectionist temporal classification", ICML (best path, forward probabilities); prefix beam search, Hannun et al. 2014,
arXiv 1408.2873, algorithm 1, without a language model. Differs: prefixes are told apart by a hash of their tokens, so that rows are searched side by side.
"""

from collections.abc import Sequence

import numpy as np

BLANK = 0
"""The token that stands for nothing new."""
NONE = -np.inf
_PRIME = np.uint64(0x9E3779B97F4A7C15)


def greedy(log_probability: np.ndarray, frames: np.ndarray) -> list[list[int]]:
    """The likeliest token of every frame, repetitions and blanks left out.

    Args:
        log_probability: float [rows, frames, tokens].
        frames: int [rows], how many of them count.
    """
    best = log_probability.argmax(axis=2)
    best[np.arange(best.shape[1]) >= frames[:, None]] = BLANK
    new = (best != BLANK) & (np.diff(best, axis=1, prepend=BLANK) != 0)
    return [row[kept].tolist() for row, kept in zip(best, new, strict=True)]


def beam(log_probability: np.ndarray, frames: np.ndarray, size: int) -> list[list[int]]:
    """The likeliest tokens found by keeping the `size` best prefixes at every frame, each with the probability of all ways to have come to it.

    Args: as `greedy`.
    """
    rows, longest, _ = log_probability.shape
    logs = log_probability.astype(np.float64)
    row = np.arange(rows)[:, None]
    prefix = np.zeros((rows, size, longest), np.int32)
    length, last = np.zeros((rows, size), np.int64), np.zeros((rows, size), np.int64)
    name = np.tile(np.arange(1, size + 1, dtype=np.uint64), (rows, 1))
    parent = np.zeros((rows, size), np.uint64)  # the name of the prefix without its last token; no name is 0
    blank, label = np.full((rows, size), NONE), np.full((rows, size), NONE)  # ended by a blank, by its last token
    blank[:, 0] = 0.0
    for frame in range(longest):
        now = logs[:, frame]
        total = np.logaddexp(blank, label)
        stay_blank = total + now[:, :1]
        stay_label = np.where(last > 0, label + np.take_along_axis(now, last, 1), NONE)
        longer = np.where(np.arange(1, now.shape[1]) == last[:, :, None], blank[:, :, None], total[:, :, None]) + now[:, None, 1:]
        comes = (parent[:, :, None] == name[:, None, :]) & (last > 0)[:, :, None]  # prefix j is i and one token more
        r, j, i = np.nonzero(comes)
        joined = np.full((rows, size), NONE)
        np.maximum.at(joined, (r, j), longer[r, i, last[r, j] - 1])
        longer[r, i, last[r, j] - 1] = NONE
        stay_label = np.logaddexp(stay_label, joined)
        scores = np.concatenate([np.logaddexp(stay_blank, stay_label), longer.reshape(rows, -1)], axis=1)
        chosen = np.argsort(-scores, axis=1, kind="stable")[:, :size]
        grown = chosen >= size
        source = np.where(grown, (chosen - size) // (now.shape[1] - 1), chosen)
        token = np.where(grown, (chosen - size) % (now.shape[1] - 1) + 1, 0)
        live = (frame < frames)[:, None]
        new = prefix[row, source]
        at = np.nonzero(grown)
        new[(*at, length[row, source][at])] = token[at]
        prefix = np.where(live[:, :, None], new, prefix)
        label_now = np.where(grown, np.take_along_axis(scores, chosen, 1), stay_label[row, source])
        blank, label = np.where(live, np.where(grown, NONE, stay_blank[row, source]), blank), np.where(live, label_now, label)
        parent = np.where(live, np.where(grown, name[row, source], parent[row, source]), parent)
        name = np.where(live, np.where(grown, _named(name[row, source], token), name[row, source]), name)
        length = np.where(live, length[row, source] + grown, length)
        last = np.where(live, np.where(grown, token, last[row, source]), last)
    best = np.logaddexp(blank, label).argmax(axis=1)
    return [prefix[i, b, : length[i, b]].tolist() for i, b in enumerate(best)]


def _named(name: np.ndarray, token: np.ndarray) -> np.ndarray:
    """The names of prefixes that have grown by a token."""
    mixed: np.ndarray = (name ^ (name >> np.uint64(29))) * _PRIME + token.astype(np.uint64)
    return mixed


def score(log_probability: np.ndarray, frames: np.ndarray, tokens: Sequence[Sequence[int]]) -> np.ndarray:
    """How likely each row's tokens are, in nats: float64 [rows], over all ways to spread them over the frames (the forward algorithm).

    Args: as `greedy`; tokens: a list for each row.
    """
    rows, longest, _ = log_probability.shape
    lengths = np.array([len(row) for row in tokens], np.int64)
    places = np.zeros((rows, 2 * int(lengths.max(initial=0)) + 1), np.int64)  # a blank before, between and after the tokens
    for i, row in enumerate(tokens):
        places[i, 1 : 2 * len(row) : 2] = row
    skips = np.zeros(places.shape, bool)
    skips[:, 2:] = (places[:, 2:] != BLANK) & (places[:, 2:] != places[:, :-2])
    alpha = np.full(places.shape, NONE)
    alpha[:, 0] = 0.0
    for frame in range(longest):
        before = np.concatenate([np.full((rows, 2), NONE), alpha], axis=1)
        came = np.logaddexp(alpha, before[:, 1:-1] if frame else np.where(np.arange(places.shape[1]) == 1, 0.0, NONE))
        came = np.logaddexp(came, np.where(skips, before[:, :-2], NONE))
        now = came + np.take_along_axis(log_probability[:, frame].astype(np.float64), places, 1)
        alpha = np.where((frame < frames)[:, None], now, alpha)
    end = np.arange(rows), 2 * lengths
    return np.where(lengths > 0, np.logaddexp(alpha[end], alpha[end[0], np.maximum(end[1] - 1, 0)]), alpha[end])
