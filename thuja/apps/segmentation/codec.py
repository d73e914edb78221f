"""Pictures to tiles, masks to class numbers, and the answers of all tiles to one mask of the picture as it was sent. No torch."""

from collections.abc import Sequence
from functools import cached_property
from typing import Any, Literal

import numpy as np
from pydantic import PositiveInt

from thuja.apps.segmentation.tiles import VOID, Grid, cut, joined, owners
from thuja.codec import Arrays, Codec, Columns, Rows, ragged
from thuja.core.errors import BadRows, DataError, ThujaError, did_you_mean
from thuja.fields import Image, Mask, Schema, Scores
from thuja.fields.regions import objects

UNKNOWN = 254
"""In the table from raw numbers to classes: a number that no training mask has."""
MOST_CLASSES = 250


class SegmentationCodec(Codec):
    """A picture of any size as tiles uint8 [tiles, height, width, channels], ragged, with what each tile owns and how large the picture is beside them; a mask
    as tiles of class numbers uint8, `VOID` where nothing is learned. Nothing is scaled: a pixel of the answer is a pixel of the picture."""

    kind: Literal["segmentation"] = "segmentation"
    image: str
    """Name of the column with pictures."""
    target: str
    """Name of the column with masks."""
    names: tuple[str, ...]
    """Classes, in the order of their numbers in the answer."""
    values: tuple[int, ...]
    """The number of each class in the training masks; 0 and 1 where `instances` are told apart."""
    void: tuple[int, ...] = ()
    """Numbers in masks that mean: not known, not judged."""
    instances: bool = False
    """Whether a mask numbers single objects; all numbers above 0 are one class then, and the answer is also given as objects."""
    least_object: PositiveInt = 1
    """Pixels of the smallest object that is answered."""
    field: Image = Image()
    height: PositiveInt
    """Of a tile."""
    width: PositiveInt
    halo: int
    align: PositiveInt
    mean: tuple[float, ...] = ()
    """Of each channel over the training pixels, 0 to 255."""
    std: tuple[float, ...] = ()
    frequency: tuple[float, ...] = ()
    """Share of the training pixels that each class has."""

    @property
    def owned(self) -> str:
        """Name of the column that says what each tile owns."""
        return f"{self.image}_owned"

    @property
    def size(self) -> str:
        """Name of the column with height and width of the picture."""
        return f"{self.image}_size"

    @property
    def judged(self) -> range:
        """The classes whose overlap is measured: without the first of two, which is the other one's absence, and without a first one called background."""
        return range(1 if len(self.names) == 2 or self.names[0] == "background" else 0, len(self.names))

    @cached_property
    def grid(self) -> Grid:
        """How pictures are cut into tiles."""
        return Grid(self.height, self.width, self.halo, self.align)

    @cached_property
    def mask(self) -> Mask:
        """What a training mask may be."""
        return Mask(max_pixels=self.field.max_pixels)

    @cached_property
    def _table(self) -> np.ndarray:
        """From numbers in masks to classes: uint8 [65536]."""
        table = np.full(65_536, UNKNOWN, np.uint8)
        if self.instances:
            table[:] = 1
            table[0] = 0
        else:
            table[list(self.values)] = np.arange(len(self.values))
        table[list(self.void)] = VOID
        return table

    def schema(self) -> Schema:  # type: ignore[override]
        """A picture in; its `mask` and the `shares` of the classes out, and `objects` where single ones are told apart."""
        limit = self.field.max_pixels
        outputs: dict[str, Any] = {"mask": Mask(names=self.names, max_pixels=limit), "shares": Scores(names=self.names)}
        return Schema(inputs={self.image: self.field}, outputs=outputs | ({"objects": Mask(instances=True, max_pixels=limit)} if self.instances else {}))

    def encode(self, rows: Rows) -> Columns:
        """The tiles of every picture, `owned` int64 [tiles, 4] and `size` int64 [rows, 2], and the tiles of the masks where `rows` has them.

        Raises: BadRows for pictures and masks that cannot be read, masks of another size than their picture and masks with unknown numbers; DataError for an
        absent picture column.
        """
        if self.image not in rows:
            raise DataError(self.image, expected="a column of this name", found=f"{len(rows)} others", fix=did_you_mean(self.image, rows))
        bad: dict[int, ThujaError] = {}
        pictures = []
        for i, value in enumerate(rows[self.image]):
            try:
                pictures.append(self.field.decode(value, f"rows[{i}].{self.image}"))
            except DataError as error:
                bad[i] = error
                pictures.append(np.zeros((1, 1, self.field.channels), np.uint8))
        masks = self._masks(rows[self.target], pictures, bad) if self.target in rows else None
        if bad:
            raise BadRows(bad)
        sizes = np.array([picture.shape[:2] for picture in pictures], np.int64).reshape(-1, 2)
        columns: Columns = {self.image: ragged([cut(picture, self.grid) for picture in pictures]), self.size: sizes,
                            self.owned: ragged([owners((int(height), int(width)), self.grid) for height, width in sizes])}
        return columns if masks is None else columns | {self.target: ragged([cut(mask, self.grid, fill=VOID) for mask in masks])}

    def decode(self, outputs: Arrays) -> dict[str, list[Any]]:
        """`mask` uint8 [rows, tiles, height, width], `size` int64 [rows, 2] and `share` float [rows, classes] as a mask of each picture, and the share of each
        class in it, which is the mean of its probability over the pixels."""
        masks = [self.whole(tiles, size) for tiles, size in zip(outputs["mask"], outputs["size"], strict=True)]
        share = np.clip(outputs["share"].astype(float), 0, 1)
        found: dict[str, list[Any]] = {"mask": masks, "shares": [dict(zip(self.names, row, strict=True)) for row in share.tolist()]}
        return found | {"objects": [self.objects(mask) for mask in masks]} if self.instances else found

    def whole(self, tiles: np.ndarray, size: np.ndarray) -> np.ndarray:
        """The picture of height and width `size` that these tiles are of."""
        return joined(tiles, (int(size[0]), int(size[1])), self.grid)

    def objects(self, mask: np.ndarray) -> np.ndarray:
        """Single objects of an answer: uint16 [height, width], connected pixels of any class but the first."""
        return objects(mask > 0, self.least_object)

    def classes_of(self, numbers: np.ndarray, where: str) -> np.ndarray:
        """The classes of a raw mask's numbers: uint8, VOID where nothing is learned. Raises: DataError for numbers that no training mask has."""
        classes: np.ndarray = self._table[numbers]
        if (classes == UNKNOWN).any():
            odd = np.unique(numbers[classes == UNKNOWN])
            raise DataError(where, expected=f"the numbers {', '.join(map(str, [*self.values, *self.void]))}"[:200], found=", ".join(map(str, odd[:5].tolist())),
                            fix="Correct the mask, or add the number to task.values or task.void.")
        return classes

    def _masks(self, values: Sequence[Any], pictures: list[np.ndarray], bad: dict[int, ThujaError]) -> list[np.ndarray]:
        masks = []
        for i, (value, picture) in enumerate(zip(values, pictures, strict=True)):
            where, (height, width) = f"rows[{i}].{self.target}", picture.shape[:2]
            mask = np.zeros((height, width), np.uint8)
            try:
                numbers = self.mask.decode(value, where)
                if i not in bad and numbers.shape != (height, width):
                    raise DataError(where, expected=f"a mask of {width} x {height} pixels, like its picture", found=f"{numbers.shape[1]} x {numbers.shape[0]}",
                                    fix="Save both at the same size; a picture is turned upright by its EXIF tag first.")
                mask = self.classes_of(numbers, where) if i not in bad else mask
            except DataError as error:
                bad.setdefault(i, error)
            masks.append(mask)
        return masks
