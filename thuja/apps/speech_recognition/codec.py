"""Recordings to samples, transcripts to tokens, and the probabilities of frames back to text. No torch."""

import re
from collections.abc import Sequence
from functools import cached_property
from typing import Any, Literal

import numpy as np
from pydantic import PositiveFloat, PositiveInt

from thuja.apps.speech_recognition import ctc
from thuja.codec import Arrays, Codec, Columns, Rows, ragged
from thuja.core.errors import BadRows, DataError, MissingExtra, ThujaError, did_you_mean
from thuja.fields import Audio, Number, Schema, Text
from thuja.fields.audio import whole_numbers

LONGEST_TEXT = 100_000


class SpeechRecognitionCodec(Codec):
    """A recording as int16 samples at `rate`, ragged, with its number of samples beside it; a transcript as tokens, ragged int64 from 1 on.

    Token 0 is the blank of CTC, and padding. The others are the characters or the words of the training transcripts.
    """

    kind: Literal["speech-recognition"] = "speech-recognition"
    audio: str
    """Name of the column with recordings."""
    target: str
    """Name of the column with what was said."""
    rate: PositiveInt
    """Samples a second."""
    max_seconds: PositiveFloat
    units: Literal["characters", "words"]
    tokens: tuple[str, ...]
    """Characters or words, the first of them token 1."""
    lowercase: bool = True
    stride: PositiveInt
    """Samples that become one frame of the answer."""
    beam: PositiveInt = 1
    """Prefixes kept in the search; 1: the likeliest token of every frame."""
    mean: tuple[float, ...] = ()
    """Of each band of the spectrogram over the training rows."""
    std: tuple[float, ...] = ()
    """Standard deviation, likewise."""

    @property
    def length(self) -> str:
        """Name of the column with the number of samples."""
        return f"{self.audio}_length"

    @cached_property
    def field(self) -> Audio:
        """What a recording may be."""
        return Audio(rate=self.rate, max_seconds=self.max_seconds,
                     description=f"Up to {self.max_seconds:g} s. Several channels are mixed into one; other rates are resampled to {self.rate} Hz.")

    @cached_property
    def _places(self) -> dict[str, int]:
        return {token: i for i, token in enumerate(self.tokens, 1)}

    def schema(self) -> Schema:  # type: ignore[override]
        """A recording in; its `text` and the `log_probability` of that text out."""
        return Schema(inputs={self.audio: self.field},
                      outputs={"text": Text(max_characters=LONGEST_TEXT, description=self.target),
                               "log_probability": Number(upper=0, description="Of this text given the recording, in nats; 0 is certain.")})

    def encode(self, rows: Rows) -> Columns:
        """Samples int16, ragged, their number int64 [rows], and tokens int64, ragged, where `rows` has the target.

        Raises: BadRows for what is no usable recording, and for transcripts that are empty, have unknown tokens, or do not fit into their recording;
        DataError for an absent column.
        """
        if self.audio not in rows:
            raise DataError(self.audio, expected="a column of this name", found=f"{len(rows)} others", fix=did_you_mean(self.audio, rows))
        bad: dict[int, ThujaError] = {}
        samples: list[np.ndarray] = []
        for i, value in enumerate(rows[self.audio]):
            try:
                samples.append(whole_numbers(self.field.decode(value, f"rows[{i}].{self.audio}")))
            except (DataError, MissingExtra) as error:
                bad[i] = error
                samples.append(np.zeros(0, np.int16))
        targets = self._targets(rows[self.target], samples, bad) if self.target in rows else None
        if bad:
            raise BadRows(bad)
        columns: Columns = {self.audio: ragged(samples), self.length: np.array([len(row) for row in samples], np.int64)}
        return columns if targets is None else columns | {self.target: ragged(targets)}

    def decode(self, outputs: Arrays) -> dict[str, list[Any]]:
        """`log_probability` float [rows, frames, tokens] and `frames` int [rows] as texts and their log-probabilities."""
        logs, frames = outputs["log_probability"], outputs["frames"]
        found = ctc.greedy(logs, frames) if self.beam == 1 else ctc.beam(logs, frames, self.beam)
        return {"text": [self.text_of(row) for row in found], "log_probability": np.minimum(ctc.score(logs, frames, found), 0).tolist()}

    def text_of(self, tokens: Sequence[int]) -> str:
        """Tokens as text."""
        return (" " if self.units == "words" else "").join(self.tokens[token - 1] for token in tokens if token)

    def _targets(self, values: Sequence[Any], samples: list[np.ndarray], bad: dict[int, ThujaError]) -> list[np.ndarray]:
        targets = []
        for i, value in enumerate(values):
            where = f"rows[{i}].{self.target}"
            parts = cut(normal(value, self.lowercase), self.units)
            tokens = np.array([self._places.get(part, 0) for part in parts], np.int64)
            targets.append(tokens)
            frames, needed = -(-len(samples[i]) // self.stride), len(tokens) + int((np.diff(tokens) == 0).sum())
            if not parts:
                bad.setdefault(i, DataError(where, expected="what was said", found="nothing", fix="Write it, or leave the recording out."))
            elif not tokens.all():
                unknown = parts[int(np.argmin(tokens))]
                bad.setdefault(i, DataError(where, expected=f"known {self.units}", found=repr(unknown)[:60], fix="Add training recordings with it."))
            elif needed > frames:
                bad.setdefault(i, DataError(where, expected=f"a transcript that fits into {frames} frames of {1000 * self.stride / self.rate:g} ms",
                                            found=f"{len(tokens)} {self.units}", fix="Check that it belongs to this recording, or lower subsampling."))
        return targets


def normal(value: Any, lowercase: bool) -> str:
    """What was said, each run of white space one space, nothing where it is missing; whole numbers are written without a point.

    >>> normal(" Seven  THREE ", True), normal(7.0, True), normal(None, True)
    ('seven three', '7', '')
    """
    if value is None or value != value:
        return ""
    text = str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)
    text = re.sub(r"\s+", " ", text).strip()
    return text.lower() if lowercase else text


def cut(text: str, units: str) -> list[str]:
    """A text as its characters or its words.

    >>> cut("on it", "words"), cut("on", "characters")
    (['on', 'it'], ['o', 'n'])
    """
    return text.split() if units == "words" else list(text)
