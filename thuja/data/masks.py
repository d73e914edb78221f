"""Folders of pictures with masks, told apart by their names.

| form | which is which |
|---|---|
| `images/a.png` and `masks/a.png`, also in `train/`, `val/`, `test/` | by the name of the folder |
| `train/a.jpg` and `trainannot/a.png`, `valannot/`, `testannot/` | by the ending of the folder's name |
| `a.jpg` and `a_mask.png` in one folder | by the ending of the file's name |

`classes.txt` (a number and a name on each line, or names alone) names the classes. A table whose column `id` has the files' names without ending gives more
columns. Where nearly all names come in pairs that differ in a last L and R (left and right eye, breast, knee), what they share is the column `group`.
"""

import csv
import os
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from thuja.codec import Rows
from thuja.core import digest
from thuja.core.errors import DataError
from thuja.data.files import Files
from thuja.data.folder import PARTS, is_picture
from thuja.data.rows import Bad, Kind, in_batches

PICTURES = frozenset({"image", "images", "img", "imgs", "picture", "pictures", "photo", "photos", "frame", "frames", "imagestr", "jpegimages"})
MASKS = frozenset({"mask", "masks", "label", "labels", "annot", "annotation", "annotations", "gt", "groundtruth", "ground_truth", "seg", "segmentation",
                   "segmentations", "labelstr", "segmentationclass", "1stho", "manual1", "truth"})
"""Names of folders, and endings of names, in lower case."""
ENDING = re.compile(r"[_\-.]([A-Za-z0-9]+)$")
SIDE = re.compile(r"^(.+?)[_\-]?(?:L|R|OD|OS|left|right)$")
PAIRED = 0.9
"""Share of the names that must come in pairs for them to be taken for two sides of one patient."""


class Pairs(NamedTuple):
    """Pictures with their masks, by names relative to a folder."""

    pictures: list[str]
    masks: list[str]
    bad: tuple[Bad, ...]
    """What lacks the other one."""


class MasksSource:
    """Columns `image` and `mask` (Paths), `group` where there are two sides of one patient, and those of a table beside the files."""

    def __init__(self, folder: Path, pairs: Pairs, more: Mapping[str, list[str | None]], classes: Mapping[int, str]) -> None:
        self.names: tuple[str, ...] = ("image", "mask", *more)
        self.kinds: dict[str, Kind] = {"image": "image", "mask": "file", **dict.fromkeys(more, "text")}
        self.bad, self.classes, self.more = pairs.bad, dict(classes), dict(more)
        """`classes`: the name of each number, where the data say them."""
        self._pictures, self._masks = Files(folder, pairs.pictures), Files(folder, pairs.masks)

    def __len__(self) -> int:
        return len(self._pictures.names)

    def take(self, index: np.ndarray, names: tuple[str, ...] = ()) -> Rows:
        rows: Rows = {"image": self._pictures.paths(index), "mask": self._masks.paths(index), **{n: [v[i] for i in index] for n, v in self.more.items()}}
        return {name: rows[name] for name in names or self.names}

    def batches(self, size: int = 1024) -> Iterator[Rows]:
        return in_batches(self, size)

    def ids(self, index: np.ndarray) -> list[str]:
        return [self._pictures.names[i] for i in index]

    def hashes(self, index: np.ndarray, names: tuple[str, ...]) -> np.ndarray:
        texts = {name: [value or "" for value in values] for name, values in self.more.items()}
        return self._pictures.hashes(index, names, "image", texts | ({"mask": self._masks.digests()} if "mask" in names else {}))

    def fingerprint(self) -> str:
        rows = zip(self._pictures.names, self._pictures.digests(), self._masks.digests(), strict=True)
        return digest.of_data(["masks", *rows, *sorted(self.more.items())])


def is_mask_folder(folder: Path) -> bool:
    """Whether pictures and their masks lie in a folder, in one of the forms above."""
    return any(pairs.pictures for pairs in _found(folder).values())


def open_masks(folder: Path) -> dict[str, MasksSource]:
    """The parts of a folder of pictures with masks: those that are given, or one part "all".

    Raises: DataError for a folder without any pair.
    """
    found = {part: pairs for part, pairs in _found(folder).items() if pairs.pictures}
    if not found:
        raise DataError(str(folder), expected="pictures with masks, such as images/1.png and masks/1.png", found="no such pair",
                        fix="Give a mask the name of its picture, in a folder called masks, or with the ending _mask.")
    classes, table = _classes(folder), _table(folder)
    group = _sides([Path(name).stem for pairs in found.values() for name in pairs.pictures])
    return {part: MasksSource(folder, pairs, _columns(pairs, table, group), classes) for part, pairs in found.items()}


def _found(folder: Path) -> dict[str, Pairs]:
    """The pairs of every part."""
    folders = {entry.name.lower(): entry for entry in sorted(folder.iterdir()) if entry.is_dir() and not entry.name.startswith(".")}
    by_part: dict[str, Pairs] = {}
    for name, entry in folders.items():
        if name in PARTS:
            beside = next((other for other_name, other in folders.items() if _is_beside(other_name, name)), None)
            pairs = _paired(folder, _pictures(entry), _pictures(beside)) if beside else _inside(folder, entry)
            if pairs is not None:
                by_part[PARTS[name]] = pairs
    if "train" in by_part:
        return {part: by_part[part] for part in ("train", "validation", "test") if part in by_part}
    whole = _inside(folder, folder)
    if whole is None and len(folders) == 1:
        whole = _inside(folder, next(iter(folders.values())))
    return {"all": whole} if whole is not None else {}


def _is_beside(name: str, part: str) -> bool:
    """Whether a folder holds the masks of the part: its name is the part's and a word for masks."""
    return name.startswith(part) and name[len(part) :].lstrip("_-") in MASKS


def _inside(base: Path, folder: Path) -> Pairs | None:
    """The pairs in a folder: two folders, or files in one."""
    inside = {entry.name.lower(): entry for entry in sorted(folder.iterdir()) if entry.is_dir()}
    pictures, masks = (next((entry for name, entry in inside.items() if name in words), None) for words in (PICTURES, MASKS))
    if pictures is not None and masks is not None:
        return _paired(base, _pictures(pictures), _pictures(masks))
    files = sorted(entry for entry in folder.iterdir() if entry.is_file() and is_picture(entry.name))
    return _by_ending(base, files)


def _pictures(folder: Path) -> list[Path]:
    return sorted(Path(place) / name for place, _, names in os.walk(folder) for name in names if is_picture(name))


def _paired(base: Path, pictures: Sequence[Path], masks: Sequence[Path]) -> Pairs:
    """Those of the same name, whatever their endings; a mask's name may say that it is one, as in `a_mask.png`."""
    return _joined(base, {path.stem: path for path in pictures}, {_bare(path.stem): path for path in masks})


def _joined(base: Path, pictures: Mapping[str, Path], masks: Mapping[str, Path]) -> Pairs:
    """Both by the name that they share."""
    both = [stem for stem in pictures if stem in masks]
    bad = [Bad(os.path.relpath(path, base), "a picture without a mask") for stem, path in pictures.items() if stem not in masks]
    bad += [Bad(os.path.relpath(path, base), "a mask without a picture") for stem, path in masks.items() if stem not in pictures]
    return Pairs([os.path.relpath(pictures[stem], base) for stem in both], [os.path.relpath(masks[stem], base) for stem in both], tuple(bad))


def _bare(stem: str) -> str:
    ending = ENDING.search(stem)
    return stem[: ending.start()] if ending and ending[1].lower() in MASKS else stem


def _by_ending(base: Path, files: list[Path]) -> Pairs | None:
    """Pictures and masks in one folder: a mask has its picture's name and an ending that at least half of the pictures' masks have; the first in order where
    there are several, as with two annotators."""
    stems = {path.stem for path in files}
    endings = Counter(ending[1] for path in files if (ending := ENDING.search(path.stem)) and path.stem[: ending.start()] in stems)
    whole = [path for path in files if not ((ending := ENDING.search(path.stem)) and ending[1] in endings)]
    usual = sorted(ending for ending, count in endings.items() if 2 * count >= len(whole))
    if not usual:
        return None
    masks = {path.stem[: -len(usual[0]) - 1]: path for path in files if (ending := ENDING.search(path.stem)) and ending[1] == usual[0]}
    return _joined(base, {path.stem: path for path in whole}, masks)


def _classes(folder: Path) -> dict[int, str]:
    """The names of the numbers, from `classes.txt`; none where there is no such file."""
    path = folder / "classes.txt"
    if not path.is_file():
        return {}
    lines = [line.strip() for line in path.read_text("utf-8", errors="replace").splitlines() if line.strip()]
    numbered = [re.fullmatch(r"(\d+)[\s,:;]+(.+)", line) for line in lines]
    if all(numbered):
        return {int(match[1]): match[2].strip() for match in numbered if match}
    return dict(enumerate(lines))


def _table(folder: Path) -> dict[str, dict[str, str]]:
    """Rows of a CSV file beside the pictures, by their `id`; none where there is no such file."""
    for path in sorted(folder.glob("*.csv")):
        with path.open(newline="", encoding="utf-8", errors="replace") as file:
            reader = csv.DictReader(file)
            if reader.fieldnames and "id" in reader.fieldnames:
                return {row["id"]: {name: value for name, value in row.items() if name not in ("id", "image", "mask", None)} for row in reader if row["id"]}
    return {}


def _sides(stems: list[str]) -> dict[str, str]:
    """What names share that differ in a last L and R, by name; none where that is not nearly all of them."""
    matches = {stem: match[1] for stem in stems if (match := SIDE.match(stem))}
    counts = Counter(matches.values())
    paired = sum(count for count in counts.values() if count == 2)
    return {stem: matches.get(stem, stem) for stem in stems} if stems and paired >= PAIRED * len(stems) else {}


def _columns(pairs: Pairs, table: Mapping[str, Mapping[str, str]], group: Mapping[str, str]) -> dict[str, list[str | None]]:
    stems = [Path(name).stem for name in pairs.pictures]
    more: dict[str, list[str | None]] = {"group": [group[stem] for stem in stems]} if group else {}
    names = list(dict.fromkeys(name for row in table.values() for name in row)) if any(stem in table for stem in stems) else []
    return more | {name: [table.get(stem, {}).get(name) or None for stem in stems] for name in names if name != "group"}
