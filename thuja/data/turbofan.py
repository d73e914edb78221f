"""Engines run to failure, as NASA's C-MAPSS files hold them: a line a flight with the number of the engine, the cycle, settings and sensors.

The training engines run until they fail; the test engines stop before, and `RUL_*.txt` says how many cycles each still had. Both become tables with a column
`remaining`: the cycles left at each line.

Source: A. Saxena, K. Goebel, D. Simon, N. Eklund, "Damage propagation modeling for aircraft engine run-to-failure simulation", PHM 2008; NASA Prognostics
Center of Excellence, Turbofan Engine Degradation Simulation Data Set. Files with and without a header line are read.
"""

import re
from pathlib import Path

import numpy as np

from thuja.core.errors import DataError
from thuja.data.objects import from_object
from thuja.data.rows import Source

UNIT, TIME, REMAINING = "unit", "cycle", "remaining"
FILE = re.compile(r"^(train|test|RUL)_(FD\d+)\.txt$")
SETTINGS = 3
COLUMNS = 26
"""Unit, cycle, three settings, 21 sensors."""


def files_in(folder: Path) -> dict[str, Path]:
    """The files train_FDxxx.txt, test_FDxxx.txt and RUL_FDxxx.txt of a folder, by their first word; {} where it holds none. Raises: DataError for several."""
    found: dict[str, Path] = {}
    for path in sorted(folder.glob("*_FD*.txt")):
        if (match := FILE.match(path.name)) is None:
            continue
        if match[1] in found:
            raise DataError(str(folder), expected="one set of engines", found=f"{found[match[1]].name} and {path.name}", fix="Give each set its own folder.")
        found[match[1]] = path
    return found if "train" in found else {}


def open_turbofan(folder: Path) -> dict[str, Source]:
    """The parts "train" and, where it is there, "test". Engines are named `train 1`, `test 1`: equal numbers are different engines.

    Raises: DataError for files that are no such tables, or whose engines do not agree.
    """
    files = files_in(folder)
    if not files:
        raise DataError(str(folder), expected="train_FD001.txt, and test_FD001.txt with RUL_FD001.txt", found="none", fix="Check data.path and data.format.")
    parts = {"train": _part(files["train"], "train", None)}
    if "test" in files:
        if "RUL" not in files:
            raise DataError(str(folder), expected="the cycles left of the test engines", found="no RUL file", fix="Add it, or remove the test file.")
        parts["test"] = _part(files["test"], "test", _numbers(files["RUL"])[:, 0])
    return parts


def _part(path: Path, part: str, left: np.ndarray | None) -> Source:
    """A table with a line a cycle. `left`: cycles left after the last line of each engine; None: none."""
    table = _numbers(path)
    if table.shape[1] != COLUMNS:
        raise DataError(str(path), expected=f"{COLUMNS} columns", found=str(table.shape[1]), fix="Check the file.")
    units, first, place = np.unique(table[:, 0], return_index=True, return_inverse=True)
    if left is not None and len(left) != len(units):
        raise DataError(str(path), expected=f"{len(units)} engines in the RUL file", found=str(len(left)), fix="Check that the files belong together.")
    last = np.zeros(len(units))
    np.maximum.at(last, place, table[:, 1])
    remaining = last[place] - table[:, 1] + (0 if left is None else left[place])
    names = [UNIT, TIME, *(f"setting_{i}" for i in range(1, SETTINGS + 1)), *(f"sensor_{i}" for i in range(1, COLUMNS - SETTINGS - 1))]
    columns: dict[str, object] = {name: table[:, i] for i, name in enumerate(names)}
    columns[UNIT] = [f"{part} {int(unit)}" for unit in table[:, 0]]
    assert len(first) == len(units)
    return from_object(columns | {REMAINING: remaining}, where=part)


def _numbers(path: Path) -> np.ndarray:
    """float64 [lines, columns]; a first line of words is left out. Raises: DataError."""
    lines = [line.split() for line in path.read_text("utf-8", errors="replace").splitlines() if line.strip()]
    if lines and not _is_number(lines[0][0]):
        named, lines = len(lines[0]), lines[1:]
        width = len(lines[0]) if lines else named
    else:
        width = len(lines[0]) if lines else 0
    try:
        return np.array([[float(cell) for cell in line[:width]] for line in lines]).reshape(len(lines), width)
    except ValueError as error:
        raise DataError(str(path), expected="lines of numbers, equally many on each", found=str(error)[:80], fix="Check the file.") from error


def _is_number(word: str) -> bool:
    return re.fullmatch(r"[+-]?[\d.]+(e[+-]?\d+)?", word, re.IGNORECASE) is not None
