"""IDX files (the format of MNIST), gzipped or not: `train-images-idx3-ubyte` with `train-labels-idx1-ubyte`, `t10k-...` or `test-...` beside them.

Source: Y. LeCun, C. Cortes, C. Burges, "The MNIST database", format description.
"""

import gzip
import math
import re
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from thuja.codec import Rows
from thuja.core import digest
from thuja.core.errors import DataError
from thuja.data import cache
from thuja.data.rows import Bad, Kind, hash_rows, in_batches

NAME = re.compile(r"(?P<part>.+?)[-_.](?P<what>images|labels)[-_.]idx(?P<rank>[13])[-_.]ubyte(\.gz)?")
PARTS = {"train": "train", "t10k": "test", "test": "test", "validation": "validation", "val": "validation", "valid": "validation"}


class IdxSource:
    """Columns `image` (uint8 H x W) and `label` (text)."""

    def __init__(self, images: np.ndarray, labels: np.ndarray, file: str, fingerprint: str) -> None:
        self.names: tuple[str, ...] = ("image", "label")
        self.kinds: dict[str, Kind] = {"image": "image", "label": "text"}
        self.bad: tuple[Bad, ...] = ()
        self._images, self._labels, self._file, self._fingerprint = images, labels, file, fingerprint

    def __len__(self) -> int:
        return len(self._labels)

    def take(self, index: np.ndarray, names: tuple[str, ...] = ()) -> Rows:
        names = names or self.names  # labels alone are asked for often, and pictures are large
        return {name: list(self._images[index]) if name == "image" else [str(label) for label in self._labels[index]] for name in names}

    def batches(self, size: int = 1024) -> Iterator[Rows]:
        return in_batches(self, size)

    def ids(self, index: np.ndarray) -> list[str]:
        return [f"{self._file}:{place}" for place in index]

    def hashes(self, index: np.ndarray, names: tuple[str, ...]) -> np.ndarray:
        return hash_rows(self.take(index, names), names, self.kinds)

    def fingerprint(self) -> str:
        return self._fingerprint


def is_idx(folder: Path) -> bool:
    """Whether a folder holds pictures as IDX files."""
    return any((match := NAME.fullmatch(entry.name)) and match["what"] == "images" for entry in folder.iterdir())


def open_idx(folder: Path) -> dict[str, IdxSource]:
    """The parts in a folder: `train` and `test` where the names say so, else one part "all".

    Raises: DataError for a missing label file, a damaged file, or different numbers of pictures and labels.
    """
    files: dict[str, dict[str, Path]] = {}
    for entry in sorted(folder.iterdir()):
        if match := NAME.fullmatch(entry.name):
            files.setdefault(PARTS.get(match["part"], "all"), {})[match["what"]] = entry
    for pair in files.values():
        if len(pair) != 2:
            here = next(iter(pair.values()))
            raise DataError(str(here), expected="a file of pictures and a file of labels beside each other", found="one of the two",
                            fix="Put both, such as train-images-idx3-ubyte.gz and train-labels-idx1-ubyte.gz, in the folder.")
    if not files:
        raise DataError(str(folder), expected="IDX files such as train-images-idx3-ubyte.gz", found="none", fix="Check data.path.")
    order = [part for part in ("all", "train", "validation", "test") if part in files]
    return {part: _pair(files[part]["images"], files[part]["labels"]) for part in order}


def _pair(images: Path, labels: Path) -> IdxSource:
    content = digest.of_data(["idx", cache.file_digest(images), cache.file_digest(labels)])
    pictures, names = read(images), read(labels)
    if len(pictures) != len(names) or pictures.ndim != 3 or names.ndim != 1:
        raise DataError(str(labels), expected=f"a label for each of {len(pictures)} pictures", found=str(len(names)),
                        fix="Check that the two files belong together.")
    return IdxSource(pictures, names, images.name.removesuffix(".gz"), content)


def read(path: Path) -> np.ndarray:
    """A uint8 IDX file: memory-mapped, or unpacked into memory where it is gzipped. Raises: DataError for a damaged or truncated one."""
    try:
        flat = np.frombuffer(gzip.decompress(path.read_bytes()), np.uint8) if path.suffix == ".gz" else np.memmap(path, np.uint8, "r")
    except (EOFError, gzip.BadGzipFile, zlib.error, ValueError) as error:  # ValueError: an empty file cannot be mapped
        raise _damaged(path, str(error)) from error
    start = 4 + 4 * int(flat[3]) if len(flat) >= 4 else 4
    if len(flat) < start or flat[:3].tobytes() != b"\0\0\x08":
        raise _damaged(path, f"a file that begins with {flat[:4].tobytes().hex() or 'nothing'}")
    shape = [int(length) for length in flat[4:start].view(">u4")]
    if len(flat) != start + math.prod(shape):
        raise _damaged(path, f"{len(flat)} bytes where {start + math.prod(shape)} are announced")
    return flat[start:].reshape(shape)


def _damaged(path: Path, found: str) -> DataError:
    return DataError(str(path), expected="a whole IDX file of bytes", found=found, fix="Copy the file again.")
