"""Rows that a language model learns from, made of rows at rest: passages of a text cut anew, documents, conversations. No torch.

Every row has a `prompt` (what a client might ask) and a `text` (what is learned and judged), and the settings of an answer, which are left open.
"""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

from thuja.apps.language_model import template
from thuja.codec import Rows
from thuja.core import digest
from thuja.core.errors import DataError, did_you_mean

PROMPT, TEXT = "prompt", "text"
SETTINGS = ("temperature", "top_k", "top_p", "max_tokens", "seed")
Pair = tuple[str, str]
"""A prompt and a text."""


class Bad(NamedTuple):
    """A row that cannot be used, and why."""

    id: str
    reason: str


class Made:
    """A source of pairs. Kinds are "other", since what the checks of columns look for (constants, near copies of short prompts) means nothing here."""

    def __init__(self, source: Any, made: Callable[[np.ndarray], list[Pair]], ids: Callable[[np.ndarray], list[str]], recipe: list[Any]) -> None:
        """`made`: pairs for places; `ids`: their names; `recipe`: plain data that says how they are made."""
        self.source, self._made, self._ids, self._recipe = source, made, ids, recipe
        self.names: tuple[str, ...] = (PROMPT, *SETTINGS, TEXT)
        self.kinds = {name: "text" if name == TEXT else "other" for name in self.names}
        self.bad: tuple[Any, ...] = tuple(source.bad)
        self._rows = 0

    def of(self, rows: int, bad: tuple[Bad, ...] = ()) -> "Made":
        """With this many rows, and these bad ones besides."""
        self._rows, self.bad = rows, (*self.bad, *bad)
        return self

    def __len__(self) -> int:
        return self._rows

    def take(self, index: np.ndarray, names: tuple[str, ...] = ()) -> Rows:
        pairs = self._made(np.asarray(index))
        columns: dict[str, list[Any]] = {PROMPT: [prompt for prompt, _ in pairs], **{name: [None] * len(pairs) for name in SETTINGS},
                                         TEXT: [text for _, text in pairs]}
        return {name: columns[name] for name in names or self.names}

    def batches(self, size: int = 1024) -> Iterator[Rows]:
        for start in range(0, len(self), size):
            yield self.take(np.arange(start, min(start + size, len(self))))

    def ids(self, index: np.ndarray) -> list[str]:
        return self._ids(index)

    def hashes(self, index: np.ndarray, names: tuple[str, ...]) -> np.ndarray:
        """Of the text, whatever is asked: two rows are copies when their texts are."""
        found = [int(digest.of_bytes(text.encode("utf-8", "surrogatepass"))[:16], 16) for _, text in self._made(np.asarray(index))]
        return np.array(found, np.uint64)

    def fingerprint(self) -> str:
        return digest.of_data(["language-model", self._recipe, self.source.fingerprint()])


class _Cut(NamedTuple):
    """A text that lies in many rows, and where it is cut."""

    source: Any
    column: str
    size: int
    before: int
    ends: np.ndarray
    """Of each row, in characters of the whole."""
    count: int  # type: ignore[assignment]  # a field, not the method of tuple
    """Passages."""

    def text(self, start: int, end: int) -> str:
        """Some characters of the whole."""
        first, last = np.searchsorted(self.ends, [start, max(end - 1, start)], side="right")
        found = "".join(value or "" for value in self.source.take(np.arange(first, min(int(last) + 1, len(self.ends))))[self.column])
        offset = start - (int(self.ends[first - 1]) if first else 0)
        return found[offset : offset + end - start]

    def pairs(self, index: np.ndarray) -> list[Pair]:
        """What is before each passage, and the passage."""
        pairs = []
        for i in index:
            start = int(i) * self.size
            end = int(self.ends[-1]) if i == self.count - 1 else start + self.size
            whole = self.text(max(0, start - self.before), end)
            pairs.append((whole[: len(whole) - (end - start)], whole[len(whole) - (end - start) :]))
        return pairs

    def ids(self, index: np.ndarray) -> list[str]:
        """Where each passage begins."""
        return [f"character {int(i) * self.size}" for i in index]


def passages(source: Any, column: str, size: int, before: int) -> Made:
    """The text that the rows make end to end, cut into passages of `size` characters (the last may be half as long again); the prompt of each is the up to
    `before` characters before it."""
    _require(source, column)
    ends = np.cumsum([len(value or "") for rows in source.batches() for value in rows[column]])
    cut = _Cut(source, column, size, before, ends, max(1, round(int(ends[-1]) / size)))
    return Made(source, cut.pairs, cut.ids, ["passages", column, size, before]).of(cut.count)


class _Documents(NamedTuple):
    source: Any
    column: str
    before: int

    def pairs(self, index: np.ndarray) -> list[Pair]:
        texts = [value or "" for value in self.source.take(index)[self.column]]
        return [(text[: min(len(text) // 2, self.before)], text) for text in texts]


def documents(source: Any, column: str, before: int) -> Made:
    """Each row is a text of its own; its prompt is its first half, at most `before` characters."""
    _require(source, column)
    return Made(source, _Documents(source, column, before).pairs, source.ids, ["documents", column, before]).of(len(source))


class _Conversations(NamedTuple):
    source: Any
    column: str
    places: np.ndarray
    """Of the rows that are conversations."""

    def pairs(self, index: np.ndarray) -> list[Pair]:
        pairs = []
        for value in self.source.take(self.places[index])[self.column]:
            messages = template.messages_of(value, self.column)
            last = max(i for i, message in enumerate(messages) if message["role"] == template.ASSISTANT)
            pairs.append((template.written(messages[:last]) + template.mark(template.ASSISTANT), template.written(messages)))
        return pairs

    def ids(self, index: np.ndarray) -> list[str]:
        found: list[str] = self.source.ids(self.places[index])
        return found


def conversations(source: Any, column: str) -> Made:
    """Each row is a conversation; its prompt is all of it before the assistant's last message. Those that are none are bad rows."""
    _require(source, column)
    values = [value for rows in source.batches() for value in rows[column]]
    good: list[int] = []
    bad: list[Bad] = []
    for place, value in enumerate(values):
        try:
            template.written(template.messages_of(value, column))
        except DataError as error:
            bad.append(Bad(source.ids(np.array([place]))[0], str(error)))
        else:
            good.append(place)
    made = _Conversations(source, column, np.array(good, np.int64))
    return Made(source, made.pairs, made.ids, ["conversations", column]).of(len(good), tuple(bad))


def _require(source: Any, column: str) -> None:
    if column not in source.names:
        raise DataError(column, expected="a column of this name", found=f"{len(source.names)} others", fix=did_you_mean(column, source.names))
