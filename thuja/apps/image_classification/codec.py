"""Pictures and class names to arrays and back. No torch."""

from typing import Any, Literal

import numpy as np

from thuja.apps.image_classification.labels import marked, numbered
from thuja.codec import Arrays, Codec, Columns, Rows
from thuja.core.errors import BadRows, DataError, ThujaError, did_you_mean
from thuja.fields import AnyField, Category, Image, Labels, Number, Schema, Scores


class ImageClassificationCodec(Codec):
    """A picture of any size as uint8 [height, width, channels], and one of `names` as int64, or several of them as float32 [names], 1 for those that are there.

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
    threshold: float | None = None
    """Given, a picture has all names that have this probability, which may be several or none."""
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
        """A picture in; `label`, `probability` (of that label) and `probabilities` out; of several names `labels` and `probabilities`."""
        inputs: dict[str, AnyField] = {self.image: self.field}
        if self.threshold is not None:
            likely = f"{self.target}: those with a probability of at least {self.threshold:g}"
            return Schema(inputs=inputs, outputs={"labels": Labels(names=self.names, threshold=self.threshold, description=likely),
                                                  "probabilities": Scores(names=self.names)})
        return Schema(inputs=inputs, outputs={"label": Category(names=self.names, description=self.target),
                                              "probability": Number(lower=0, upper=1, description="Of the label given."),
                                              "probabilities": Scores(names=self.names)})

    def encode(self, rows: Rows) -> Columns:
        """The image column uint8 [rows, height, width, channels], and the target int64 [rows], of several names float32 [rows, names], where it is there.

        Raises: BadRows for pictures that cannot be decoded and classes missing or unknown; DataError for an absent image column.
        """
        if self.image not in rows:
            raise DataError(self.image, expected="a column of this name", found=f"{len(rows)} others", fix=did_you_mean(self.image, rows))
        bad: dict[int, ThujaError] = {}
        values = rows[self.image]
        pictures = np.zeros((len(values), self.height, self.width, self.field.channels), np.uint8)
        for i, value in enumerate(values):
            try:
                pictures[i] = self._picture(value, f"rows[{i}].{self.image}")
            except DataError as error:
                bad[i] = error
        columns: Columns = {self.image: pictures}
        if self.target in rows:
            encode = numbered if self.threshold is None else marked
            columns[self.target] = encode(rows[self.target], self.names, self.target, bad)
        if bad:
            raise BadRows(bad)
        return columns

    def decode(self, outputs: Arrays) -> dict[str, list[Any]]:
        """`probability` float [rows, classes] as the best name, its probability, and all probabilities by name; `label_probability` as the likely names."""
        if self.threshold is not None:
            found = outputs["label_probability"].astype(float)
            return {"labels": [[name for name, likely in zip(self.names, row, strict=True) if likely] for row in self.decided(found)],
                    "probabilities": self._by_name(found)}
        probability = outputs["probability"].astype(float)
        return {"label": [self.names[i] for i in probability.argmax(axis=1)], "probability": probability.max(axis=1).tolist(),
                "probabilities": self._by_name(probability)}

    def decided(self, probability: np.ndarray) -> np.ndarray:
        """uint8 [rows, names]: which names are given."""
        assert self.threshold is not None
        return (probability.astype(float) >= self.threshold).astype(np.uint8)

    def _by_name(self, probability: np.ndarray) -> list[dict[str, float]]:
        return [dict(zip(self.names, row, strict=True)) for row in probability.tolist()]

    def _picture(self, value: Any, where: str) -> np.ndarray:
        shape = (self.height, self.width, self.field.channels)
        if isinstance(value, np.ndarray) and value.dtype == np.uint8 and (value.shape == shape or (*value.shape, 1) == shape):
            return value.reshape(shape)  # what Pillow would return, fifty times sooner
        return self.field.decode(value, where, (self.height, self.width))
