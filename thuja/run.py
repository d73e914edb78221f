"""The folder of a Run: what was learned, how, from what, and what came of it. No torch.

`spec.yaml` is written last of what precedes step one, so a folder with it can be continued and one without it never began. It ends with its own SHA-256
in a comment, and each JSON file holds its own under `sha256`: what a bad disk or a hand has changed is refused.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from thuja.apps import CODECS
from thuja.codec import Codec, load
from thuja.core import digest, log, storage
from thuja.core.document import read_yaml
from thuja.core.errors import ArtifactError
from thuja.core.storage import DISK, Disk

SPEC = "spec.yaml"
LOG = "log.jsonl"
AGEING = "ageing.json"
CHECKPOINTS = "checkpoints"
SEAL = "sha256"


@dataclass(frozen=True)
class Run:
    """A folder; nothing of it is held in memory."""

    path: Path
    disk: Disk = field(default=DISK, repr=False, compare=False)

    @classmethod
    def create(cls, root: Path, disk: Disk = DISK) -> Self:
        """The next free number under `root`: `root/0001`, `root/0002`. Two processes never get the same one."""
        with storage.explained(root):
            disk.make_folder(root)
            number = max((int(p.name) for p in root.iterdir() if p.name.isdecimal()), default=0)
            while True:
                number += 1
                try:
                    disk.create_folder(root / f"{number:04d}")
                except FileExistsError:
                    continue
                disk.sync_folder(root)
                return cls(root / f"{number:04d}", disk)

    @classmethod
    def open(cls, path: Path | str) -> Self:
        """An existing run that got as far as step one. Raises: ArtifactError for anything else."""
        path = Path(path)
        if not (path / SPEC).is_file():
            found = "no such folder" if not path.is_dir() else f"a folder without {SPEC}"
            raise ArtifactError(str(path), expected="the folder of a run", found=found, fix="List runs with `thuja runs`.")
        return cls(path)

    @classmethod
    def all(cls, root: Path) -> list[Self]:
        """Every run under `root`, oldest first; an absent root has none."""
        if not root.is_dir():
            return []
        return [cls(p) for p in sorted(root.iterdir(), key=lambda p: (len(p.name), p.name)) if p.name.isdecimal() and (p / SPEC).is_file()]

    @property
    def checkpoints(self) -> Path:
        """The folder of the checkpoints."""
        return self.path / CHECKPOINTS

    def write(self, name: str, data: Mapping[str, Any]) -> None:
        """Plain data as readable JSON, sealed and replaced in one step."""
        storage.write_atomic(self.path / name, _sealed(data), self.disk)

    def read(self, name: str) -> dict[str, Any]:
        """Plain data from JSON. Raises: ArtifactError when it is absent, damaged or edited."""
        path = self.path / name
        try:
            content = self.disk.read(path)
            data: dict[str, Any] = json.loads(content)
        except FileNotFoundError as error:
            raise ArtifactError(str(path), expected="a file of this run", found="nothing there", fix="Train again.") from error
        except ValueError as error:
            raise _damaged(path, "JSON", "damaged text") from error
        if not isinstance(data, dict) or data.pop(SEAL, None) is None or _sealed(data) != content:
            raise _damaged(path)
        return data

    def write_spec(self, text: str) -> None:
        """The settled spec: from now on the run has begun."""
        content = text.encode()
        storage.write_atomic(self.path / SPEC, content + f"# {SEAL}: {digest.of_bytes(content)}\n".encode(), self.disk)

    def spec_data(self) -> dict[str, Any]:
        """The settled spec as plain data, for `thuja.spec.parse`. Raises: ArtifactError when it is damaged or edited."""
        path = self.path / SPEC
        content, _, seal = self.disk.read(path).rpartition(f"# {SEAL}: ".encode())
        if seal != f"{digest.of_bytes(content)}\n".encode():
            raise _damaged(path)
        data: dict[str, Any] = read_yaml(content.decode(), str(path)).data
        return data

    def codec(self, kinds: Mapping[str, str] = CODECS) -> Codec:
        """The codec learned from the training rows; `kinds` is the table of known ones."""
        return load(self.read("codec.json"), kinds)

    def log(self, *records: dict[str, Any]) -> None:
        """Add records durably."""
        log.append(self.path / LOG, list(records), self.disk)

    def records(self) -> list[dict[str, Any]]:
        """Everything logged, oldest first. Where a crash, or damage, has torn the end off, the last one says so: {"event": "torn", "bytes": how many}."""
        records, _, torn = log.read(self.path / LOG, self.disk)
        return [*records, _torn(torn)] if torn else records

    def rewind(self, step: int) -> None:
        """Forget the records of steps after `step`: they will be made, and logged, again. To be called before the first `log` of a process."""
        path = self.path / LOG
        records, _, torn = log.read(path, self.disk)
        kept = [r for r in records if r.get("step", 0) <= step] + ([_torn(torn)] if torn else [])
        if kept != records:
            log.rewrite(path, kept, self.disk)

    def best_checkpoint(self) -> Path:
        """The checkpoint to evaluate and export: the best look's where training stops early, else the last. Raises: ArtifactError where none is there."""
        names = self.disk.list(self.checkpoints)
        if not names:
            raise ArtifactError(str(self.checkpoints), expected="a checkpoint", found="none", fix="Continue the run with `thuja train --resume`.")
        last = self.checkpoints / names[-1]
        try:
            state = self.disk.read(last / "state.json")
            known = json.loads(self.disk.read(last / "manifest.json"))["files"]["state.json"]["sha256"]
            if digest.of_bytes(state) != known:
                raise ValueError(known)
            best = json.loads(state)["history"].get("keep")
        except (OSError, ValueError, KeyError, TypeError) as error:
            fix = "Continue the run with `thuja train --resume`: it falls back to the checkpoint before."
            raise ArtifactError(str(last), expected="a whole checkpoint", found="a damaged one", fix=fix) from error
        return last if best is None else self.checkpoints / f"{best:08d}"


def _sealed(data: Mapping[str, Any]) -> bytes:
    """The one way these values are written; a file with any other bytes has been changed."""
    seal = digest.of_bytes(_rendered(data))
    return _rendered({**data, SEAL: seal})


def _rendered(data: Mapping[str, Any]) -> bytes:
    return (json.dumps(data, indent=1, ensure_ascii=False, allow_nan=False) + "\n").encode()


def _damaged(path: Path, expected: str = "the bytes that were written", found: str = "damaged or edited ones") -> ArtifactError:
    return ArtifactError(str(path), expected=expected, found=found, fix="Restore the file from a copy, or train again.")


def _torn(size: int) -> dict[str, Any]:
    return {"event": "torn", "bytes": size}
