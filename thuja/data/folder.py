"""Pictures in folders: `<class>/<picture>`, with or without `train/`, `validation/` (`val/`, `valid/`, `dev/`) and `test/` above."""

import os
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from thuja.codec import Rows
from thuja.core import digest
from thuja.core.errors import DataError
from thuja.data.files import Files
from thuja.data.rows import Bad, Kind, in_batches

PLACE = re.compile(r"\\?\{(\w+)\\?\}")
"""A column's place in a pattern, also after `re.escape`."""
SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".ppm", ".pgm", ".pbm"})
PARTS = {"train": "train", "training": "train", "validation": "validation", "val": "validation", "valid": "validation", "dev": "validation", "test": "test"}
"""Names of folders and files that say which part they are."""


class FolderSource:
    """Columns `image` (Path), `label` (name of the folder) and what else is known of each file. `files` are relative to `folder`; `labels` and every list of
    `more` belong to them one by one."""

    def __init__(self, folder: Path, files: list[str], labels: list[str], more: dict[str, list[str]] | None = None, bad: tuple[Bad, ...] = ()) -> None:
        self.folder, self.files, self.labels, self.more, self.bad = folder, files, labels, more or {}, bad
        self._held = Files(folder, files)
        self.names: tuple[str, ...] = ("image", "label", *self.more)
        self.kinds: dict[str, Kind] = {"image": "image", "label": "text", **dict.fromkeys(self.more, "text")}

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, index: np.ndarray, names: tuple[str, ...] = ()) -> Rows:
        more = {name: [values[i] for i in index] for name, values in self.more.items()}
        rows: Rows = {"image": self._held.paths(index), "label": [self.labels[i] for i in index], **more}
        return {name: rows[name] for name in names or self.names}

    def batches(self, size: int = 1024) -> Iterator[Rows]:
        return in_batches(self, size)

    def ids(self, index: np.ndarray) -> list[str]:
        return [self.files[i] for i in index]

    def hashes(self, index: np.ndarray, names: tuple[str, ...]) -> np.ndarray:
        return self._held.hashes(index, names, "image", {"label": self.labels, **self.more})

    def fingerprint(self) -> str:
        return digest.of_data(["folder", *zip(self.files, self._held.digests(), strict=True), *([self.more] if self.more else [])])


def is_picture(name: str) -> bool:
    """Whether a file's name ends like a picture's.

    >>> is_picture("a/B.JPG"), is_picture("a/notes.txt"), is_picture("a/.hidden.png")
    (True, False, False)
    """
    return os.path.splitext(name)[1].lower() in SUFFIXES and not os.path.basename(name).startswith(".")


def open_folder(folder: Path, pattern: str = "") -> dict[str, FolderSource]:
    """The parts of an image folder: those given by its sub-folders, or one part "all"; with a pattern, such as `{label}/{take}`, what is known of each picture
    is read from its path below `folder`, and there is one part.

    Raises: DataError for an empty folder, one without class folders, or one with a single class; for a pattern that fits nothing.
    """
    if pattern:
        return {"all": _named(folder, pattern)}
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


def _named(folder: Path, pattern: str) -> FolderSource:
    """The pictures below a folder, whose paths without their ending are cut by a pattern; those that do not fit are counted as bad rows."""
    names = PLACE.findall(pattern)
    if "label" not in names or len(set(names)) < len(names) or "image" in names or any(name.isdigit() for name in names):
        raise DataError("data.pattern", expected="names of columns in braces, each once, `label` among them, such as '{label}/{take}'", found=repr(pattern),
                        fix="The pictures themselves are the column 'image'.")
    form = re.compile(PLACE.sub(r"(?P<\1>[^/]+?)", re.escape(pattern)))
    files = sorted(os.path.relpath(os.path.join(place, name), folder) for place, _, inside in os.walk(folder) for name in inside if is_picture(name))
    cut = [(name, form.fullmatch(os.path.splitext(name)[0].replace(os.sep, "/"))) for name in files]
    good = [(name, match) for name, match in cut if match]
    if not good:
        found = f"{files[0]} and {len(files) - 1} others that do not" if files else "no picture"
        raise DataError("data.pattern", expected=f"paths that fit {pattern}", found=found,
                        fix="Correct the pattern; the ending of the files is no part of it.")
    bad = tuple(Bad(name, f"a path that does not fit {pattern}") for name, match in cut if not match)
    more = {column: [match[column] for _, match in good] for column in names if column != "label"}
    return FolderSource(folder, [name for name, _ in good], [match["label"] for _, match in good], more, bad)


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
