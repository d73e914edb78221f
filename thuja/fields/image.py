"""A picture: file bytes, a file on disk, or an array of pixels; decoded here and nowhere else."""

import base64
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np

from thuja.core.errors import DataError
from thuja.fields.base import Field, from_base64, histogram_distance

FORMATS = ("JPEG", "PNG", "BMP", "GIF", "WEBP", "TIFF", "PPM")
"""Decoders that are allowed to run on what a stranger sends."""


MOST_CHUNKS = 50_000
"""Of a PNG file; an honest one of 20 MB has some 2,500, and a reader takes 5 microseconds for each, however small."""


class Image(Field):
    """A picture of any size, turned upright by its EXIF tag and brought to `channels` (1 grey or 3 RGB)."""

    kind: Literal["image"] = "image"
    channels: Literal[1, 3] = 3
    max_pixels: int = 50_000_000
    """Largest width x height, read from the header before anything is decoded (a decompression bomb is refused)."""
    max_bytes: int = 20_000_000

    def check(self, value: Any, where: str) -> None:
        if isinstance(value, np.ndarray):
            if value.dtype != np.uint8 or value.ndim not in (2, 3) or 0 in value.shape or (value.ndim == 3 and value.shape[2] not in (1, 3, 4)):
                raise DataError(where, expected="uint8 pixels, H x W or H x W x 1, 3 or 4", found=f"{value.dtype} of shape {value.shape}",
                                fix="Scale to 0..255 and convert with astype('uint8').")
        elif not isinstance(value, (bytes, Path)):
            raise DataError(where, expected="a picture", found=f"text {value[:40]!r}" if isinstance(value, str) else type(value).__name__,
                            fix="Give the bytes of a JPEG or PNG file.")

    def decode(self, value: Any, where: str, shape: tuple[int, int] | None = None) -> np.ndarray:
        """Pixels of a raw value: uint8, H x W x channels, scaled (bilinear, averaging when it shrinks) to `shape`, height and width, if given.

        A JPEG of at least four times that shape is decoded at a half, a quarter or an eighth of its size, which takes a third of the time and leaves at least
        twice the pixels that are wanted. Raises: DataError for what is no whole, reasonable picture.
        """
        from PIL import Image as Pillow  # 25 ms, wanted only where there are pictures
        from PIL import UnidentifiedImageError

        self.check(value, where)
        if isinstance(value, np.ndarray):
            picture = Pillow.fromarray(value if value.ndim == 2 else value[:, :, 0] if value.shape[2] == 1 else value)
            return self._pixels(picture, shape)
        try:
            data = value.read_bytes() if isinstance(value, Path) else value
        except OSError as error:
            raise DataError(where, expected="a readable file", found=error.strerror or "an error", fix=f"Check that {value} exists.") from error
        if len(data) > self.max_bytes:
            raise DataError(where, expected=f"at most {self.max_bytes} bytes", found=str(len(data)), fix="Send a smaller picture.")
        if _crowded(data):
            raise DataError(where, expected=f"at most {MOST_CHUNKS} chunks", found="more", fix="Save the file again.")
        try:
            with Pillow.open(io.BytesIO(data), formats=FORMATS) as picture:  # reads the header only
                if picture.width * picture.height > self.max_pixels:
                    raise DataError(where, expected=f"at most {self.max_pixels} pixels", found=f"{picture.width} x {picture.height}",
                                    fix="Scale the picture down, or raise max_pixels.")
                if shape is not None and picture.format == "JPEG":
                    picture.draft(None, (2 * max(shape), 2 * max(shape)))
                return self._pixels(_upright(picture), shape)
        except Pillow.DecompressionBombError as error:
            raise DataError(where, expected=f"at most {self.max_pixels} pixels", found="a decompression bomb", fix="Scale the picture down.") from error
        except UnidentifiedImageError as error:
            raise DataError(where, expected="a picture", found=_describe(data), fix="Send a whole JPEG, PNG, WebP, BMP, GIF, TIFF or PPM file.") from error
        except (OSError, SyntaxError, ValueError, EOFError, TypeError, IndexError, OverflowError) as error:
            raise DataError(where, expected="a whole picture", found="a truncated or damaged file", fix="Save the file again, or leave it out.") from error

    def _pixels(self, picture: Any, shape: tuple[int, int] | None) -> np.ndarray:
        if picture.mode in ("I", "I;16", "I;16B", "I;16L", "F"):  # 16-bit: the high byte, as a viewer shows it
            values = np.asarray(picture, dtype=np.float64)
            picture = _from_array(np.clip(values / 257, 0, 255).astype(np.uint8))
        if picture.mode in ("RGBA", "LA", "PA") or "transparency" in picture.info:  # transparent pictures lie on white
            from PIL import Image as Pillow

            rgba = picture.convert("RGBA")
            picture = Pillow.alpha_composite(Pillow.new("RGBA", rgba.size, "white"), rgba)
        mode = "L" if self.channels == 1 else "RGB"
        picture = picture if picture.mode == mode else picture.convert(mode)  # converting to the same mode copies
        if shape is not None and picture.size != shape[::-1]:
            from PIL.Image import Resampling

            picture = picture.resize(shape[::-1], Resampling.BILINEAR)
        array = np.asarray(picture)
        return array[:, :, None] if array.ndim == 2 else array

    def to_json(self, value: Any) -> Any:
        if isinstance(value, Path):
            value = value.read_bytes()
        if isinstance(value, np.ndarray):
            out = io.BytesIO()
            _from_array(value[:, :, 0] if value.ndim == 3 and value.shape[2] == 1 else value).save(out, "PNG")
            value = out.getvalue()
        return base64.b64encode(value).decode()

    def from_json(self, value: Any, where: str) -> bytes:
        return from_base64(value, where, "a picture", self.max_bytes, "Send a smaller picture.")

    def json_schema(self) -> dict[str, Any]:
        text = self.description or "a JPEG, PNG or WebP file as base64"
        return {"type": "string", "contentEncoding": "base64", "contentMediaType": "image/*", "description": text}

    def fake(self, rng: np.random.Generator, count: int) -> list[Any]:
        return [_odd_file(rng, i) for i in range(count)]

    def summarise(self, values: Sequence[Any]) -> dict[str, Any]:
        light, contrast, sizes = [], [], []
        for value in values:
            pixels = self.decode(value, "picture")
            light.append(float(pixels.mean()))
            contrast.append(float(pixels.std()))
            sizes.append(pixels.shape[0] * pixels.shape[1])
        return {"rows": len(values), "light": np.histogram(light, bins=16, range=(0, 256))[0].tolist(),
                "contrast": np.histogram(contrast, bins=16, range=(0, 128))[0].tolist(),
                "pixels": np.histogram(np.log2(np.array(sizes, float)), bins=27, range=(0, 27))[0].tolist()}

    def distance(self, old: dict[str, Any], new: dict[str, Any]) -> float:
        return max(histogram_distance(old[key], new[key]) for key in ("light", "contrast", "pixels"))


def _upright(picture: Any) -> Any:
    """Turned as its EXIF tag says; without one, the picture itself, where Pillow would copy it."""
    from PIL import ImageOps

    return picture if picture.getexif().get(0x0112, 1) == 1 else ImageOps.exif_transpose(picture)


def _crowded(data: bytes) -> bool:
    """Whether a file is a PNG of more than `MOST_CHUNKS` chunks."""
    if data[:8] != b"\x89PNG\r\n\x1a\n":
        return False
    at = 8
    for _ in range(MOST_CHUNKS):
        if at >= len(data):
            return False
        at += 12 + int.from_bytes(data[at : at + 4], "big")
    return at < len(data)


def _from_array(array: np.ndarray) -> Any:
    from PIL import Image as Pillow

    return Pillow.fromarray(array)


def _odd_file(rng: np.random.Generator, kind: int) -> bytes:
    """File bytes of a made-up picture: odd sizes, grey, CMYK, palette, transparent, 16-bit and EXIF-rotated ones in turn."""
    from PIL import Image as Pillow

    height, width = (int(v) for v in rng.integers(5, 70, size=2))
    blobs = rng.integers(0, 256, size=(height // 4 + 2, width // 4 + 2, 3), dtype=np.uint8)
    picture: Any = Pillow.fromarray(blobs).resize((width, height))
    out = io.BytesIO()
    match kind % 8:
        case 1:
            picture.convert("L").save(out, "PNG")
        case 2:
            picture.convert("CMYK").save(out, "JPEG", quality=90)
        case 3:
            exif = Pillow.Exif()
            exif[0x0112] = 6
            picture.save(out, "JPEG", exif=exif, quality=90)
        case 4:
            picture.putalpha(128)
            picture.save(out, "PNG")
        case 5:
            picture.convert("P").save(out, "PNG")
        case 6:
            _from_array(np.asarray(picture.convert("L")).astype(np.uint16) * 257).save(out, "PNG")
        case _:
            picture.save(out, "JPEG", quality=90)
    return out.getvalue()


def _describe(data: bytes) -> str:
    if not data:
        return "an empty file"
    try:
        return f"text {data[:40].decode()!r}"
    except UnicodeDecodeError:
        return f"{len(data)} bytes of something else"
