"""Texts that are nearly the same, found by the shingles (pieces of five characters) that they share.

Source: A. Broder, "On the resemblance and containment of documents" (1997), with banding as in Leskovec, Rajaraman, Ullman, "Mining of Massive Datasets",
chapter 3. Candidates of the sketch are confirmed by the exact Jaccard similarity.
"""

import unicodedata

import numpy as np

from thuja.core.seeds import stream

PIECE = 5
"""Characters in a shingle."""
READ = 2000
"""Characters of a text that are looked at."""
BANDS, IN_BAND = 12, 3
"""Two texts of similarity s meet with probability 1 - (1 - s^3)^12: 0.9998 at 0.8, 0.41 at 0.35."""
SIMILAR = 0.8
"""Jaccard similarity from which two texts are nearly the same."""
SPACED = {code: " " for code in range(128) if not chr(code).isalnum()}
"""What is neither letter nor digit, for the short way through texts of ASCII alone."""


def normalised(text: str) -> str:
    """Letters and digits in lower case with single spaces between words: what is left is what is read.

    >>> normalised("  Hello,\\tWORLD!! ｃａｆｅ́ ")
    'hello world café'
    """
    plain = unicodedata.normalize("NFKC", text[: 2 * READ]).lower()
    kept = plain.translate(SPACED) if plain.isascii() else "".join(c if c.isalnum() else " " for c in plain)
    return " ".join(kept.split())[:READ]


def nearest_texts(held: list[str], known: list[str]) -> tuple[np.ndarray, np.ndarray, int]:
    """Texts of `held` with a near twin in `known`: their places, the places of the twins, and how many were looked at.

    Texts without two shingles of their own (under six letters) are left out: they are alike by nature.
    """
    ours, theirs = [normalised(text) for text in held], [normalised(text) for text in known]
    mine, yours = sketch(ours), sketch(theirs)
    at: list[int] = []
    twins: list[int] = []
    tables = [_table(yours[:, band * IN_BAND : (band + 1) * IN_BAND]) for band in range(BANDS)]
    for place, text in enumerate(ours):
        if len(text) <= PIECE:
            continue
        candidates = dict.fromkeys(c for band, table in enumerate(tables) for c in table.get(mine[place, band * IN_BAND : (band + 1) * IN_BAND].tobytes(), ()))
        twin = next((c for c in candidates if similarity(text, theirs[c]) >= SIMILAR), None)
        if twin is not None:
            at.append(place)
            twins.append(twin)
    return np.array(at, np.int64), np.array(twins, np.int64), len(held)


def similarity(one: str, other: str) -> float:
    """Jaccard similarity of the sets of shingles."""
    a, b = ({text[i : i + PIECE] for i in range(max(len(text) - PIECE + 1, 1))} for text in (one, other))
    return len(a & b) / len(a | b)


def sketch(texts: list[str]) -> np.ndarray:
    """MinHash: the smallest of each of 36 hashes over the shingles of a text, uint32 `[texts, 36]`."""
    rng = stream(0, "shingles")
    factors = rng.integers(1, 1 << 63, BANDS * IN_BAND, dtype=np.uint64) | np.uint64(1)
    padded = [text.ljust(PIECE) for text in texts]
    out = np.zeros((len(texts), BANDS * IN_BAND), np.uint32)
    for start in range(0, len(texts), 4096):
        chunk = padded[start : start + 4096]
        points = np.frombuffer("".join(chunk).encode("utf-32-le", "surrogatepass"), np.uint32).astype(np.uint64)
        pieces = np.zeros(len(points) - PIECE + 1, np.uint64)
        for place in range(PIECE):
            pieces = pieces * np.uint64(1_000_003) + points[place : len(points) - PIECE + 1 + place]
        lengths = np.array([len(text) for text in chunk])
        starts = np.concatenate([[0], np.cumsum(lengths)[:-1]])
        own = np.concatenate([np.arange(first, first + length - PIECE + 1) for first, length in zip(starts, lengths, strict=True)])
        firsts = np.concatenate([[0], np.cumsum(lengths - PIECE + 1)[:-1]])
        pieces = _mix(pieces[own])
        for column, factor in enumerate(factors):
            out[start : start + len(chunk), column] = np.minimum.reduceat((pieces * factor) >> np.uint64(32), firsts).astype(np.uint32)
    return out


def _mix(values: np.ndarray) -> np.ndarray:
    """Spread 64-bit values evenly (the finaliser of SplitMix64, Steele et al. 2014)."""
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    mixed: np.ndarray = values ^ (values >> np.uint64(31))
    return mixed


def _table(sketches: np.ndarray) -> dict[bytes, list[int]]:
    """Places by the bytes of their band, at most eight a band: more would be a boilerplate text."""
    table: dict[bytes, list[int]] = {}
    for place, row in enumerate(np.ascontiguousarray(sketches)):
        found = table.setdefault(row.tobytes(), [])
        if len(found) < 8:
            found.append(place)
    return table
