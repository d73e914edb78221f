"""Damaged rows of pictures, tables and texts, and what must become of each: the material of T4 (reliability/encoding.py)."""

import io
import json
import random
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np

from thuja.apps.image_classification.task import ImageClassification
from thuja.apps.table.task import Table
from thuja.apps.text_classification.task import TextClassification
from thuja.settings import Data
from thuja.task import Task

ROWS = 1000
Fate = Literal["skipped", "kept", "either"]
"""A row that cannot be used must be skipped; one that means something (a missing number) must be kept; a flipped bit may be either."""


class Damage(NamedTuple):
    """One way to spoil a row."""

    name: str
    fate: Fate
    spoil: Callable[[bytes, random.Random], bytes]
    """From the row's bytes (a file, or a line without its end) to others."""


class Kind(NamedTuple):
    """A sort of data: clean rows, how they lie on disk, and how they are spoiled."""

    name: str
    task: Task
    rows: list[bytes]
    lay: Callable[[Path, list[bytes]], str]
    """Writes the rows into a folder; what `data.path` is then."""
    ids: list[str]
    damages: tuple[Damage, ...]
    stops: tuple[Damage, ...] = ()
    """What no row can be skipped for, because the file cannot be read past it: the error must name the line."""

    def data(self, folder: Path, rows: list[bytes]) -> Data:
        """The rows, laid down, as the section of a spec."""
        folder.mkdir(parents=True)
        return Data(path=self.lay(folder, rows))


def kinds() -> list[Kind]:
    """Pictures in folders, a CSV table, texts as JSON lines."""
    return [_pictures(), _table(), _texts()]


def _pictures() -> Kind:
    from PIL import Image

    noise, rows = np.random.default_rng(0), []
    for place in range(ROWS):
        out = io.BytesIO()
        Image.fromarray(noise.integers(0, 256, (12, 16, 3), dtype=np.uint8)).save(out, "PNG" if place % 3 == 0 else "JPEG")
        rows.append(out.getvalue())
    names = [f"{'ab'[place % 2]}/{place:04}.jpg" for place in range(ROWS)]

    def lay(folder: Path, files: list[bytes]) -> str:
        for name in "ab":
            (folder / name).mkdir()
        for name, data in zip(names, files, strict=True):
            (folder / name).write_bytes(data)
        return str(folder)

    damages = (
        Damage("truncated", "skipped", lambda data, rng: data[: rng.randrange(1, len(data) * 7 // 10)]),
        Damage("empty", "skipped", lambda data, rng: b""),
        Damage("text for a picture", "skipped", lambda data, rng: b"<html>404 not found</html>"),
        Damage("bytes of chance", "skipped", lambda data, rng: rng.randbytes(300)),
        Damage("decompression bomb", "skipped", lambda data, rng: bomb(rng.choice((20_000, 60_000)))),
        Damage("a bit flipped", "either", _flipped),
        Damage("zeros from the middle", "either", lambda data, rng: data[: len(data) // 2] + bytes(len(data) - len(data) // 2)),
    )
    return Kind("pictures", ImageClassification(), rows, lay, names, damages)


def bomb(side: int) -> bytes:
    """A PNG of a hundred bytes whose header promises side x side pixels."""
    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(10))) + chunk(b"IEND", b"")


def _flipped(data: bytes, rng: random.Random) -> bytes:
    place = rng.randrange(len(data))
    return data[:place] + bytes([data[place] ^ 1 << rng.randrange(8)]) + data[place + 1 :]


def _lines(name: str, head: tuple[bytes, ...]) -> Callable[[Path, list[bytes]], str]:
    def lay(folder: Path, rows: list[bytes]) -> str:
        (folder / name).write_bytes(b"\n".join([*head, *rows]) + b"\n")
        return str(folder / name)

    return lay


def _cell(place: int, text: str) -> Callable[[bytes, random.Random], bytes]:
    """Another text in one cell of a CSV line."""
    def spoil(data: bytes, rng: random.Random) -> bytes:
        cells = data.decode().split(",")
        return ",".join([*cells[:place], text, *cells[place + 1 :]]).encode()

    return spoil


def _table() -> Kind:
    rng = random.Random(0)
    rows = [f"{rng.gauss(0, 1):.4f},{rng.randrange(100)},{rng.choice(('red', 'green', 'blue'))},{rng.choice(('yes', 'no'))}".encode() for _ in range(ROWS)]
    damages = (
        Damage("torn line", "skipped", lambda data, rng: data[: data.index(b",") + 2]),
        Damage("a cell too many", "skipped", lambda data, rng: data + b",more"),
        Damage("no target", "skipped", _cell(3, "")),
        Damage("a number that is none", "kept", _cell(0, "nan")),
        Damage("nothing where a number is", "kept", _cell(1, "")),
        Damage("nothing where a name is", "kept", _cell(2, "?")),
        Damage("a name never seen", "kept", _cell(2, "ultraviolet")),
        Damage("an infinite number", "skipped", _cell(0, "inf")),
        Damage("a number beyond float64", "skipped", _cell(0, "1e999")),
        Damage("a long cell", "kept", _cell(2, "x" * 100_000)),
    )
    stops = (
        Damage("a cell beyond the limit", "skipped", _cell(2, "x" * 200_000)),
        Damage("bytes of another encoding", "skipped", lambda data, rng: data.replace(b",", b"\xff\xfe,", 1)),
    )
    ids = [f"rows.csv:{place + 2}" for place in range(ROWS)]
    return Kind("table", Table(target="answer"), rows, _lines("rows.csv", (b"size,age,colour,answer",)), ids, damages, stops)


def _field(name: str, value: Any) -> Callable[[bytes, random.Random], bytes]:
    """Another value of one key of a JSON line."""
    return lambda data, rng: json.dumps(json.loads(data) | {name: value}).encode()


def _texts() -> Kind:
    rng = random.Random(0)
    words = ["it", "was", "a", "bright", "cold", "day", "in", "april", "and", "the", "clocks", "were", "striking", "thirteen", "naïve", "café", "😀"]
    rows = [json.dumps({"text": " ".join(rng.choices(words, k=rng.randrange(3, 12))), "label": rng.choice(("up", "down"))}).encode() for _ in range(ROWS)]
    damages = (
        Damage("torn line", "skipped", lambda data, rng: data[: rng.randrange(1, len(data) - 1)]),
        Damage("no JSON", "skipped", lambda data, rng: b"lorem ipsum"),
        Damage("a list for an object", "skipped", lambda data, rng: b"[1, 2]"),
        Damage("a nested value", "skipped", _field("text", {"deep": [1]})),
        Damage("nested ten thousand deep", "skipped", lambda data, rng: b"[" * 10_000),
        Damage("null for text", "skipped", _field("text", None)),
        Damage("no label", "skipped", _field("label", None)),
        Damage("a label never seen", "skipped", _field("label", "sideways")),
        Damage("a text of two million characters", "skipped", _field("text", "x" * 2_000_000)),
        Damage("half a surrogate pair", "skipped", _field("text", "torn \ud83d emoji")),
        Damage("a number for text", "kept", _field("text", 7)),
        Damage("empty text", "kept", _field("text", "")),
        Damage("control characters", "kept", _field("text", "\u0000\u0007\u202e")),
    )
    stops = (Damage("bytes of another encoding", "skipped", lambda data, rng: data.replace(b" ", b"\xff\xfe ", 2)),)
    ids = [f"rows.jsonl:{place + 1}" for place in range(ROWS)]
    return Kind("texts", TextClassification(text="text", target="label"), rows, _lines("rows.jsonl", ()), ids, damages, stops)
