"""The folder of a Run: what was learned, how, from what, and what came of it. No torch.

`spec.yaml` is written last of what precedes step one, so a folder with it can be continued and one without it never began.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from thuja.apps import CODECS
from thuja.codec import Codec, load
from thuja.core import log, storage
from thuja.core.document import read_yaml
from thuja.core.errors import ArtifactError

SPEC = "spec.yaml"
LOG = "log.jsonl"
CHECKPOINTS = "checkpoints"


@dataclass(frozen=True)
class Run:
    """A folder; nothing of it is held in memory."""

    path: Path

    @classmethod
    def create(cls, root: Path) -> Self:
        """The next free number under `root`: `root/0001`, `root/0002`. Two processes never get the same one."""
        with storage.explained(root):
            root.mkdir(parents=True, exist_ok=True)
            number = max((int(p.name) for p in root.iterdir() if p.name.isdecimal()), default=0)
            while True:
                number += 1
                try:
                    (root / f"{number:04d}").mkdir()
                except FileExistsError:
                    continue
                return cls(root / f"{number:04d}")

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

    def write(self, name: str, data: Any) -> None:
        """Plain data as readable JSON, replaced in one step."""
        storage.write_atomic(self.path / name, (json.dumps(data, indent=1, ensure_ascii=False, allow_nan=False) + "\n").encode())

    def read(self, name: str) -> Any:
        """Plain data from JSON. Raises: ArtifactError when it is absent or damaged."""
        try:
            return json.loads((self.path / name).read_bytes())
        except FileNotFoundError as error:
            raise ArtifactError(str(self.path / name), expected="a file of this run", found="nothing there", fix="Train again.") from error
        except ValueError as error:
            raise ArtifactError(str(self.path / name), expected="JSON", found="damaged text", fix="Restore the file from a copy, or train again.") from error

    def spec_data(self) -> dict[str, Any]:
        """The settled spec as plain data, for `thuja.spec.parse`."""
        path = self.path / SPEC
        data: dict[str, Any] = read_yaml(path.read_text("utf-8"), str(path)).data
        return data

    def codec(self, kinds: Mapping[str, str] = CODECS) -> Codec:
        """The codec learned from the training rows; `kinds` is the table of known ones."""
        return load(self.read("codec.json"), kinds)

    def log(self, *records: dict[str, Any]) -> None:
        """Add records durably."""
        log.append(self.path / LOG, list(records))

    def records(self) -> list[dict[str, Any]]:
        """Everything logged, oldest first; a line torn by a crash is left out."""
        return log.read(self.path / LOG)[0]

    def rewind(self, step: int) -> None:
        """Forget the records of steps after `step`: they will be made, and logged, again."""
        path = self.path / LOG
        records = log.repair(path)
        kept = [r for r in records if r.get("step", 0) <= step]
        if len(kept) != len(records):
            log.rewrite(path, kept)

    def best_checkpoint(self) -> Path:
        """The checkpoint to evaluate and export: the best look's where training stops early, else the last. Raises: ArtifactError where none is there."""
        names = storage.DISK.list(self.checkpoints)
        if not names:
            raise ArtifactError(str(self.checkpoints), expected="a checkpoint", found="none", fix="Continue the run with `thuja train --resume`.")
        last = self.checkpoints / names[-1]
        try:
            history = json.loads((last / "state.json").read_bytes())["history"]
        except (OSError, ValueError, KeyError) as error:
            fix = "Continue the run with `thuja train --resume`: it falls back to the checkpoint before."
            raise ArtifactError(str(last), expected="a whole checkpoint", found="a damaged one", fix=fix) from error
        best = history.get("keep")
        return last if best is None else self.checkpoints / f"{best:08d}"
