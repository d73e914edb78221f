"""Pictures as a stranger sends them: each is answered or refused as the client's fault."""

import base64
import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image as Pillow

from thuja.core.errors import DataError
from thuja.fields import Image


def jpeg(level: int, width: int = 40, height: int = 30) -> bytes:
    """A grey picture as a JPEG file."""
    out = io.BytesIO()
    Pillow.new("RGB", (width, height), (level, level, level)).save(out, "JPEG")
    return out.getvalue()


def base64_text(data: bytes) -> str:
    return base64.b64encode(data).decode()


def test_a_picture_of_very_many_chunks_is_refused_before_they_are_read():
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 1, 1, 8, 0, 0, 0, 0))
    end = chunk(b"IDAT", zlib.compress(b"\0\0")) + chunk(b"IEND", b"")
    assert Image().decode(head + chunk(b"tEXt", b"a\0b") * 1000 + end, "photo").shape == (1, 1, 3)
    with pytest.raises(DataError) as error:
        Image().decode(head + chunk(b"tEXt", b"a\0b") * 50_000 + end, "photo")
    assert str(error.value) == "photo: expected at most 50000 chunks, found more. Save the file again."


def test_odd_pictures_are_answered(start):
    client = start("image")
    for data in Image().fake(np.random.default_rng(0), 16):
        assert client.post("/predict", content=data, headers={"Content-Type": "image/png"}).status_code == 200


@pytest.mark.parametrize(("data", "message"), [
    (jpeg(9)[:400], "photo: expected a whole picture, found a truncated or damaged file. Save the file again, or leave it out."),
    (b"", "photo: expected a picture, found an empty file. Send a whole JPEG, PNG, WebP, BMP, GIF, TIFF or PPM file."),
    (b"%PDF-1.4", "photo: expected a picture, found text '%PDF-1.4'. Send a whole JPEG, PNG, WebP, BMP, GIF, TIFF or PPM file."),
    (b"\xff" * 200_001, "photo: expected at most 200000 bytes, found 200001. Send a smaller picture."),
])
def test_what_is_no_picture_is_named(start, data, message):
    client = start("image")
    for answer in (client.post("/predict", content=data, headers={"Content-Type": "image/jpeg"}), client.post("/predict", files={"photo": ("x", data)}),
                   client.post("/predict", json={"photo": base64_text(data)})):
        assert (answer.status_code, answer.json()["detail"]) == (422, message)


def test_a_decompression_bomb_is_refused_before_it_is_decoded(start):
    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0))
    bomb = b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(bytes(100_000))) + chunk(b"IEND", b"")
    answer = start("image").post("/predict", content=bomb, headers={"Content-Type": "image/png"})
    assert (answer.status_code, answer.json()["found"]) == (422, "a decompression bomb")
