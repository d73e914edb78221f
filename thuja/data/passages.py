"""A text, or a folder of texts, as rows: passages in order which, laid end to end, are the text again to the last character."""

import codecs
import mmap
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from thuja.codec import Rows
from thuja.core import digest
from thuja.core.errors import DataError
from thuja.data import cache
from thuja.data.delimited import DELIMITERS
from thuja.data.folder import PARTS
from thuja.data.rows import Bad, Kind, hash_rows, in_batches

SUFFIXES = (".txt", ".text", ".md")
PASSAGE = 256
"""Bytes of a passage, up to three fewer where a character would be cut."""
LOOK = 1 << 16
"""Bytes looked at to tell prose from a table."""
TEXT = "text"


class PassageSource:
    """One column `text`; the files are mapped, not read."""

    def __init__(self, files: list[Path]) -> None:
        """Raises: DataError for what is not UTF-8, or all empty."""
        self.names: tuple[str, ...] = (TEXT,)
        self.kinds: dict[str, Kind] = {TEXT: "text"}
        self.bad: tuple[Bad, ...] = ()
        self.files = [file for file in files if file.stat().st_size]
        if not self.files:
            raise DataError(str(files[0]), expected="a text", found="nothing in it", fix="Check that the right file was given.")
        self._bytes = [_mapped(file) for file in self.files]
        cuts = [_cuts(data) for data in self._bytes]
        self._file = np.repeat(np.arange(len(cuts)), [len(cut) - 1 for cut in cuts])
        self._start = np.concatenate([cut[:-1] for cut in cuts])
        self._end = np.concatenate([cut[1:] for cut in cuts])

    def __len__(self) -> int:
        return len(self._file)

    def take(self, index: np.ndarray, names: tuple[str, ...] = ()) -> Rows:
        return {TEXT: [self._bytes[self._file[i]][self._start[i] : self._end[i]].decode() for i in index]}

    def batches(self, size: int = 1024) -> Iterator[Rows]:
        return in_batches(self, size)

    def ids(self, index: np.ndarray) -> list[str]:
        return [f"{self.files[self._file[i]].name}:{self._start[i]}" for i in index]

    def hashes(self, index: np.ndarray, names: tuple[str, ...]) -> np.ndarray:
        return hash_rows(self.take(index), (TEXT,), self.kinds)

    def fingerprint(self) -> str:
        return digest.of_data(["passages", *((file.name, cache.file_digest(file)) for file in self.files)])


def is_prose(path: Path) -> bool:
    """Whether a file is a text to be read, rather than a table: by its name, and because no separator cuts its lines into equally many cells."""
    if path.suffix.lower() not in SUFFIXES:
        return False
    with path.open("rb") as file:
        lines = [line for line in file.read(LOOK).decode("utf-8", "replace").split("\n") if line.strip()][:-1]
    return not any(len({line.count(delimiter) for line in lines}) == 1 and lines[0].count(delimiter) for delimiter in DELIMITERS if lines)


def open_texts(path: Path) -> dict[str, PassageSource]:
    """A file as one part "all"; of a folder, the files named train, validation (val, dev) and test as parts, or else all of them, by name, as one.

    Raises: DataError for a file that is not UTF-8 or is empty.
    """
    if path.is_file():
        return {"all": PassageSource([path])}
    files = sorted(entry for entry in path.iterdir() if entry.is_file() and entry.suffix.lower() in SUFFIXES and not entry.name.startswith("."))
    given = {PARTS[file.stem.lower()]: file for file in files if file.stem.lower() in PARTS}
    if "train" in given:
        return {part: PassageSource([given[part]]) for part in ("train", "validation", "test") if part in given}
    return {"all": PassageSource(files)}


def _mapped(path: Path) -> mmap.mmap:
    with path.open("rb") as file:
        data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    decoder, at = codecs.getincrementaldecoder("utf-8")(), 0
    try:
        for at in range(0, len(data), LOOK):
            decoder.decode(data[at : at + LOOK], at + LOOK >= len(data))
    except UnicodeDecodeError as error:
        raise DataError(f"{path}, near byte {at + error.start}", expected="UTF-8 text", found=f"the byte 0x{error.object[error.start]:02x}",
                        fix="Save the file as UTF-8.") from error
    return data


def _cuts(data: mmap.mmap) -> np.ndarray:
    """Where passages begin and end: every `PASSAGE` bytes, or up to three before, at the first byte of a character."""
    cuts = np.arange(PASSAGE, len(data), PASSAGE)
    raw = np.frombuffer(data, np.uint8)
    for _ in range(3):
        cuts = cuts - ((raw[cuts] & 0xC0) == 0x80)
    del raw
    return np.concatenate([[0], cuts, [len(data)]]).astype(np.int64)
