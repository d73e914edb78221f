"""Pictures of any shape to letter boxes of one size, boxes in pixels of the picture, and answers back. No torch."""

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np

from thuja.codec import Arrays, Codec, Columns, Rows, ragged
from thuja.core.errors import BadRows, DataError, did_you_mean
from thuja.fields import Boxes, Image, Schema
from thuja.fields.boxes import usable

FILL = 114
"""The grey around a picture that is of another shape than the letter box."""


class ObjectDetectionCodec(Codec):
    """A picture as uint8 [height, width, channels] and where it lies in it; boxes as float32 [any, 6].

    A picture is turned upright, brought to grey or colour, scaled by one factor until it fits, and put into the middle of a grey rectangle of the one size;
    nothing is stretched or cut off. `<image>_placed` float32 [6] says how: the scale across and down (they differ by the rounding to whole pixels), the pixels
    left of and above it, and its own width and height; the program turns its answers back with it. Boxes stay in pixels of the upright picture: number of the
    class from 1, left, top, right, bottom, and 1 where a box is to be ignored; cut off at the picture's edges, and left out where nothing is left.
    """

    kind: Literal["object-detection"] = "object-detection"
    image: str
    target: str
    names: tuple[str, ...] = ()
    """Classes, in the order of their numbers."""
    field: Image = Image()
    height: int
    width: int
    mean: tuple[float, ...] = ()
    """Of each channel over the training pixels, 0 to 255."""
    std: tuple[float, ...] = ()
    most: int = 100
    """Boxes answered at most."""
    threshold: float = 0.3
    """Least score of a box that is answered."""
    overlap: float = 0.5

    @property
    def placed(self) -> str:
        """The column that says where a picture lies in its letter box."""
        return f"{self.image}_placed"

    def schema(self) -> Schema:  # type: ignore[override]
        """A picture in; `boxes` out, the surest first."""
        return Schema(inputs={self.image: self.field}, outputs={"boxes": self.answers})

    @property
    def answers(self) -> Boxes:
        """What is answered."""
        return Boxes(names=self.names, most=self.most, threshold=self.threshold, overlap=self.overlap,
                     description="What was found, the surest first; in pixels of the picture as sent, turned upright.")

    def encode(self, rows: Rows) -> Columns:
        """Raises: BadRows for pictures that cannot be decoded, lists that are none of boxes, and unknown classes; DataError for an absent image column."""
        if self.image not in rows:
            raise DataError(self.image, expected="a column of this name", found=f"{len(rows)} others", fix=did_you_mean(self.image, rows))
        bad: dict[int, DataError] = {}
        values = rows[self.image]
        pictures = np.full((len(values), self.height, self.width, self.field.channels), FILL, np.uint8)
        placed = np.ones((len(values), 6), np.float32)
        for i, value in enumerate(values):
            try:
                placed[i] = self._put(pictures[i], self.field.decode(value, f"rows[{i}].{self.image}"))
            except DataError as error:
                bad[i] = error
        columns: Columns = {self.image: pictures, self.placed: placed}
        if self.target in rows:
            columns[self.target] = ragged(self._targets(rows[self.target], placed[:, 4:], bad))
        if bad:
            raise BadRows(dict(bad))
        return columns

    def _put(self, frame: np.ndarray, pixels: np.ndarray) -> tuple[float, ...]:
        """Scale a picture into `frame`; returns what `placed` holds of it."""
        from PIL import Image as Pillow
        from PIL.Image import Resampling

        height, width = pixels.shape[:2]
        scale = min(self.height / height, self.width / width)
        down, across = max(1, round(height * scale)), max(1, round(width * scale))
        if (down, across) != (height, width):
            picture = Pillow.fromarray(pixels if pixels.shape[2] == 3 else pixels[:, :, 0])
            pixels = np.asarray(picture.resize((across, down), Resampling.BILINEAR)).reshape(down, across, -1)
        top, left = (self.height - down) // 2, (self.width - across) // 2
        frame[top : top + down, left : left + across] = pixels
        return across / width, down / height, float(left), float(top), float(width), float(height)

    def _targets(self, values: Sequence[Any], sizes: np.ndarray, bad: dict[int, DataError]) -> list[np.ndarray]:
        """float32 [any, 6] for each row."""
        field, numbers = Boxes(names=self.names, most=1 << 30), {name: i + 1.0 for i, name in enumerate(self.names)}
        found = []
        for i, value in enumerate(values):
            entries = np.zeros((0, 6), np.float32)
            try:
                field.check(value, f"rows[{i}].{self.target}")
                corners = np.array([entry["box"] for entry in value], np.float64).reshape(-1, 4)
                inside, good = usable(corners, sizes[i].astype(np.float64))
                about = np.array([[numbers[entry["label"]], float(bool(entry.get("ignore")))] for entry in value]).reshape(-1, 2)
                entries = np.concatenate([about[:, :1], inside, about[:, 1:]], axis=1)[good].astype(np.float32)
            except DataError as error:
                bad.setdefault(i, error)
            found.append(entries)
        return found

    def decode(self, outputs: Arrays) -> dict[str, list[Any]]:
        """`boxes` [rows, k, 4], `score` [rows, k] (0 for an empty place) and `label` [rows, k] as lists of those of at least the threshold."""
        found = []
        for boxes, scores, labels in zip(outputs["boxes"].astype(float), outputs["score"].astype(float), outputs["label"], strict=True):
            good = np.flatnonzero((scores >= self.threshold) & (scores > 0))
            found.append([{"label": self.names[int(labels[i])], "box": boxes[i].tolist(), "score": float(scores[i])} for i in good])
        return {"boxes": found}
