"""Texts and arrays: word ids and characters, each ragged int64 with 0 as padding. No torch."""

from collections.abc import Sequence
from functools import cached_property
from typing import Any, Literal

import numpy as np
from pydantic import PositiveInt

from thuja.apps.text_classification.words import Vocabulary, normal
from thuja.codec import Arrays, Codec, Columns, Ragged, Rows
from thuja.core.errors import BadRows, DataError, ThujaError, did_you_mean
from thuja.fields import Category, Number, Schema, Scores, Text
from thuja.vocabulary import Borrowed

BEGIN, END, CHARACTERS = 1, 2, 3
"""Character ids: the marks around every text, and what is added to a code point."""
LONGEST = 1_000_000
"""Characters of the longest text that is taken at all, to be cut."""


class TextClassificationCodec(Codec):
    """A vocabulary, the classes, and how much of a text is read.

    A text is put in normal form (`words.normal`) and read up to `max_characters`; a longer one is refused, or cut, as `too_long` says and the schema states.
    Two columns come of it: the words, under the name of the text column, and the characters, under that name with `_characters`.
    """

    kind: Literal["text-classification"] = "text-classification"
    text: str
    """Name of the input column."""
    target: str
    names: tuple[str, ...]
    """Classes in the order of the probabilities; of two, the last counts as positive."""
    threshold: float | None = None
    """Given, the last class is for texts that belong to none of the others: those of which no other class has this probability."""
    words: tuple[str, ...]
    """By falling frequency in the training rows."""
    endings: tuple[str, ...] = ()
    """By which unknown words are read."""
    lowercase: bool = True
    """Whether characters are read in lower case; words always are."""
    max_characters: PositiveInt
    too_long: Literal["cut", "refuse"] = "cut"
    cut_rows: int = 0
    """Training rows that were longer."""
    tokenizer: Borrowed | None = None
    """Given, texts are cut into the tokens of a published checkpoint, by its own rules, and the column of the texts holds these; there are no others."""
    max_tokens: PositiveInt = 512
    """Of these tokens, so many are read at most."""

    @property
    def inputs(self) -> tuple[str, ...]:
        """Names of the encoded columns."""
        return (self.text,) if self.tokenizer is not None else (self.text, self.characters)

    @property
    def characters(self) -> str:
        """Name of the column of characters."""
        return f"{self.text}_characters"

    @cached_property
    def vocabulary(self) -> Vocabulary:
        """Ids of words."""
        return Vocabulary(self.words, self.endings)

    @cached_property
    def field(self) -> Text:
        """What a text may be."""
        if self.too_long == "refuse":
            return Text(max_characters=self.max_characters)
        tokens = "" if self.tokenizer is None else f", of these at most {self.max_tokens} tokens"
        return Text(max_characters=LONGEST, description=f"The first {self.max_characters} characters are read{tokens}.")

    def schema(self) -> Schema:  # type: ignore[override]
        """The text in; `label`, `probability` (of that label) and `probabilities` out."""
        rejecting = "" if self.threshold is None else f"; {self.names[-1]} where no other has a probability of {self.threshold:g}"
        label = Category(names=self.names, description=self.target + rejecting)
        probability = Number(lower=0, upper=1, description="Of the label given.")
        return Schema(inputs={self.text: self.field}, outputs={"label": label, "probability": probability, "probabilities": Scores(names=self.names)})

    def encode(self, rows: Rows) -> Columns:
        """Word ids and character ids, ragged int64, no row empty; and the target int64 [rows] where `rows` has it.

        Raises: BadRows for what is no text, is too long, or has a missing or unknown target; DataError for an absent column.
        """
        if self.text not in rows:
            raise DataError(self.text, expected="a column of this name", found=f"{len(rows)} others", fix=did_you_mean(self.text, rows))
        bad: dict[int, ThujaError] = {}
        texts: list[str] = []
        for i, value in enumerate(rows[self.text]):
            try:
                self.field.check(value, f"rows[{i}].{self.text}")
            except DataError as error:
                bad[i] = error
            else:
                texts.append((value if self.tokenizer is not None else normal(value, self.lowercase))[: self.max_characters])
        targets = self._targets(rows[self.target], bad) if self.target in rows else None
        if bad:
            raise BadRows(bad)
        columns: Columns
        if self.tokenizer is not None:
            columns = {self.text: self.tokenizer.marked(texts, self.max_tokens)}
        else:
            columns = {self.text: _ragged([self.vocabulary.ids(text) for text in texts]), self.characters: characters(texts)}
        return columns if targets is None else columns | {self.target: targets}

    def decode(self, outputs: Arrays) -> dict[str, list[Any]]:
        """`probability` float [rows, classes] as the likeliest class, its probability, and all of them."""
        probability = outputs["probability"]
        return {"label": [self.names[i] for i in probability.argmax(axis=1)],
                "probability": probability.max(axis=1).astype(float).tolist(),
                "probabilities": [dict(zip(self.names, row, strict=True)) for row in probability.astype(float).tolist()]}

    def _targets(self, values: Sequence[Any], bad: dict[int, ThujaError]) -> np.ndarray:
        """int64 [rows]: places in `names`; what is none of them is put into `bad`."""
        places = {name: i for i, name in enumerate(self.names)}
        out = np.zeros(len(values), np.int64)
        for i, value in enumerate(values):
            place = places.get(class_name(value), -1)
            if place < 0:
                found = "nothing" if missing(value) else repr(value)[:60]
                bad.setdefault(i, DataError(f"rows[{i}].{self.target}", expected="a known class", found=found,
                                            fix=did_you_mean(class_name(value), self.names[:50])))
            out[i] = place
        return out


def characters(texts: Sequence[str]) -> Ragged:
    """Code points plus 3 between two marks: "ab" becomes 1, 100, 101, 2. One pass of numpy over all texts."""
    lengths = np.array([len(text) + 2 for text in texts], np.int64)
    offsets = np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths)])
    values = np.frombuffer("".join(f"\0{text}\0" for text in texts).encode("utf-32-le"), "<u4").astype(np.int64) + CHARACTERS
    values[offsets[:-1]], values[offsets[1:] - 1] = BEGIN, END
    return Ragged(values, offsets)


def class_name(value: Any) -> str:
    """The class that a raw value stands for: whole numbers are written without a point, so that CSV's 1.0 and JSON's 1 are one class.

    >>> class_name(1.0), class_name(1), class_name("spam")
    ('1', '1', 'spam')
    """
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def missing(value: Any) -> bool:
    """Whether nothing is there: None, an empty text, not a number."""
    return value is None or value == "" or value != value


def _ragged(rows: list[list[int]]) -> Ragged:
    offsets = np.concatenate([np.zeros(1, np.int64), np.cumsum([len(row) for row in rows], dtype=np.int64)])
    return Ragged(np.fromiter((i for row in rows for i in row), np.int64, int(offsets[-1])), offsets)
