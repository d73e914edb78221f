"""Pictures in folders: `<class>/<picture>`, with or without `train/`, `validation/` (`val/`, `valid/`, `dev/`) and `test/` above."""

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from thuja.codec import Rows
from thuja.core import digest
from thuja.core.errors import DataError
from thuja.data.files import Files
from thuja.data.rows import Bad, Kind, in_batches

SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".ppm", ".pgm", ".pbm"})
PARTS = {"train": "train", "training": "train", "validation": "validation", "val": "validation", "valid": "validation", "dev": "validation", "test": "test"}
"""Names of folders and files that say which part they are."""


class FolderSource:
    """Columns `image` (Path) and `label` (name of the folder). `files` are relative to `folder`; `labels` belong to them one by one."""

    def __init__(self, folder: Path, files: list[str], labels: list[str]) -> None:
        self.names: tuple[str, ...] = ("image", "label")
        self.files, self.labels, self._held = files, labels, Files(folder, files)
        self.kinds: dict[str, Kind] = {"image": "image", "label": "text"}
        self.bad: tuple[Bad, ...] = ()

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, index: np.ndarray, names: tuple[str, ...] = ()) -> Rows:
        rows: Rows = {"image": self._held.paths(index), "label": [self.labels[i] for i in index]}
        return {name: rows[name] for name in names or self.names}

    def batches(self, size: int = 1024) -> Iterator[Rows]:
        return in_batches(self, size)

    def ids(self, index: np.ndarray) -> list[str]:
        return [self.files[i] for i in index]

    def hashes(self, index: np.ndarray, names: tuple[str, ...]) -> np.ndarray:
        return self._held.hashes(index, names, "image", {"label": self.labels})

    def fingerprint(self) -> str:
        return digest.of_data(["folder", *zip(self.files, self._held.digests(), strict=True)])


def is_picture(name: str) -> bool:
    """Whether a file's name ends like a picture's.

    >>> is_picture("a/B.JPG"), is_picture("a/notes.txt"), is_picture("a/.hidden.png")
    (True, False, False)
    """
    return os.path.splitext(name)[1].lower() in SUFFIXES and not os.path.basename(name).startswith(".")


def open_folder(folder: Path) -> dict[str, FolderSource]:
    """The parts of an image folder: those given by its sub-folders, or one part "all".

    Raises: DataError for an empty folder, one without class folders, or one with a single class.
    """
    given = {PARTS[entry.name.lower()]: entry for entry in _folders(folder) if entry.name.lower() in PARTS}
    if "train" in given:
        return {part: _classes(given[part], folder) for part in ("train", "validation", "test") if part in given}
    return {"all": _classes(folder, folder)}


def _folders(folder: Path) -> list[Path]:
    return sorted(entry for entry in folder.iterdir() if entry.is_dir() and not entry.name.startswith("."))


def _classes(folder: Path, base: Path) -> FolderSource:
    files: list[str] = []
    labels: list[str] = []
    for child in _folders(folder):
        found = sorted(os.path.relpath(os.path.join(place, name), base) for place, _, names in os.walk(child) for name in names if is_picture(name))
        files += found
        labels += [child.name] * len(found)
    if not files:
        raise DataError(str(folder), expected="a folder of pictures for each class, such as cat/1.jpg and dog/2.jpg", found=_what_is_there(folder),
                        fix="Move the pictures into one folder per class, or give a table with a column of file names (data.files).")
    if folder == base or folder.name.lower() in ("train", "training"):
        _refuse_one_class(folder, labels)
    return FolderSource(base, files, labels)


def _refuse_one_class(folder: Path, labels: list[str]) -> None:
    if len(set(labels)) == 1:
        raise DataError(str(folder), expected="at least two class folders with pictures", found=f"one, {labels[0]!r}",
                        fix="Add pictures of what it is to be told apart from, in a folder of their own.")


def _what_is_there(folder: Path) -> str:
    entries = [entry for entry in folder.iterdir() if not entry.name.startswith(".")]
    if not entries:
        return "an empty folder"
    pictures = sum(is_picture(entry.name) for entry in entries if entry.is_file())
    if pictures:
        return f"{pictures} pictures and no class folders"
    return f"{entries[0].name!r} and no picture" if len(entries) == 1 else f"{len(entries)} entries and no picture"
