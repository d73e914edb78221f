"""Whole series with a label or a number each, in the `.ts` files of the UCR and UEA archives: `v,v,...:v,v,...:label`, a dimension after the other.

Source: the format of sktime and aeon (github.com/aeon-toolkit/aeon, docs/api_reference/file_specifications/ts.md). Not read: time stamps in place of equal
steps, and files without a label on each line.
"""

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from thuja.codec import Rows
from thuja.core import digest
from thuja.core.errors import DataError
from thuja.data import cache
from thuja.data.rows import Bad, Kind, hash_rows, in_batches

LABEL = "label"
PART = re.compile(r"^(?P<name>.+?)_(?P<part>TRAIN|TEST)\.ts$", re.IGNORECASE)


class SeriesSource:
    """A row a series: `series` (or `dimension_1`, `dimension_2`, ...), float64 [steps] with NaN for `?`, and `label`."""

    def __init__(self, columns: dict[str, list[np.ndarray]], labels: list[str | float], lines: list[int], path: Path, bad: tuple[Bad, ...]) -> None:
        self._columns, self._labels, self._lines, self._file = columns, labels, lines, path.name
        self._digest, self.bad = cache.file_digest(path), bad
        self.names = (*columns, LABEL)
        self.kinds: dict[str, Kind] = {**dict.fromkeys(columns, "other"), LABEL: "number" if isinstance(labels[0], float) else "text"}

    def __len__(self) -> int:
        return len(self._labels)

    def take(self, index: np.ndarray, names: tuple[str, ...] = ()) -> Rows:
        return {name: [self._labels[i] if name == LABEL else self._columns[name][i] for i in index] for name in names or self.names}

    def batches(self, size: int = 1024) -> Iterator[Rows]:
        return in_batches(self, size)

    def ids(self, index: np.ndarray) -> list[str]:
        return [f"{self._file}:{self._lines[i]}" for i in index]

    def hashes(self, index: np.ndarray, names: tuple[str, ...]) -> np.ndarray:
        return hash_rows(self.take(index, names), names, self.kinds)

    def fingerprint(self) -> str:
        return digest.of_data(["ts", self._digest])


def parts_in(folder: Path) -> dict[str, Path]:
    """The files X_TRAIN.ts and X_TEST.ts of a folder, by part. Raises: DataError where there are several sets."""
    found: dict[str, Path] = {}
    for path in sorted(folder.glob("*.ts")):
        if (match := PART.match(path.name)) is None:
            continue
        part = match["part"].lower()
        if part in found:
            raise DataError(str(folder), expected="one set, X_TRAIN.ts and X_TEST.ts", found=f"{found[part].name} and {path.name}", fix="Name one file.")
        found[part] = path
    return found


def open_ts(path: Path) -> SeriesSource:
    """Read a file, with values in memory. Lines that cannot be read are counted as bad rows.

    Raises: DataError for a file without `@data`, without labels, with time stamps, or without a usable line.
    """
    about: dict[str, str] = {}
    columns: list[list[np.ndarray]] = []
    labels: list[str] = []
    lines: list[int] = []
    bad: list[Bad] = []
    inside = False
    for number, raw in enumerate(path.read_text("utf-8", errors="replace").splitlines(), 1):
        line = raw.strip()
        if not line or line.startswith("#"):
            continue
        if not inside:
            word, _, rest = line.partition(" ")
            about[word.lower()] = rest.strip().lower()
            inside = word.lower() == "@data"
            if inside:
                _check_header(path, about)
            continue
        *dimensions, label = line.split(":")
        row = _row(dimensions)
        if isinstance(row, str) or (columns and len(row) != len(columns[0])):
            bad.append(Bad(f"{path.name}:{number}", row if isinstance(row, str) else f"{len(row)} dimensions, and {len(columns[0])} before"))
            continue
        columns.append(row)
        labels.append(label.strip())
        lines.append(number)
    if not columns:
        found = "no line `@data`" if not inside else "none" if not bad else f"none: {bad[0].reason}"
        raise DataError(str(path), expected="series with a label, `v,v,...:label` on each line", found=found, fix="Check that it is a .ts file.")
    names = ["series"] if len(columns[0]) == 1 else [f"dimension_{i}" for i in range(1, len(columns[0]) + 1)]
    numbers = "@targetlabel" in about
    values: list[str | float] = [float(label) for label in labels] if numbers else list(labels)
    return SeriesSource({name: [row[i] for row in columns] for i, name in enumerate(names)}, values, lines, path, tuple(bad))


def _check_header(path: Path, about: dict[str, str]) -> None:
    if about.get("@timestamps", "false").startswith("true"):
        raise DataError(f"{path}: @timeStamps", expected="false", found="true", fix="Write values in equal steps.")
    if not about.get("@classlabel", about.get("@targetlabel", "false")).startswith("true"):
        raise DataError(f"{path}: @classLabel", expected="true: a label at the end of each line", found="none", fix="Add the labels.")


def _row(dimensions: list[str]) -> list[np.ndarray] | str:
    """float64 [steps] a dimension, or what is wrong."""
    if not dimensions:
        return "no `:` before a label"
    try:
        row = [np.array([np.nan if cell.strip() in ("?", "NaN", "nan") else float(cell) for cell in values.split(",")]) for values in dimensions]
    except ValueError as error:
        return f"no number: {str(error)[:60]}"
    lengths = {len(values) for values in row}
    return row if len(lengths) == 1 else f"dimensions of {min(lengths)} and of {max(lengths)} steps"
