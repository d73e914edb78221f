"""Class names, seeds and strengths of guidance to arrays, and arrays to pictures. No torch."""

import math
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any, Literal

import numpy as np

from thuja.codec import Arrays, Codec, Columns, Rows
from thuja.core.errors import BadRows, DataError, did_you_mean
from thuja.fields import AnyField, Category, Image, Number, Schema

SEED, GUIDANCE = "seed", "guidance"
SEEDS = 2**53 - 1
"""The largest seed: every whole number up to it is exact in JSON and in float64."""
STRONGEST = 8.0


class ImageGenerationCodec(Codec):
    """A class name as int64, a seed as int64 and, where the model takes it, the strength of guidance as float32; a picture to learn from as uint8 [height,
    width, channels], brought to that size as a whole (bilinear, averaging when it shrinks)."""

    kind: Literal["image-generation"] = "image-generation"
    image: str
    """Name of the column with pictures to learn from, and of the picture that is answered."""
    label: str
    """Name of the column with classes."""
    names: tuple[str, ...]
    """Classes, in the order of their numbers."""
    field: Image = Image()
    height: int
    width: int
    mean: tuple[float, ...]
    """Of each channel over the training pixels, 0 to 255."""
    std: tuple[float, ...]
    """Standard deviation, likewise."""
    guidance: float | None = None
    """Where a request says nothing; None: the model knows no guidance."""

    @cached_property
    def _inputs(self) -> dict[str, AnyField]:
        fields: dict[str, AnyField] = {
            self.label: Category(names=self.names, description="What the picture is to show."),
            SEED: Number(lower=0, upper=SEEDS, integer=True, missing=True, description="Another seed, another picture. Left out: 0.")}
        if self.guidance is not None:
            fields[GUIDANCE] = Number(lower=0, upper=STRONGEST, missing=True, description="How strictly the class is kept to: 1 is plain, more is plainer "
                                      f"and less varied, 0 ignores the class. Left out: {self.guidance:g}.")
        return fields

    def schema(self) -> Schema:  # type: ignore[override]
        """A class, a seed and the strength of guidance in; a picture out."""
        description = f"{self.width} x {self.height} pixels, as PNG."
        return Schema(inputs=self._inputs, outputs={self.image: self.field.model_copy(update={"description": description})})

    def encode(self, rows: Rows) -> Columns:
        """The inputs, and the pictures where they are there.

        Raises: BadRows for unknown classes, unusable seeds and strengths and for pictures that cannot be decoded; DataError for an absent input column.
        """
        for name in self._inputs:
            if name not in rows:
                raise DataError(name, expected="a column of this name", found=f"{len(rows)} others", fix=did_you_mean(name, rows))
        bad: dict[int, DataError] = {}
        columns: Columns = {self.label: self._labels(rows[self.label], bad), SEED: self._seeds(rows[SEED], bad)}
        if self.guidance is not None:
            columns[GUIDANCE] = self._strengths(rows[GUIDANCE], bad)
        if self.image in rows:
            columns[self.image] = self._pictures(rows[self.image], bad)
        if bad:
            raise BadRows(dict(bad))
        return columns

    def decode(self, outputs: Arrays) -> dict[str, list[Any]]:
        """uint8 [rows, height, width, channels] as one picture each."""
        return {self.image: list(outputs[self.image])}

    def _labels(self, values: Sequence[Any], bad: dict[int, DataError]) -> np.ndarray:
        places = {name: i for i, name in enumerate(self.names)}
        labels = np.zeros(len(values), np.int64)
        for i, value in enumerate(values):
            place = places.get(name_of(value)) if isinstance(value, (str, int, float, np.integer, np.floating)) else None
            if place is None:
                found = "nothing" if value is None or value == "" else repr(value)[:60]
                fix = did_you_mean(name_of(value), self.names[:50])
                bad.setdefault(i, DataError(f"rows[{i}].{self.label}", expected="a known class", found=found, fix=fix))
            else:
                labels[i] = place
        return labels

    def _seeds(self, values: Sequence[Any], bad: dict[int, DataError]) -> np.ndarray:
        seeds, check = np.zeros(len(values), np.int64), self._inputs[SEED].check
        for i, value in enumerate(values):
            if _given(check, value, (i, SEED), bad):
                if value != int(value):
                    bad.setdefault(i, DataError(f"rows[{i}].{SEED}", expected="a whole number", found=f"{value:g}", fix="Send a number without a fraction."))
                seeds[i] = int(value)
        return seeds

    def _strengths(self, values: Sequence[Any], bad: dict[int, DataError]) -> np.ndarray:
        strengths, check = np.full(len(values), self.guidance, np.float32), self._inputs[GUIDANCE].check
        for i, value in enumerate(values):
            if _given(check, value, (i, GUIDANCE), bad):
                strengths[i] = value
        return strengths

    def _pictures(self, values: Sequence[Any], bad: dict[int, DataError]) -> np.ndarray:
        shape = (self.height, self.width, self.field.channels)
        pictures = np.zeros((len(values), *shape), np.uint8)
        for i, value in enumerate(values):
            if isinstance(value, np.ndarray) and value.dtype == np.uint8 and (value.shape == shape or (*value.shape, 1) == shape):
                pictures[i] = value.reshape(shape)  # what Pillow would return, fifty times sooner
                continue
            try:
                pictures[i] = self.field.decode(value, f"rows[{i}].{self.image}", (self.height, self.width))
            except DataError as error:
                bad.setdefault(i, error)
        return pictures


def name_of(value: Any) -> str:
    """The class that a raw value stands for; whole numbers are written without a point, so that 3.0, 3 and "3" are one class."""
    return str(int(value)) if isinstance(value, (float, np.floating)) and float(value).is_integer() else str(value)


def _given(check: Callable[[Any, str], None], value: Any, place: tuple[int, str], bad: dict[int, DataError]) -> bool:
    """Whether a number is there and usable; what is not usable is noted in `bad`."""
    row, name = place
    try:
        check(value, f"rows[{row}].{name}")
    except DataError as error:
        bad.setdefault(row, error)
        return False
    return value is not None and not math.isnan(value)
