"""Pictures and class names to arrays and back. No torch."""

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np

from thuja.codec import Arrays, Codec, Columns, Rows
from thuja.core.errors import BadRows, DataError, did_you_mean
from thuja.fields import Category, Image, Number, Schema, Scores


class ImageClassificationCodec(Codec):
    """A picture of any size as uint8 [height, width, channels], and one of `names` as int64.

    A picture is turned upright, brought to grey or colour, and scaled as a whole to height x width (bilinear, averaging when it shrinks). Its sides may be
    stretched unequally; nothing is cut off, so an object at the edge is seen.
    """

    kind: Literal["image-classification"] = "image-classification"
    image: str
    """Name of the column with pictures."""
    target: str
    """Name of the column with classes."""
    names: tuple[str, ...] = ()
    """Classes, in the order of the probabilities."""
    field: Image = Image()
    height: int
    width: int
    mean: tuple[float, ...] = ()
    """Of each channel over the training pixels, 0 to 255."""
    std: tuple[float, ...] = ()
    """Standard deviation, likewise."""
    moments: tuple[tuple[float, ...], ...] = ()
    """Mean products of the pixels of small standardised patches, in the order channel, row, column: what neighbouring pixels have in common."""

    def schema(self) -> Schema:  # type: ignore[override]
        """A picture in; `label`, `probability` (of that label) and `probabilities` out."""
        return Schema(inputs={self.image: self.field},
                      outputs={"label": Category(names=self.names, description=self.target),
                               "probability": Number(lower=0, upper=1, description="Of the label given."),
                               "probabilities": Scores(names=self.names)})

    def encode(self, rows: Rows) -> Columns:
        """The image column uint8 [rows, height, width, channels], and the target int64 [rows] where it is there.

        Raises: BadRows for pictures that cannot be decoded and classes missing or unknown; DataError for an absent image column.
        """
        if self.image not in rows:
            raise DataError(self.image, expected="a column of this name", found=f"{len(rows)} others", fix=did_you_mean(self.image, rows))
        bad: dict[int, DataError] = {}
        values = rows[self.image]
        pictures = np.zeros((len(values), self.height, self.width, self.field.channels), np.uint8)
        for i, value in enumerate(values):
            try:
                pictures[i] = self._picture(value, f"rows[{i}].{self.image}")
            except DataError as error:
                bad[i] = error
        columns: Columns = {self.image: pictures}
        if self.target in rows:
            columns[self.target] = self._targets(rows[self.target], bad)
        if bad:
            raise BadRows(dict(bad))
        return columns

    def decode(self, outputs: Arrays) -> dict[str, list[Any]]:
        """`probability` float [rows, classes] as the best name, its probability, and all probabilities by name."""
        probability = outputs["probability"].astype(float)
        return {"label": [self.names[i] for i in probability.argmax(axis=1)],
                "probability": probability.max(axis=1).tolist(),
                "probabilities": [dict(zip(self.names, row, strict=True)) for row in probability.tolist()]}

    def _picture(self, value: Any, where: str) -> np.ndarray:
        shape = (self.height, self.width, self.field.channels)
        if isinstance(value, np.ndarray) and value.dtype == np.uint8 and (value.shape == shape or (*value.shape, 1) == shape):
            return value.reshape(shape)  # what Pillow would return, fifty times sooner
        return self.field.decode(value, where, (self.height, self.width))

    def _targets(self, values: Sequence[Any], bad: dict[int, DataError]) -> np.ndarray:
        places = {name: i for i, name in enumerate(self.names)}
        targets = np.zeros(len(values), np.int64)
        for i, value in enumerate(values):
            place = None if value is None else places.get(name_of(value))
            if place is None:
                found = "nothing" if value is None or value == "" else repr(value)[:60]
                error = DataError(f"rows[{i}].{self.target}", expected="a known class", found=found, fix=did_you_mean(name_of(value), self.names[:50]))
                bad.setdefault(i, error)
            else:
                targets[i] = place
        return targets


def name_of(value: Any) -> str:
    """The class that a raw value stands for; whole numbers are written without a point, so that 3.0, 3 and "3" are one class.

    >>> name_of(3.0), name_of(3), name_of("cat")
    ('3', '3', 'cat')
    """
    return str(int(value)) if isinstance(value, (float, np.floating)) and float(value).is_integer() else str(value)
