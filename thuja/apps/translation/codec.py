"""Sentences and arrays: tokens of one vocabulary for both languages, ragged int64 with an end and 0 as padding. No torch."""

import unicodedata
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from pydantic import Field, PositiveFloat

from thuja.codec import Arrays, Codec, Columns, Ragged, Rows
from thuja.core.errors import BadRows, DataError, ThujaError, did_you_mean
from thuja.fields import Number, Schema, Text
from thuja.vocabulary import END, Vocabulary

UNFINISHED = -1e8
"""Below it a score says that no hypothesis is finished."""


class TranslationCodec(Codec):
    """A vocabulary, and how much of a sentence is read.

    A sentence is put in normal form (`normal`), split into tokens and ended; `max_tokens` counts the end. A longer one is refused, or cut, as `too_long` says
    and the schema states. An empty one is answered by an empty one.
    """

    kind: Literal["translation"] = "translation"
    source: str
    """Name of the input column."""
    target: str
    vocabulary: Vocabulary
    lowercase: bool = False
    max_tokens: int = Field(gt=1)
    too_long: Literal["cut", "refuse"] = "cut"
    mean_tokens: PositiveFloat
    """Of a target sentence in the training rows, the end included."""
    cut_rows: int = 0
    """Training rows that were longer."""

    def schema(self) -> Schema:  # type: ignore[override]
        """The text in; `translation` and `log_probability` out."""
        most = self.max_tokens - 1
        read = f"{self.source}. The first {most} tokens are read." if self.too_long == "cut" else f"{self.source}. At most {most} tokens."
        score = Number(upper=0, description="Of the translation: the mean over its tokens, if length_penalty is 1.")
        return Schema(inputs={self.source: Text(description=read)}, outputs={"translation": Text(description=self.target), "log_probability": score})

    def encode(self, rows: Rows) -> Columns:
        """Token ids, ragged int64, no row empty; those of the target too where `rows` has it.

        Raises: BadRows for what is no text, is too long, or has no translation; DataError for an absent column.
        """
        if self.source not in rows:
            raise DataError(self.source, expected="a column of this name", found=f"{len(rows)} others", fix=did_you_mean(self.source, rows))
        bad: dict[int, ThujaError] = {}
        columns: Columns = {self.source: self._tokens(self.source, rows[self.source], bad)}
        if self.target in rows:
            for i, value in enumerate(rows[self.target]):
                if not value or (isinstance(value, str) and not value.strip()):
                    bad.setdefault(i, DataError(f"rows[{i}].{self.target}", expected="a translation", found="nothing", fix="Add it, or leave the row out."))
            columns[self.target] = self._tokens(self.target, rows[self.target], bad)
        if bad:
            raise BadRows(bad)
        return columns

    def _tokens(self, name: str, values: Sequence[Any], bad: dict[int, ThujaError]) -> Ragged:
        texts, field = [], Text()
        for i, value in enumerate(values):
            try:
                field.check(value, f"rows[{i}].{name}")
            except DataError as error:
                bad.setdefault(i, error)
                value = ""
            texts.append(self.normal(value))
        found = self.ids(texts)
        if self.too_long == "refuse":
            for i in np.flatnonzero(np.diff(found.offsets) >= self.max_tokens).tolist():
                bad.setdefault(i, DataError(f"rows[{i}].{name}", expected=f"at most {self.max_tokens - 1} tokens",
                                            found=str(found.offsets[i + 1] - found.offsets[i]), fix="Send it sentence by sentence."))
        return ended(found, self.max_tokens)

    def normal(self, text: str) -> str:
        """Composed form, each run of white space one space."""
        if not text.isascii():
            text = unicodedata.normalize("NFC", text)
        text = " ".join(text.split())
        return text.lower() if self.lowercase else text

    def ids(self, texts: Sequence[str]) -> Ragged:
        """Tokens of texts in normal form, without an end. A space goes first, so that a word is the same token wherever it stands."""
        return self.vocabulary.encode([f" {text}" if text else "" for text in texts])

    def texts(self, ids: np.ndarray, whole: bool = True) -> list[str]:
        """Token ids [rows, places] as texts; 0 is nothing. With `whole=False` more may follow."""
        return [text.removeprefix(" ") for text in self.vocabulary.decode(ids.tolist(), whole=whole)]

    def decode(self, outputs: Arrays) -> dict[str, list[Any]]:
        """`tokens` int64 [rows, places] and `log_probability` [rows] as texts and numbers."""
        return {"translation": self.texts(outputs["tokens"]), "log_probability": np.minimum(outputs["log_probability"], 0).astype(float).tolist()}

    def partial(self, state: Arrays) -> list[str]:
        """What all hypotheses of a row begin with, the best that is finished included: whichever wins, the answer begins so."""
        beams, best = state["_tokens"], state["tokens"]
        finished = state["log_probability"] > UNFINISHED
        same = (beams == beams[:, :1]).all(axis=1) & ((best == beams[:, 0]) | ~finished[:, None])
        sure = np.where(np.logical_and.accumulate(same, axis=1), beams[:, 0], 0)
        return [whole if done else begun for done, whole, begun in zip(state["done"], self.texts(best), self.texts(sure, whole=False), strict=True)]


def ended(tokens: Ragged, most: int) -> Ragged:
    """Rows cut to `most - 1` tokens, each with an end after it."""
    kept = np.minimum(np.diff(tokens.offsets), most - 1)
    offsets = np.concatenate([np.zeros(1, np.int64), np.cumsum(kept + 1)])
    values = np.full(int(offsets[-1]), END, np.int64)
    within = np.arange(int(kept.sum())) - np.repeat(np.cumsum(kept) - kept, kept)
    values[np.repeat(offsets[:-1], kept) + within] = tokens.values[np.repeat(tokens.offsets[:-1], kept) + within]
    return Ragged(values, offsets)
