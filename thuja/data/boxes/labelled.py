"""The one form that all formats of drawn boxes are read into and written from: a picture, and what is in it."""

import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from thuja.codec import Rows
from thuja.core import digest
from thuja.core.errors import DataError
from thuja.data.files import Files
from thuja.data.folder import PARTS, is_picture
from thuja.data.rows import Bad, Kind, in_batches

IMAGE, BOXES = "image", "boxes"
"""The columns."""
TURNED = frozenset({5, 6, 7, 8})
"""Values of the EXIF tag of direction that exchange width and height."""
Entries = list[dict[str, Any]]
"""`thuja.fields.Boxes`: `label`, `box` [left, top, right, bottom] in pixels of the upright picture, `score` and `ignore` where there are any."""


class Labelled(NamedTuple):
    """A picture and the boxes in it."""

    picture: Path
    boxes: Entries


class Part(NamedTuple):
    """What was read of one part of the data."""

    rows: list[Labelled]
    bad: list[Bad]
    """Pictures and annotations that cannot be used."""


class BoxesSource:
    """Columns `image` (Path) and `boxes` (Entries); ids are names of files relative to `folder`."""

    def __init__(self, folder: Path, part: Part) -> None:
        self.names: tuple[str, ...] = (IMAGE, BOXES)
        self.kinds: dict[str, Kind] = {IMAGE: "image", BOXES: "other"}
        self.files = [os.path.relpath(row.picture, folder) for row in part.rows]
        self.boxes, self.bad = [row.boxes for row in part.rows], tuple(part.bad)
        self._held, self._texts = Files(folder, self.files), [digest.canonical(entries).decode() for entries in self.boxes]

    def __len__(self) -> int:
        return len(self.files)

    def take(self, index: np.ndarray, names: tuple[str, ...] = ()) -> Rows:
        rows: Rows = {IMAGE: self._held.paths(index), BOXES: [self.boxes[i] for i in index]}
        return {name: rows[name] for name in names or self.names}

    def batches(self, size: int = 1024) -> Iterator[Rows]:
        return in_batches(self, size)

    def ids(self, index: np.ndarray) -> list[str]:
        return [self.files[i] for i in index]

    def hashes(self, index: np.ndarray, names: tuple[str, ...]) -> np.ndarray:
        return self._held.hashes(index, names, IMAGE, {BOXES: self._texts})

    def fingerprint(self) -> str:
        return digest.of_data(["boxes", *zip(self.files, self._held.digests(), self._texts, strict=True)])


def sources(folder: Path, parts: Mapping[str, Part]) -> dict[str, BoxesSource]:
    """Each part as a source. Raises: DataError where none has a picture that can be used."""
    found = {name: BoxesSource(folder, part) for name, part in parts.items()}
    if not any(map(len, found.values())):
        first = next((f": {bad.id} ({bad.reason})" for part in parts.values() for bad in part.bad), "")
        raise DataError(str(folder), expected="pictures with their boxes", found=f"none that can be used{first}",
                        fix="Put the pictures beside the annotations.")
    return {name: source for name, source in found.items() if len(source) or source.bad}


def part_of(name: str) -> str:
    """The part that a name speaks of, or nothing.

    >>> part_of("instances_val2017"), part_of("valid"), part_of("cells")
    ('validation', 'validation', '')
    """
    words = "".join(c if c.isalpha() else " " for c in name.lower()).split()
    return next((PARTS[word] for word in reversed(words) if word in PARTS), "")


def pictures_below(folder: Path) -> list[Path]:
    """All pictures of a folder and its folders, by name."""
    return sorted(Path(place) / name for place, _, names in os.walk(folder) for name in names if is_picture(name))


def size_of(path: Path) -> tuple[int, int]:
    """Width and height of a picture turned upright, from its first bytes. Raises: DataError for what is no picture."""
    from PIL import Image as Pillow

    try:
        with Pillow.open(path) as picture:
            width, height = picture.size
            return (height, width) if picture.getexif().get(0x0112, 1) in TURNED else (width, height)
    except (OSError, SyntaxError, ValueError) as error:
        raise DataError(str(path), expected="a picture", found="a file that cannot be read as one", fix="Save it again, or leave it out.") from error


def number(text: Any) -> float:
    """A finite number. Raises: ValueError for anything else."""
    value = float(text)
    if not np.isfinite(value):
        raise ValueError(f"{text} is no finite number")
    return value


def classes_of(rows: Iterable[Labelled]) -> tuple[str, ...]:
    """The names of all classes, in order."""
    return tuple(sorted({entry["label"] for row in rows for entry in row.boxes}))
