"""Recordings in a folder: with a table of transcripts, in a folder for each word, or with what was said in their names."""

import itertools
import os
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from thuja.codec import Rows
from thuja.core import digest
from thuja.core.errors import DataError
from thuja.data import table
from thuja.data.files import Files
from thuja.data.folder import PARTS, PLACE
from thuja.data.rows import Bad, Kind, Source, in_batches
from thuja.settings import Data

SUFFIXES = frozenset({".wav", ".flac", ".ogg", ".oga", ".mp3", ".aif", ".aiff", ".au"})
LOOK = 200
"""Files looked at to see whether a folder holds recordings."""
AUDIO = "audio"
"""The column with recordings."""
FITS = 0.99
"""Share of the names that a guessed pattern must fit."""


class RecordingsSource:
    """Columns `audio` (Path) and what is known of each file. `files` are relative to `folder`; every list of `known` belongs to them one by one."""

    def __init__(self, folder: Path, files: list[str], known: dict[str, list[str]], pattern: str = "", bad: tuple[Bad, ...] = ()) -> None:
        self.files, self.known, self.pattern, self.bad = files, known, pattern, bad
        self._held = Files(folder, files)
        self.names: tuple[str, ...] = (AUDIO, *known)
        self.kinds: dict[str, Kind] = {AUDIO: "file", **dict.fromkeys(known, "text")}

    def __len__(self) -> int:
        return len(self.files)

    def take(self, index: np.ndarray, names: tuple[str, ...] = ()) -> Rows:
        rows: Rows = {AUDIO: self._held.paths(index), **{name: [values[i] for i in index] for name, values in self.known.items()}}
        return {name: rows[name] for name in names or self.names}

    def batches(self, size: int = 1024) -> Iterator[Rows]:
        return in_batches(self, size)

    def ids(self, index: np.ndarray) -> list[str]:
        return [self.files[i] for i in index]

    def hashes(self, index: np.ndarray, names: tuple[str, ...]) -> np.ndarray:
        return self._held.hashes(index, names, AUDIO, self.known)

    def fingerprint(self) -> str:
        return digest.of_data(["recordings", self.names, *zip(self.files, self._held.digests(), *self.known.values(), strict=True)])


def is_recording(name: str) -> bool:
    """Whether a file's name ends like a recording's.

    >>> is_recording("a/B.WAV"), is_recording("a/notes.txt"), is_recording("a/.hidden.wav")
    (True, False, False)
    """
    return os.path.splitext(name)[1].lower() in SUFFIXES and not os.path.basename(name).startswith(".")


def is_audio_folder(folder: Path) -> bool:
    """Whether most of the first files in and below a folder, tables left out, are recordings."""
    found = [is_recording(name) for name in itertools.islice(_names(folder), LOOK) if not table.format_of(Path(name))]
    return sum(found) > len(found) / 2


def open_audio_folder(folder: Path, data: Data) -> dict[str, Source]:
    """The parts of a folder of recordings: those given by its sub-folders, or one part "all".

    Raises: DataError for a folder without recordings, or with recordings of which nothing is known.
    """
    tables = sorted(entry for entry in folder.iterdir() if entry.is_file() and table.format_of(entry) and entry.suffix != ".txt")  # README.txt
    if tables and not data.pattern:
        return {"all": _with_table(tables, data)}
    given = {PARTS[entry.name.lower()]: entry for entry in _folders(folder) if entry.name.lower() in PARTS}
    if "train" in given:
        return {part: _known(given[part], folder, data) for part in ("train", "validation", "test") if part in given}
    return {"all": _known(folder, folder, data)}


def _with_table(tables: list[Path], data: Data) -> Source:
    """A table with a column of file names, relative to it."""
    for path in tables:
        if len(tables) > 1 and path.name.partition(".")[0].lower() not in ("metadata", "transcripts"):
            continue
        form = table.format_of(path)
        assert form is not None
        source = table.open_table(path, data, form)
        first = source.take(np.arange(min(len(source), LOOK)))
        named = [name for name, kind in source.kinds.items() if kind in ("text", "file") and all(v is None or is_recording(str(v)) for v in first[name])]
        if named:
            return table.open_table(path, data.model_copy(update={"files": tuple(dict.fromkeys([*data.files, *named]))}), form)
    raise DataError(str(tables[0].parent), expected="a table with a column of file names, such as metadata.csv with file_name and text",
                    found=", ".join(path.name for path in tables[:4]), fix="Name the table metadata.csv, or give data.path the table's own name.")


def _known(folder: Path, base: Path, data: Data) -> RecordingsSource:
    """The recordings of one part, told apart by folder or by name."""
    inside = _folders(folder)
    loose = sorted(entry.name for entry in folder.iterdir() if entry.is_file() and is_recording(entry.name))
    if not loose and len(inside) == 1:
        return _known(inside[0], base, data)
    if loose or data.pattern:
        files = sorted(os.path.relpath(folder / name, base) for name in _names(folder) if is_recording(name))
        return _by_name(base, files, data.pattern or guess_pattern(files), folder)
    files, words = [], []
    for child in inside:
        found = sorted(os.path.relpath(child / name, base) for name in _names(child) if is_recording(name))
        files += found
        words += [child.name] * len(found)
    if not files:
        raise DataError(str(folder), expected="recordings (WAV, FLAC, Ogg, MP3)", found="none", fix="Check data.path.")
    return RecordingsSource(base, files, {"text": words})


def _by_name(base: Path, files: list[str], pattern: str, folder: Path) -> RecordingsSource:
    if not pattern:
        raise DataError(str(folder), expected="recordings of which is known what was said", found=f"{len(files)} files such as {Path(files[0]).name}",
                        fix="Add metadata.csv with file_name and text, put each word's files into a folder of its name, or write data.pattern, such as "
                            "'{text}_{speaker}_{take}'.")
    names = PLACE.findall(pattern)
    if not names or len(set(names)) < len(names) or AUDIO in names or any(name.isdigit() for name in names):
        raise DataError("data.pattern", expected="names of columns in braces, each once, such as '{text}_{speaker}_{take}'", found=repr(pattern),
                        fix=f"The recordings themselves are the column {AUDIO!r}.")
    form = re.compile(PLACE.sub(r"(?P<\1>.+?)", re.escape(pattern)))
    matches = [form.fullmatch(Path(name).stem) for name in files]
    bad = tuple(Bad(name, f"a name that does not fit {pattern}") for name, match in zip(files, matches, strict=True) if not match)
    if len(bad) == len(files):
        raise DataError("data.pattern", expected=f"names that fit {pattern}", found=f"{Path(files[0]).name} and {len(files) - 1} others that do not",
                        fix="Correct the pattern; the ending of the files is no part of it.")
    good = [(name, match) for name, match in zip(files, matches, strict=True) if match]
    return RecordingsSource(base, [name for name, _ in good], {column: [match[column] for _, match in good] for column in names}, pattern, bad)


def guess_pattern(files: list[str]) -> str:
    """What the names of the files seem to say, as a pattern: a number that counts is a take, the first of the others is what was said, the next who said it.
    Empty where they are not all cut alike.

    >>> guess_pattern([f"{digit}_{who}_{take}.wav" for digit in range(3) for who in ("ann", "bo") for take in range(9)])
    '{text}_{speaker}_{take}'
    """
    stems = [Path(name).stem for name in files]
    for mark in ("_", "-"):
        cut = [stem.split(mark) for stem in stems]
        widths = sorted({len(parts) for parts in cut}, key=lambda width: -sum(len(parts) == width for parts in cut))
        alike = [parts for parts in cut if len(parts) == widths[0]]
        if widths[0] < 2 or widths[0] > 5 or len(alike) < FITS * len(stems):
            continue
        columns = [set(column) for column in zip(*alike, strict=True)]
        counts = [len(column) if all(value.isdigit() for value in column) else 0 for column in columns]
        take = max(range(len(columns)), key=lambda place: (counts[place], place)) if any(counts) else -1
        names = iter(["text", "speaker", *(f"part_{i}" for i in range(3, 6))])
        return mark.join("{take}" if place == take else f"{{{next(names)}}}" for place in range(len(columns)))
    return ""


def _folders(folder: Path) -> list[Path]:
    return sorted(entry for entry in folder.iterdir() if entry.is_dir() and not entry.name.startswith("."))


def _names(folder: Path) -> Iterator[str]:
    """Names of all files in and below a folder, relative to it."""
    for place, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        yield from (os.path.relpath(os.path.join(place, name), folder) for name in sorted(names) if not name.startswith("."))
