"""Sentences as the peers' tutorials make them into numbers: words cut at white space and punctuation, a vocabulary of the training rows, 0 for padding and
1 for what is unknown; optionally pairs of neighbouring words as further words. numpy only."""

import re
from collections import Counter
from itertools import pairwise

import numpy as np

PIECE = re.compile(r"[a-z0-9]+|'[a-z]+|[!?,.()]")


def tokens(text: str, pairs: bool = False) -> list[str]:
    """Words in lower case, and with `pairs` each two neighbours as well.

    >>> tokens("It's good .", pairs=True)
    ['it', "'s", 'good', '.', "it 's", "'s good", 'good .']
    """
    words = PIECE.findall(text.lower())
    return words + ([f"{a} {b}" for a, b in pairwise(words)] if pairs else [])


def numbered(train: np.ndarray, test: np.ndarray, pairs: bool = False, least: int = 1) -> tuple[list[np.ndarray], list[np.ndarray], int]:
    """Both sets as rows of ids, and the size of the vocabulary; words seen fewer than `least` times are unknown."""
    cut = [tokens(str(text), pairs) for text in train]
    counts = Counter(word for row in cut for word in row)
    ids = {word: number + 2 for number, (word, seen) in enumerate(counts.most_common()) if seen >= least}
    asked = [tokens(str(text), pairs) for text in test]
    first, second = ([np.array([ids.get(word, 1) for word in row] or [1]) for row in rows] for rows in (cut, asked))
    return first, second, len(ids) + 2


def padded(rows: list[np.ndarray], longest: int) -> np.ndarray:
    """Rows of ids as one array [rows, longest], cut or filled with 0 at the end."""
    result = np.zeros((len(rows), longest), np.int64)
    for place, row in enumerate(rows):
        result[place, : min(len(row), longest)] = row[:longest]
    return result
