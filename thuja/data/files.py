"""Files below a folder as rows, told apart by their bytes: what a folder of pictures and one of recordings have in common."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from thuja.core import digest
from thuja.data import cache


class Files:
    """Some files, each by its name relative to `folder`."""

    def __init__(self, folder: Path, names: list[str]) -> None:
        self.folder, self.names = folder, names
        self._digests: list[str] = []

    def paths(self, index: np.ndarray) -> list[Path]:
        """Where those at `index` are."""
        return [self.folder / self.names[i] for i in index]

    def digests(self) -> list[str]:
        """SHA-256 of every file, read once."""
        if not self._digests:
            found = cache.digests(self.folder, self.names)
            self._digests = [found[name] for name in self.names]
        return self._digests

    def hashes(self, index: np.ndarray, names: tuple[str, ...], column: str, known: Mapping[str, Sequence[str]]) -> np.ndarray:
        """uint64 [rows]: of the columns `names`, where `column` is the file itself and `known` holds the others, a text for each file."""
        parts = {**known, column: self.digests()}
        texts = (digest.of_bytes("\x1f".join(parts[name][i] for name in names).encode())[:16] for i in index)
        return np.array([int(text, 16) for text in texts], np.uint64)
