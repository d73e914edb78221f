"""What a check finds, and what it looks at."""

import math
from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np

from thuja.data.columns import Encoded
from thuja.data.rows import Source, all_hashes
from thuja.settings import Data

SHOWN = 20
"""Row ids in a finding; the count is exact."""


class Finding(NamedTuple):
    """Something about the data that would make the result a lie ("block") or that a person should know ("warn")."""

    check: str
    severity: Literal["block", "warn"]
    count: int  # type: ignore[assignment]  # a field, as everywhere in the contract, not the method of tuple
    rows: list[str]
    """Ids of the first rows concerned."""
    message: str
    fix: str
    waived: str = ""
    """Why it is accepted, if the spec says so; then it does not block."""


class Looked(NamedTuple):
    """What the checks look at: the parts, raw and encoded, and what their columns are for."""

    parts: dict[str, Source]
    encoded: dict[str, Encoded]
    inputs: tuple[str, ...]
    """Raw columns that the model sees, targets left out."""
    targets: tuple[str, ...]
    data: Data
    """With the split settled."""
    hashed: dict[tuple[str, tuple[str, ...]], np.ndarray]
    """What `hashes` has found: several checks ask for the same."""

    def hashes(self, part: str, names: tuple[str, ...]) -> np.ndarray:
        """The content hash of every row of a part, uint64 `[rows]`."""
        if (part, names) not in self.hashed:
            self.hashed[part, names] = all_hashes(self.parts[part], names)
        return self.hashed[part, names]

    @property
    def is_table(self) -> bool:
        """Whether rows are numbers and categories, which may be equal without being copies."""
        return any(name in self.encoded["train"].columns for name in ("numbers", "categories"))


def tolerated(rows: int) -> float:
    """How many of `rows` test rows may be known from training before a finding blocks: 2 %, or fewer where the test is so large that they would move a
    score by more than half its 95 % interval (1.96 sqrt(0.25 / rows), at worst).

    >>> [round(tolerated(rows), 1) for rows in (500, 10_000, 100_000)]
    [10.0, 98.0, 309.9]
    """
    return min(0.02 * rows, 0.98 * math.sqrt(rows))


def ids(source: Source, places: np.ndarray | Sequence[int]) -> list[str]:
    """Ids of the first rows at these places."""
    return source.ids(np.asarray(places[:SHOWN], np.int64))


def share(count: int, rows: int) -> str:
    """A count of a whole, in words.

    >>> share(12, 10_000)
    '12 of 10,000 (0.12 %)'
    """
    return f"{count:,} of {rows:,} ({_percent(100 * count / max(rows, 1))} %)"


def _percent(value: float) -> str:
    return f"{value:.0f}" if value >= 10 else f"{value:.2g}"
