"""A number for every pixel of a picture: the class it belongs to, or which object; as a PNG file, or an array."""

import base64
import io
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np

from thuja.core.errors import DataError
from thuja.fields.base import Field, from_base64, histogram_distance

FORMATS = ("PNG", "BMP", "GIF", "TIFF", "PPM")
"""Decoders that are allowed to run; those whose files keep numbers as they are."""
LARGEST = 65_535


class Mask(Field):
    """Whole numbers [height, width], 0 to 65535: of classes in the order of `names`, or with `instances` of single objects, each with a number from 1 on."""

    kind: Literal["mask"] = "mask"
    names: tuple[str, ...] = ()
    """Of the classes 0, 1, ...; empty: any number may be there."""
    instances: bool = False
    """Whether the numbers tell objects apart; 0 is what is no object."""
    max_pixels: int = 50_000_000
    max_bytes: int = 20_000_000

    def check(self, value: Any, where: str) -> None:
        if isinstance(value, np.ndarray):
            self._check_array(value, where)
        elif not isinstance(value, (bytes, Path)):
            raise DataError(where, expected="a mask", found=f"text {value[:40]!r}" if isinstance(value, str) else type(value).__name__,
                            fix="Give the bytes of a PNG file, or whole numbers, height x width.")

    def _check_array(self, value: np.ndarray, where: str) -> None:
        if value.dtype.kind not in "bui" or value.ndim != 2 or not value.size:
            raise DataError(where, expected="whole numbers, height x width", found=f"{value.dtype} of shape {value.shape}", fix="Convert with astype('uint8').")
        least, most = int(value.min()), int(value.max())
        last = len(self.names) - 1 if self.names and not self.instances else LARGEST
        if least < 0 or most > last:
            raise DataError(where, expected=f"numbers from 0 to {last}", found=str(least if least < 0 else most), fix="Number the classes from 0 on.")

    def decode(self, value: Any, where: str) -> np.ndarray:
        """The numbers of a raw value: uint8 or uint16 [height, width]; black-and-white files give 0 and 1.

        Raises: DataError for what is no whole mask of reasonable size, has colours, or lies in a JPEG file, which does not keep numbers.
        """
        self.check(value, where)
        if isinstance(value, np.ndarray):
            return value.astype(np.uint8 if value.max() < 256 else np.uint16)
        from PIL import Image as Pillow
        from PIL import UnidentifiedImageError

        try:
            data = value.read_bytes() if isinstance(value, Path) else value
        except OSError as error:
            raise DataError(where, expected="a readable file", found=error.strerror or "an error", fix=f"Check that {value} exists.") from error
        if data.startswith(b"\xff\xd8"):
            raise DataError(where, expected="a mask as a PNG file", found="a JPEG file, which changes the numbers", fix="Save the mask as PNG.")
        if len(data) > self.max_bytes:
            raise DataError(where, expected=f"at most {self.max_bytes} bytes", found=str(len(data)), fix="Give a smaller mask.")
        try:
            with Pillow.open(io.BytesIO(data), formats=FORMATS) as picture:  # reads the header only
                if picture.width * picture.height > self.max_pixels:
                    raise DataError(where, expected=f"at most {self.max_pixels} pixels", found=f"{picture.width} x {picture.height}",
                                    fix="Cut the picture and its mask, or raise max_pixels.")
                return _numbers(picture, where)
        except Pillow.DecompressionBombError as error:
            raise DataError(where, expected=f"at most {self.max_pixels} pixels", found="a decompression bomb", fix="Cut the picture and its mask.") from error
        except UnidentifiedImageError as error:
            found = "an empty file" if not data else f"{len(data)} bytes of something else"
            raise DataError(where, expected="a mask", found=found, fix="Give a whole PNG file.") from error
        except (OSError, SyntaxError, ValueError, EOFError, TypeError, IndexError, OverflowError) as error:
            raise DataError(where, expected="a whole mask", found="a truncated or damaged file", fix="Save the file again, or leave it out.") from error

    def alike(self, one: Any, other: Any, share: float) -> bool:
        """Whether two masks, as JSON data, differ in no more than a `share` of their pixels, or one: pixels whose two best classes are as good as equal may go
        either way. Objects are compared by where there are any."""
        if not isinstance(one, str) or not isinstance(other, str):
            return False
        first, second = (self.decode(base64.b64decode(text), "mask") for text in (one, other))
        if self.instances:
            first, second = first > 0, second > 0
        return first.shape == second.shape and int((first != second).sum()) <= math.ceil(share * first.size)

    def to_json(self, value: Any) -> Any:
        if isinstance(value, Path):
            value = value.read_bytes()
        return base64.b64encode(png(value) if isinstance(value, np.ndarray) else value).decode()

    def from_json(self, value: Any, where: str) -> bytes:
        return from_base64(value, where, "a mask", self.max_bytes, "Send a smaller mask.")

    def json_schema(self) -> dict[str, Any]:
        numbers = "numbers of objects, 0 where there is none" if self.instances else "class numbers"
        named = "" if self.instances or not self.names else ": " + ", ".join(f"{place} {name}" for place, name in enumerate(self.names[:50]))
        return {"type": "string", "contentEncoding": "base64", "contentMediaType": "image/png",
                "description": self.description or f"a grey PNG file as base64; its pixels are {numbers}{named}"}

    def fake(self, rng: np.random.Generator, count: int) -> list[Any]:
        most = 9 if self.instances or not self.names else len(self.names)
        cells = [rng.integers(0, most, size=(int(rows), int(columns)), dtype=np.uint8) for rows, columns in rng.integers(1, 6, size=(count, 2))]
        return [np.repeat(np.repeat(cell, 7, axis=0), 5, axis=1) for cell in cells]

    def summarise(self, values: Sequence[Any]) -> dict[str, Any]:
        bins = 2 if self.instances or not self.names else len(self.names)
        counts = np.zeros(bins)
        for value in values:
            numbers = self.decode(value, "mask")
            counts += np.bincount(np.minimum(numbers, bins - 1).ravel(), minlength=bins) / numbers.size
        return {"rows": len(values), "shares": np.round(counts / max(len(values), 1), 6).tolist()}

    def distance(self, old: dict[str, Any], new: dict[str, Any]) -> float:
        return histogram_distance(old["shares"], new["shares"])


def png(numbers: np.ndarray) -> bytes:
    """Whole numbers [height, width] as the bytes of a grey PNG file, of 16 bits where a number is above 255."""
    from PIL import Image as Pillow

    out = io.BytesIO()
    Pillow.fromarray(numbers.astype(np.uint8 if int(numbers.max(initial=0)) < 256 else np.uint16)).save(out, "PNG")
    return out.getvalue()


def _numbers(picture: Any, where: str) -> np.ndarray:
    """The numbers in a file that Pillow has opened; of colours, only shades of grey are numbers."""
    array = np.asarray(picture)
    if array.ndim == 3:
        colours = array[:, :, : 1 if picture.mode == "LA" else 3]
        if (colours != colours[:, :, :1]).any():
            raise DataError(where, expected="one number a pixel", found="a mask in colours", fix="Save the mask as a grey or palette PNG of class numbers.")
        array = colours[:, :, 0]
    if array.dtype.kind not in "bui" or array.min() < 0 or array.max() > LARGEST:
        raise DataError(where, expected=f"whole numbers from 0 to {LARGEST}", found=f"{array.dtype} up to {array.max():g}", fix="Save the mask as PNG.")
    return array.astype(np.uint8 if int(array.max()) < 256 else np.uint16)
