"""What decisions rest on, kept by content: a file is named by the hash of its bytes, so it is what the ledger says it is, or it is refused."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from thuja.core import digest
from thuja.core.errors import ArtifactError
from thuja.core.storage import DISK, Disk, write_atomic


@dataclass(frozen=True)
class Evidence:
    """A folder of files named by their SHA-256. What is there never changes; erasing one leaves its name in the ledger."""

    path: Path
    disk: Disk = field(default=DISK, repr=False, compare=False)

    def keep(self, data: bytes) -> str:
        """Write once; the digest that `get` takes."""
        name = digest.of_bytes(data)
        if not self._place(name).is_file():
            write_atomic(self._place(name), data, self.disk)
        return name

    def keep_data(self, data: Any) -> str:
        """Plain data, as JSON."""
        return self.keep(digest.canonical(data))

    def get(self, name: str) -> bytes:
        """The bytes. Raises: ArtifactError where they are gone or are others."""
        path = self._place(name)
        data = self.disk.read(path) if path.is_file() else None
        if data is None or digest.of_bytes(data) != name:
            raise ArtifactError(f"evidence {name[:12]}", expected="the file that the ledger names", found="nothing" if data is None else "other bytes",
                                fix="Restore the deployment's evidence folder from a copy.")
        return data

    def get_data(self, name: str) -> Any:
        """Plain data that `keep_data` wrote."""
        return json.loads(self.get(name))

    def erase(self, name: str) -> bool:
        """Take a file away for good (a person's wish, a retention rule); whether it was there. The caller writes the event that says so."""
        path = self._place(name)
        if not path.is_file():
            return False
        self.disk.remove(path)
        self.disk.sync_folder(path.parent)
        return True

    def _place(self, name: str) -> Path:
        return self.path / name[:2] / name
