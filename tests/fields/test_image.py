"""Pictures: whatever a camera, a scanner or an attacker sends becomes uint8 pixels or a four-part error."""

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Pillow

from thuja.core.errors import DataError
from thuja.fields import Image


def jpeg(array: np.ndarray, mode: str | None = None, **options: object) -> bytes:
    out = io.BytesIO()
    picture = Pillow.fromarray(array)
    (picture.convert(mode) if mode else picture).save(out, "JPEG", quality=95, **options)
    return out.getvalue()


def png(picture: Pillow.Image) -> bytes:
    out = io.BytesIO()
    picture.save(out, "PNG")
    return out.getvalue()


def bomb(width: int, height: int) -> bytes:
    """A PNG of a few bytes whose header promises width x height pixels."""
    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0" * 10)) + chunk(b"IEND", b"")


RED = np.zeros((6, 9, 3), np.uint8) + np.array([200, 30, 40], np.uint8)


def test_rotation_by_exif_is_undone() -> None:
    exif = Pillow.Exif()
    exif[0x0112] = 6
    assert Image().decode(jpeg(RED, exif=exif), "x").shape == (9, 6, 3)


def test_grey_cmyk_palette_and_sixteen_bits_become_rgb() -> None:
    ramp = np.linspace(0, 255, 64).astype(np.uint8).reshape(8, 8)
    grey = Image().decode(png(Pillow.fromarray(ramp)), "x")
    assert np.array_equal(grey, np.stack([ramp] * 3, 2))
    deep = Image(channels=1).decode(png(Pillow.fromarray(ramp.astype(np.uint16) * 257)), "x")
    assert np.array_equal(deep[:, :, 0], ramp)
    cmyk = Image().decode(jpeg(RED, "CMYK"), "x")
    assert np.abs(cmyk.astype(int) - RED).max() < 12
    palette = Image().decode(png(Pillow.fromarray(RED).convert("P", palette=Pillow.Palette.ADAPTIVE)), "x")
    assert np.abs(palette.astype(int) - RED).max() < 3


def test_transparent_pixels_lie_on_white() -> None:
    clear = Pillow.new("RGBA", (4, 4), (0, 0, 0, 0))
    assert (Image().decode(png(clear), "x") == 255).all()


def test_arrays_and_paths_are_taken(tmp_path: Path) -> None:
    assert np.array_equal(Image().decode(RED, "x"), RED)
    (tmp_path / "a.png").write_bytes(png(Pillow.fromarray(RED)))
    assert np.array_equal(Image().decode(tmp_path / "a.png", "x"), RED)
    assert Image(channels=1).decode(RED[:, :, 0], "x").shape == (6, 9, 1)


def test_a_large_jpeg_is_decoded_at_a_fraction_of_its_size_to_nearly_the_same_pixels() -> None:
    rng = np.random.default_rng(0)
    blobs = Pillow.fromarray(rng.integers(0, 256, (12, 20, 3), dtype=np.uint8)).resize((640, 400))
    exif = Pillow.Exif()
    exif[0x0112] = 6
    for options, size in (({}, (640, 400)), ({"exif": exif}, (400, 640))):
        data = jpeg(np.asarray(blobs), **options)
        whole = Pillow.fromarray(Image().decode(data, "x"))
        assert whole.size == size
        expected = np.asarray(whole.resize((40, 30), Pillow.Resampling.BILINEAR)).astype(int)
        assert np.abs(Image().decode(data, "x", (30, 40)).astype(int) - expected).max() <= 4
        grey = Image(channels=1).decode(data, "x", (30, 40))
        assert grey.shape == (30, 40, 1)
        assert np.abs(grey[:, :, 0].astype(int) - np.asarray(Pillow.fromarray(expected.astype(np.uint8)).convert("L"))).max() <= 5


def test_scaling_a_small_picture_is_exact() -> None:
    ramp = np.random.default_rng(1).integers(0, 256, (30, 50, 3), dtype=np.uint8)
    expected = np.asarray(Pillow.fromarray(ramp).resize((20, 10), Pillow.Resampling.BILINEAR))
    assert np.array_equal(Image().decode(png(Pillow.fromarray(ramp)), "x", (10, 20)), expected)
    assert np.array_equal(Image().decode(ramp, "x", (10, 20)), expected)
    assert np.array_equal(Image().decode(ramp, "x", (30, 50)), ramp)


@pytest.mark.parametrize(("value", "message"), [
    (jpeg(RED)[:150], "x: expected a whole picture, found a truncated or damaged file. Save the file again, or leave it out."),
    (b"", "x: expected a picture, found an empty file. Send a whole JPEG, PNG, WebP, BMP, GIF, TIFF or PPM file."),
    (b"hello there", "x: expected a picture, found text 'hello there'. Send a whole JPEG, PNG, WebP, BMP, GIF, TIFF or PPM file."),
    ("hello", "x: expected a picture, found text 'hello'. Give the bytes of a JPEG or PNG file."),
    (bomb(9_000, 9_000), "x: expected at most 50000000 pixels, found 9000 x 9000. Scale the picture down, or raise max_pixels."),
    (bomb(60_000, 60_000), "x: expected at most 50000000 pixels, found a decompression bomb. Scale the picture down."),
    (np.zeros((4, 4, 3)), "x: expected uint8 pixels, H x W or H x W x 1, 3 or 4, found float64 of shape (4, 4, 3). Scale to 0..255 and convert with "
     "astype('uint8')."),
    (np.zeros((0, 4), np.uint8), "x: expected uint8 pixels, H x W or H x W x 1, 3 or 4, found uint8 of shape (0, 4). Scale to 0..255 and convert with "
     "astype('uint8')."),
    (b"\0" * 20_000_001, "x: expected at most 20000000 bytes, found 20000001. Send a smaller picture."),
    (Path("nowhere.jpg"), "x: expected a readable file, found No such file or directory. Check that nowhere.jpg exists."),
])
def test_whole_messages(value: object, message: str) -> None:
    with pytest.raises(DataError) as caught:
        Image().decode(value, "x")
    assert str(caught.value) == message


def test_any_damage_to_a_file_is_an_error_or_a_picture() -> None:
    rng = np.random.default_rng(0)
    good = jpeg(rng.integers(0, 256, (20, 30, 3), dtype=np.uint8))
    for _ in range(200):
        bad = bytearray(good)
        for place in rng.integers(0, len(bad), size=3):
            bad[place] = rng.integers(256)
        try:
            assert Image().decode(bytes(bad), "x").dtype == np.uint8
        except DataError as error:
            assert error.where == "x"


def test_json_takes_base64_and_data_urls_and_never_a_path() -> None:
    field = Image()
    text = field.to_json(png(Pillow.fromarray(RED)))
    assert np.array_equal(field.decode(field.from_json(text, "x"), "x"), RED)
    assert field.from_json(f"data:image/png;base64,{text}", "x") == field.from_json(text, "x")
    with pytest.raises(DataError) as caught:
        field.from_json("/etc/passwd!", "x")
    assert str(caught.value) == "x: expected a picture as base64 text, found text '/etc/passwd!'. Encode the file's bytes as base64."
