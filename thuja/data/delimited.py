"""CSV and its relatives, read line by line: the separator is found by looking, and every oddity is named by file and line."""

import codecs
import contextlib
import csv
import gzip
import itertools
import zlib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple, TextIO

from thuja.core.errors import DataError
from thuja.data.rows import Bad
from thuja.settings import Data

DELIMITERS = (",", "\t", ";", "|")
LOOK = 1000
"""Lines looked at before reading."""


class Block(NamedTuple):
    """Some rows as text, column by column, and the line on which each begins."""

    columns: list[list[str | None]]
    lines: list[int]


class Table(NamedTuple):
    """A CSV file that has been looked at."""

    path: Path
    names: tuple[str, ...]
    delimiter: str
    data: Data


def look(path: Path, data: Data) -> Table:
    """Find the separator and the column names; a column without a name (a saved index) is called `column_N`.

    Raises: DataError for an empty file, a header that is not one, an unknown or wrong encoding.
    """
    with text_file(path, data.encoding) as file:
        sample = list(itertools.islice(text_lines(file, path, data.encoding), LOOK))
    if not any(line.strip() for line in sample):
        raise DataError(str(path), expected="a header line and rows", found="an empty file", fix="Check that the right file was given.")
    delimiter = data.delimiter or sniff(sample)
    rows = list(_sample_rows(sample, delimiter))
    head = [cell.strip() for cell in rows[0]]
    if not data.names:
        _refuse_no_header(path, head, rows[1:])
        return Table(path, tuple(name or f"column_{place}" for place, name in enumerate(head, 1)), delimiter, data)
    if len(data.names) not in map(len, rows):
        raise DataError("data.names", expected=f"{len(head)} names, one for each column of {path.name}", found=str(len(data.names)), fix="Correct the list.")
    if tuple(head) == data.names:
        raise DataError(f"{path}:1", expected="a row, because data.names is given", found="a header line with these names",
                        fix="Remove data.names from the spec.")
    return Table(path, data.names, delimiter, data)


def sniff(sample: list[str]) -> str:
    """The separator that cuts most lines into equally many cells, more cells winning a tie.

    >>> sniff(["a;b;c", "1,5;2;3", "4,5;6;7"])
    ';'
    """
    scores = {}
    for delimiter in DELIMITERS:
        widths = Counter(len(row) for row in _sample_rows(sample, delimiter) if row)
        width, lines = max(widths.items(), key=lambda item: (item[1] if item[0] > 1 else 0, item[0]), default=(1, 0))
        scores[delimiter] = (lines if width > 1 else 0, width)
    best = max(DELIMITERS, key=lambda delimiter: scores[delimiter])
    return best if scores[best][0] else ","


def _sample_rows(sample: list[str], delimiter: str) -> Iterator[list[str]]:
    with contextlib.suppress(csv.Error):  # a cell too long is named when the rows are read
        yield from csv.reader(sample, delimiter=delimiter)


def blocks(table: Table, bad: list[Bad], size: int = 8192) -> Iterator[Block]:
    """All rows, `size` at a time; space around a cell is no part of it, and a cell in `data.missing` is None. Ragged lines go to `bad`; blank ones are skipped.

    Raises: DataError where the text is not of the stated encoding, or a cell is longer than csv allows (131,072 characters).
    """
    missing, width = frozenset(table.data.missing), len(table.names)
    rows: list[list[str | None]] = []
    lines: list[int] = []
    with text_file(table.path, table.data.encoding) as file:
        reader = csv.reader(text_lines(file, table.path, table.data.encoding), delimiter=table.delimiter)
        start = 1
        try:
            for place, row in enumerate(reader):
                line, start = start, reader.line_num + 1
                if (place == 0 and not table.data.names) or not row:
                    continue
                if len(row) != width:
                    if any(cell.strip() for cell in row):
                        bad.append(Bad(f"{table.path.name}:{line}", f"{len(row)} cells where the table has {width}"))
                    continue
                cells = [cell.strip() for cell in row]
                rows.append([None if cell in missing else cell for cell in cells])
                lines.append(line)
                if len(rows) == size:
                    yield Block([list(column) for column in zip(*rows, strict=True)], lines)
                    rows, lines = [], []
        except csv.Error as error:
            raise DataError(f"{table.path}:{start}", expected=f"cells of at most {csv.field_size_limit():,} characters", found=f"a problem: {error}",
                            fix="Shorten the cell, or look for a quotation mark that is never closed.") from error
    if rows:
        yield Block([list(column) for column in zip(*rows, strict=True)], lines)


def text_file(path: Path, encoding: str) -> TextIO:
    """A text file, unpacked where its name ends in .gz; a byte-order mark is no part of it. Raises: DataError for an unknown encoding."""
    try:
        name = codecs.lookup(encoding).name
    except LookupError as error:
        raise DataError("data.encoding", expected="the name of a text encoding", found=repr(encoding), fix="Try utf-8, latin-1, cp1252 or utf-16.") from error
    name = "utf-8-sig" if name == "utf-8" else name
    return gzip.open(path, "rt", encoding=name, newline="") if path.suffix == ".gz" else path.open(encoding=name, newline="")


def wrong_encoding(path: Path, encoding: str) -> DataError:
    """The error for a file that is not of this encoding, naming line and byte."""
    place = str(path)
    found = "other bytes"
    with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
        offset = 0
        for number, line in enumerate(file, 1):
            try:
                line.decode(encoding)
            except UnicodeDecodeError as error:
                place, found = f"{path}:{number}", f"byte 0x{line[error.start]:02x} at {offset + error.start}"
                break
            offset += len(line)
    return DataError(place, expected=f"text in {encoding}", found=found, fix="Set data.encoding, for example to latin-1 or cp1252, or save the file as UTF-8.")


def text_lines(file: TextIO, path: Path, encoding: str) -> Iterator[str]:
    """The lines of a text file. Raises: DataError for bytes of another encoding, or a torn .gz file."""
    try:
        yield from file
    except UnicodeDecodeError as error:
        raise wrong_encoding(path, encoding) from error
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise DataError(str(path), expected="a whole file", found=f"a problem: {error}", fix="Copy the file again.") from error


def _refuse_no_header(path: Path, head: list[str], rows: list[list[str]]) -> None:
    twice = sorted(name for name, times in Counter(head).items() if times > 1 and name)
    again = any(cell and cell in {row[i].strip() for row in rows if len(row) > i} for i, cell in enumerate(head) if not _is_number(cell))
    if any(map(_is_number, head)) and (again or twice or (all(map(_is_number, head)) and not _counts(head))):
        raise DataError(f"{path}:1", expected="a header line", found=f"what looks like a row: {', '.join(head)[:60]}",
                        fix="Give the column names in data.names.")
    if twice:
        raise DataError(f"{path}:1", expected="a name of its own for each column", found=f"{twice[0]!r} twice",
                        fix="Correct the header line, or write the names in data.names and remove it.")


def _counts(head: list[str]) -> bool:
    return head == [str(i) for i in range(len(head))] or all(cell.isdigit() and len(cell) == 4 for cell in head)


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True
