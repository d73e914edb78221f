"""Polyphonic music as text: a file of piano rolls becomes one text a piece, for a language model to go on with.

A roll is a JSON file with the keys train, valid and test, each a list of pieces; a piece is a list of time steps, a step the list of the MIDI pitches that
sound (21 to 108, the keys of a piano), as the chorales of Bach are usually given (Boulanger-Lewandowski et al. 2012, arXiv 1206.6392). In the text every
pitch is one character, from ! (21) to x (108), and every step is its pitches from the lowest up and a space. One music has one text, so that what a language
model gives to the text is a likelihood of the music, and the nats of a piece over its spaces are the nats a step of the papers.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np

from thuja.codec import Rows
from thuja.core import digest
from thuja.core.errors import DataError
from thuja.data import cache
from thuja.data.folder import PARTS
from thuja.data.rows import Bad, Kind, hash_rows, in_batches

TEXT = "text"
STEP = " "
LOWEST, HIGHEST = 21, 108
FIRST = ord("!")
LOOK = 1 << 12
"""Bytes looked at before a file is read."""


class RollSource:
    """One column `text`, a piece a row."""

    def __init__(self, file: Path, part: str, texts: list[str], bad: tuple[Bad, ...]) -> None:
        self.names: tuple[str, ...] = (TEXT,)
        self.kinds: dict[str, Kind] = {TEXT: "text"}
        self.file, self.part, self.texts, self.bad = file, part, texts, bad

    def __len__(self) -> int:
        return len(self.texts)

    def take(self, index: np.ndarray, names: tuple[str, ...] = ()) -> Rows:
        return {TEXT: [self.texts[i] for i in index]}

    def batches(self, size: int = 1024) -> Iterator[Rows]:
        return in_batches(self, size)

    def ids(self, index: np.ndarray) -> list[str]:
        return [f"{self.file.name}:{self.part}:{i}" for i in index]

    def hashes(self, index: np.ndarray, names: tuple[str, ...]) -> np.ndarray:
        return hash_rows(self.take(index), (TEXT,), self.kinds)

    def fingerprint(self) -> str:
        return digest.of_data(["rolls", self.part, cache.file_digest(self.file)])


def is_rolls(path: Path) -> bool:
    """Whether a file is one of piano rolls, by its name and its beginning."""
    if path.suffix.lower() != ".json" or not path.is_file():
        return False
    with path.open("rb") as file:
        head = file.read(LOOK).decode("utf-8", "replace").replace(" ", "").replace("\n", "")
    return any(head.startswith(f'{{"{part}":[[[') for part in PARTS)


def open_rolls(path: Path) -> dict[str, RollSource]:
    """The parts of a file. Pieces that hold no steps, or pitches that no piano has, are bad rows. Raises: DataError for a file of another kind."""
    try:
        rolls = json.loads(path.read_text("utf-8"))
    except (ValueError, RecursionError) as error:
        raise DataError(str(path), expected="piano rolls as JSON", found="a damaged file", fix="Fetch it again.") from error
    given = {PARTS[name]: pieces for name, pieces in rolls.items() if name in PARTS} if isinstance(rolls, dict) else {}
    if "train" not in given or not all(isinstance(pieces, list) and pieces for pieces in given.values()):
        raise DataError(str(path), expected="an object with train, valid and test, each a list of pieces", found="something else",
                        fix="Write each piece as a list of steps, each step as a list of pitches.")
    found: dict[str, RollSource] = {}
    for part in ("train", "validation", "test"):
        if part in given:
            texts, bad = _texts(given[part], f"{path.name}:{part}")
            found[part] = RollSource(path, part, texts, tuple(bad))
    return found


def _texts(pieces: list[object], where: str) -> tuple[list[str], list[Bad]]:
    texts, bad = [], []
    for number, piece in enumerate(pieces):
        try:
            texts.append(written(piece))  # type: ignore[arg-type]  # checked there
        except (TypeError, ValueError) as error:
            bad.append(Bad(f"{where}:{number}", str(error)))
    return texts, bad


def written(piece: Sequence[Iterable[int]], up: int = 0) -> str:
    """The text of a piece, `up` half-tones higher. Raises: ValueError or TypeError for what is no piece.

    >>> written([[60, 48], [], [62]])
    '<H  J '
    """
    if not piece:
        raise ValueError("a piece without a step")
    steps = [sorted({int(pitch) + up for pitch in step}) for step in piece]
    odd = [pitch for step in steps for pitch in step if not LOWEST <= pitch <= HIGHEST]
    if odd:
        raise ValueError(f"the pitch {odd[0]}, which no piano has")
    return "".join("".join(chr(pitch - LOWEST + FIRST) for pitch in step) + STEP for step in steps)


def read(text: str) -> list[list[int]]:
    """The steps of a text; one that is not finished counts.

    >>> read("<H  J ")
    [[48, 60], [], [62]]
    """
    steps = text.split(STEP)
    return [[ord(character) - FIRST + LOWEST for character in step] for step in (steps[:-1] if text.endswith(STEP) else steps)]
