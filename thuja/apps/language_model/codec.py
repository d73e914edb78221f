"""Texts and ids: prompts with the settings of an answer, and rows to learn from with what of them is scored. No torch."""

import math
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any, Literal

import numpy as np
from pydantic import NonNegativeFloat, PositiveInt

from thuja.apps.language_model import template
from thuja.apps.language_model.rows import PROMPT, SETTINGS, TEXT
from thuja.codec import Arrays, Codec, Columns, Ragged, Rows, ragged
from thuja.core.errors import BadRows, DataError, ThujaError, did_you_mean
from thuja.fields import AnyField, Category, Number, Schema, Text
from thuja.vocabulary import BEGIN, END, AnyVocabulary

SCORED = "scored"
RowKind = Literal["documents", "passages", "messages"]
OPENING = "\n"
"""What an empty prompt is read as where the rows are passages of one text, which has no beginning to speak of."""
LONGEST = 1_000_000
"""Characters of the longest prompt that is taken at all, to be cut."""
CHARACTERS = {"characters": 1, "bytes": 1, "byte-pairs": 16, "borrowed": 16}
"""Most characters that a token is taken to be, for the schema's limit."""
FINISH = ("length", "stop")
HOTTEST, SEEDS = 2.0, 2**53 - 1


class LanguageModelCodec(Codec):
    """A vocabulary, the template of conversations, and the limits.

    Encoded inputs: `prompt`, ragged int64, no row empty, and the five settings, a number a row. Where `rows` has texts to learn from: `text`, ragged int64,
    with `scored`, ragged uint8, 1 for the tokens that count (what is only read does not: the end of the passage before, what others than the assistant
    say), and the numbers of `characters` and `bytes`.
    """

    kind: Literal["language-model"] = "language-model"
    rows: RowKind
    vocabulary: AnyVocabulary
    context: PositiveInt
    """Tokens that the model sees at a time."""
    overlap: PositiveInt = 1
    """Tokens before a passage that are read with it."""
    too_long: Literal["refuse", "cut"] = "refuse"
    most: PositiveInt
    """Tokens of the longest answer."""
    temperature: NonNegativeFloat = 1.0
    """Where a request says nothing."""
    roles: tuple[str, ...] = template.ROLES
    """Their marks are the ids after the vocabulary's."""

    @property
    def tokens(self) -> int:
        """How many ids there are, marks included."""
        return self.vocabulary.size + len(self.roles)

    @property
    def barred(self) -> tuple[int, ...]:
        """Ids that no answer may hold: all that is not text, but for the end where texts have one."""
        return tuple(i for i in (0, 1, 2, 3, *range(self.vocabulary.size, self.tokens)) if i != END or self.rows == "passages")

    @cached_property
    def _fields(self) -> dict[str, AnyField]:
        longest = self.context * CHARACTERS[self.vocabulary.kind]
        cut = f"Its last {self.context} tokens are read." if self.too_long == "cut" else f"At most {self.context} tokens."
        return {
            PROMPT: Text(max_characters=LONGEST if self.too_long == "cut" else longest + 64 * len(self.roles), description=cut),
            "temperature": Number(lower=0, upper=HOTTEST, missing=True, description=f"0: always the likeliest token. Left out: {self.temperature:g}."),
            "top_k": Number(lower=0, upper=self.tokens, integer=True, missing=True, description="Only so many of the likeliest tokens. Left out, or 0: all."),
            "top_p": Number(lower=0, upper=1, missing=True, description="Only the likeliest tokens that hold this share of the probability. Left out: 1."),
            "max_tokens": Number(lower=1, upper=self.most, integer=True, missing=True, description=f"Longest answer. Left out: {self.most}."),
            "seed": Number(lower=0, upper=SEEDS, integer=True, missing=True, description="Another seed, another answer. Left out: 0."),
        }

    def schema(self) -> Schema:  # type: ignore[override]
        """A prompt and the settings of an answer in; the text that follows out."""
        outputs: dict[str, AnyField] = {
            TEXT: Text(description="What follows the prompt."), "tokens": Number(lower=0, upper=self.most + 1, integer=True),
                   "log_probability": Number(description="Of the answer, in nats, as the model sees it."), "finish": Category(names=FINISH)}
        return Schema(inputs=self._fields, outputs=outputs)

    def conversation(self, messages: list[dict[str, str]]) -> str:
        """The prompt after which the assistant speaks. Raises: DataError, also where the model has never seen a conversation."""
        if self.rows != "messages":
            raise DataError("messages", expected="a model that was trained on conversations", found=f"one trained on {self.rows}",
                            fix="Ask it to go on with a text: /v1/completions, or /predict.")
        return template.asked(messages)

    def count(self, text: str) -> int:
        """How many tokens a text is, as a prompt."""
        return len(self._prompt(self._ids([text])[0]))

    def encode(self, rows: Rows) -> Columns:
        """See the class. Raises: BadRows for what is no text, too long, or no usable setting; DataError for an absent column."""
        for name in (PROMPT, *SETTINGS):
            if name not in rows:
                raise DataError(name, expected="a column of this name", found=f"{len(rows)} others", fix=did_you_mean(name, rows))
        bad: dict[int, ThujaError] = {}
        prompts = self._texts(rows[PROMPT], PROMPT, bad)
        ids = [self._prompt(row) for row in self._ids(prompts)]
        for i, row in enumerate(ids):
            if len(row) > self.context and self.too_long == "refuse":
                bad.setdefault(i, DataError(f"rows[{i}].{PROMPT}", expected=f"at most {self.context} tokens", found=str(len(row)),
                                            fix="Send a shorter prompt, or train with a longer task.context or task.too_long: cut."))
        defaults = {"temperature": self.temperature, "top_k": 0, "top_p": 1.0, "max_tokens": self.most, "seed": 0}
        columns: Columns = {name: self._numbers(rows[name], name, default, bad) for name, default in defaults.items()}
        texts = self._texts(rows[TEXT], TEXT, bad) if TEXT in rows else None
        if bad:
            raise BadRows(bad)
        columns[PROMPT] = ragged([row[-self.context :] for row in ids])
        return columns if texts is None else columns | self._learned(ids, texts)

    def decode(self, outputs: Arrays) -> dict[str, list[Any]]:
        """`text` int64 [rows, places] with `tokens` [rows] of each, and `log_probability`, as what they say."""
        answers = self._answers(outputs)
        finish = [FINISH[int(len(row) > 0 and row[-1] == END)] for row in answers]
        return {TEXT: self.vocabulary.decode(answers), "tokens": [int(n) for n in outputs["tokens"]],
                "log_probability": [float(value) for value in outputs["log_probability"]], "finish": finish}

    def partial(self, state: Arrays) -> list[str]:
        """The texts so far; a character of which only the first bytes are there waits."""
        return self.vocabulary.decode(self._answers(state), whole=False)

    def _answers(self, arrays: Arrays) -> list[list[int]]:
        return [row[:n].tolist() for row, n in zip(arrays[TEXT], arrays["tokens"], strict=True)]

    def _ids(self, texts: Sequence[str]) -> list[np.ndarray]:
        """Ids of texts; in conversations, marks are tokens of their own."""
        if self.rows != "messages":
            return _rows(self.vocabulary.encode(texts))
        pieces = [template.MARK.split(text) for text in texts]
        plain = iter(_rows(self.vocabulary.encode([piece for parts in pieces for piece in parts[::2]])))
        marks = {name: np.array([i], np.int64) for i, name in enumerate(self.roles, self.vocabulary.size)} | {"end": np.array([END], np.int64)}
        return [np.concatenate([marks[part] if place % 2 else next(plain) for place, part in enumerate(parts)]) for parts in pieces]

    def _prompt(self, ids: np.ndarray) -> np.ndarray:
        """Ids of a prompt as the model reads it: after a beginning, or where there is none, never empty."""
        if self.rows != "passages":
            return np.append(np.int64(BEGIN), ids)
        return ids if len(ids) else self._opening

    @cached_property
    def _opening(self) -> np.ndarray:
        opening: np.ndarray = self.vocabulary.encode([OPENING]).values
        return opening

    def _learned(self, prompts: list[np.ndarray], texts: list[str]) -> Columns:
        rows, scored = [], []
        for prompt, ids in zip(prompts, self._ids(texts), strict=True):
            before = prompt[-self.overlap :] if self.rows == "passages" else np.array([BEGIN], np.int64)
            after = [END] if self.rows == "documents" else []
            row = np.concatenate([before, ids, np.array(after, np.int64)])
            marked = np.ones(len(row), np.uint8) if self.rows != "messages" else self._spoken(row)
            marked[: len(before)] = 0
            rows.append(row)
            scored.append(marked)
        sizes = {"characters": [len(text) for text in texts], "bytes": [len(text.encode()) for text in texts]}
        return {TEXT: ragged(rows), SCORED: ragged(scored), **{name: np.array(values, np.int64) for name, values in sizes.items()}}

    def _spoken(self, row: np.ndarray) -> np.ndarray:
        """uint8, 1 for what the assistant says, the end of it included: tokens whose last mark before them is the assistant's."""
        marks = (row == END) | (row >= self.vocabulary.size)
        last = np.maximum.accumulate(np.where(marks, np.arange(len(row)), 0))
        before = np.append(0, last[:-1])
        spoken: np.ndarray = row[before] == self.vocabulary.size + self.roles.index(template.ASSISTANT)
        return spoken.astype(np.uint8)

    def _texts(self, values: Sequence[Any], name: str, bad: dict[int, ThujaError]) -> list[str]:
        field = self._fields[PROMPT] if name == PROMPT else Text(max_characters=1 << 40)
        return [str(value) if _good(field.check, value, f"rows[{i}].{name}", bad, i) else "" for i, value in enumerate(values)]

    def _numbers(self, values: Sequence[Any], name: str, default: float, bad: dict[int, ThujaError]) -> np.ndarray:
        field = self._fields[name]
        assert isinstance(field, Number)
        kind = np.int64 if field.integer else np.float32
        out = np.full(len(values), default, kind)
        for i, value in enumerate(values):
            if value is None or not _good(field.check, value, f"rows[{i}].{name}", bad, i) or math.isnan(value):
                continue
            if field.integer and value != int(value):
                bad.setdefault(i, DataError(f"rows[{i}].{name}", expected="a whole number", found=f"{value:g}", fix="Send a number without a fraction."))
                continue
            out[i] = int(value) if field.integer else value
        return out


def _good(check: Callable[[Any, str], None], value: Any, where: str, bad: dict[int, ThujaError], row: int) -> bool:
    try:
        check(value, where)
    except DataError as error:
        bad.setdefault(row, error)
        return False
    return True


def _rows(encoded: Ragged) -> list[np.ndarray]:
    return np.split(encoded.values, encoded.offsets[1:-1])
