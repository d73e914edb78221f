"""What is learned of training pictures before any weight: the classes, the usual shape, mean and spread of the pixels. No torch."""

from typing import NamedTuple, Protocol

import numpy as np

from thuja.apps.object_detection.codec import ObjectDetectionCodec
from thuja.codec import Rows
from thuja.core.errors import BadRows, DataError, SpecError, did_you_mean
from thuja.fields import Boxes, Image

SAMPLE = 64
"""Pictures looked at."""
LONGER = 320
"""Pixels along the longer side that `auto` gives a letter box at most."""


class _Source(Protocol):
    names: tuple[str, ...]

    def __len__(self) -> int: ...
    def take(self, index: np.ndarray) -> Rows: ...


class Seen(NamedTuple):
    """Some readable training pictures."""

    values: list[object]
    shapes: np.ndarray
    """[rows, 2], height and width, upright."""


def field(channels: int) -> Image:
    """Of the pictures."""
    return Image(channels=1 if channels == 1 else 3)


def names(source: _Source, image: str, target: str) -> tuple[str, ...]:
    """All classes, by name. Raises: DataError for an absent column, lists that are none of boxes where all are, or no box at all."""
    for name in (image, target):
        if name not in source.names:
            raise DataError(name, expected="a column of this name", found=f"{len(source.names)} others", fix=did_you_mean(name, source.names))
    known, wrong, check = set[str](), None, Boxes(most=1 << 30)
    for index in np.array_split(np.arange(len(source)), max(1, len(source) // 1024)):
        for place, value in zip(index, source.take(index)[target], strict=True):
            try:
                check.check(value, f"rows[{place}].{target}")
                known |= {entry["label"] for entry in value}
            except DataError as error:  # one among many is counted where the columns are cached
                wrong = error
    if not known:
        raise wrong or DataError(target, expected="at least one box", found="none in any picture", fix="Check that the annotations belong to these pictures.")
    return tuple(sorted(known))


def look(source: _Source, image: str, channels: int) -> Seen:
    """Raises: DataError where no picture can be read."""
    index = np.unique(np.linspace(0, len(source) - 1, min(len(source), SAMPLE)).astype(np.int64))
    values, shapes, wrong = [], [], None
    for part in np.array_split(index, max(1, len(index) // 32)):
        for value in source.take(part)[image]:
            try:
                shapes.append(field(channels).decode(value, image).shape[:2])
                values.append(value)
            except DataError as error:
                wrong = error
    if not values:
        assert wrong is not None
        raise DataError(image, expected="pictures", found=f"none that can be read (expected {wrong.expected}, found {wrong.found})", fix=wrong.fix)
    return Seen(values, np.array(shapes))


def size(seen: Seen, step: int) -> tuple[int, int]:
    """Height and width of the letter box: the median of each, scaled down together until the longer is at most LONGER, rounded up to multiples of `step`."""
    height, width = np.median(seen.shapes, axis=0)
    shrink = min(1.0, LONGER / max(height, width))
    return tuple(max(step, step * int(np.ceil(side * shrink / step - 1e-9))) for side in (height, width))  # type: ignore[return-value]


def multiple(size: int | tuple[int, int], step: int) -> tuple[int, int]:
    """The size as height and width. Raises: SpecError where it is no multiple of `step`."""
    height, width = (size, size) if isinstance(size, int) else size
    if height % step or width % step:
        near = [max(step, step * round(side / step)) for side in (height, width)]
        raise SpecError("task.size", expected=f"multiples of {step}", found=f"{height} x {width}", fix=f"Set it to [{near[0]}, {near[1]}].")
    return height, width


def statistics(codec: ObjectDetectionCodec, seen: Seen) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and spread of each channel of the letter boxes, grey margins included."""
    try:
        pixels = np.asarray(codec.encode({codec.image: seen.values})[codec.image])
    except BadRows as error:
        raise AssertionError("pictures that were read cannot be read again") from error
    mean = pixels.mean(axis=(0, 1, 2), dtype=np.float64)
    square = np.mean([np.square(picture.astype(np.float32) - mean).mean(axis=(0, 1)) for picture in pixels], axis=0)
    return tuple(round(float(v), 4) for v in mean), tuple(round(float(v), 4) for v in np.sqrt(square))
