"""Checkpoints: all that training needs to go on to the same bits, written whole, verified after writing and before use.

A checkpoint is a folder `checkpoints/<step>/` of a run:
`model.safetensors` (the weights to evaluate and export: the moving average where there is one) · `raw.safetensors` (the weights being trained, only where
they differ) · `optimizer.safetensors` · `memory.safetensors` (what `Task.memory` keeps, only where there is some) ·
`state.json` (step, parts of a batch, carefulness, history) · `manifest.json` (SHA-256 and length of every other file).
No random state is in it, since randomness is a function of (seed, step). The last two verified ones and the best are kept.
"""

import hashlib
import json
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self

import numpy as np
import torch
from safetensors.torch import load as read_tensors
from torch import Tensor, nn

from thuja.core import digest, storage
from thuja.core.errors import ArtifactError, ThujaError
from thuja.core.storage import DISK, Disk
from thuja.training.loop import State
from thuja.training.staging import Staging

FORMAT = 1
KEPT = 2
MODEL, RAW, OPTIMIZER, MEMORY = "model.safetensors", "raw.safetensors", "optimizer.safetensors", "memory.safetensors"
STATE, MANIFEST = "state.json", "manifest.json"


class Restored(NamedTuple):
    """What `restore` found."""

    history: dict[str, Any]
    damaged: list[str]
    """For each newer checkpoint that was refused, why."""


class NotFinite(Exception):
    """A number that is none, in the weights or in a loss: a signal from the engine to itself that it must go back. Never seen by a user."""

    def __init__(self, step: int, name: str, value: float) -> None:
        super().__init__(step, name, value)
        self.step, self.name, self.value = step, name, value


class Saver:
    """Writes checkpoints behind training's back, one at a time; use it in a `with` statement.

    `save` copies the state into memory that is kept for that, and returns; a thread hashes, writes, reads back and prunes. What goes wrong there is raised
    by the next `save` or by `close`: a run is over only after `close`.
    """

    def __init__(self, root: Path, disk: Disk = DISK) -> None:
        self.root, self.disk = root, disk
        self._staged: dict[str, Staging] = {}
        self._thread: ThreadPoolExecutor | None = None
        self._flying: Future[None] | None = None

    def save(self, state: State, history: dict[str, Any], *, best: int | None = None) -> None:
        """Checkpoint `root/<step>` of the state as it is now. Waits for the one before.

        Raises: what went wrong with the one before: StorageError, ArtifactError, and NotFinite where its weights were no numbers (it was not written).
        """
        self.wait()
        plain = _plain(state, history)
        self._staged = _stage(state, self._staged)
        watched = [name for name, _ in state.model.named_parameters()]
        self._thread = self._thread or ThreadPoolExecutor(1, "checkpoint")
        self._flying = self._thread.submit(self._write, state.step, plain, watched, best)

    def _write(self, step: int, plain: bytes, watched: list[str], best: int | None) -> None:
        trained = self._staged.get(RAW, self._staged[MODEL]).tensors
        for name in watched:
            if not _finite(trained[name]):
                raise NotFinite(step, name, float("nan"))
        _write(self.root / f"{step:08d}", {name: staged.file for name, staged in self._staged.items()} | {STATE: plain}, best, self.disk)

    def wait(self) -> None:
        """Until nothing is in flight. Raises: as `save`."""
        flying, self._flying = self._flying, None
        if flying is not None:
            flying.result()

    def close(self) -> None:
        """Wait, and let the thread go. Raises: as `save`."""
        thread, self._thread = self._thread, None
        if thread is not None:
            thread.shutdown(wait=True)
        self.wait()

    def __enter__(self) -> Self:
        """Starts the thread, since it may be too late for that when memory has become scarce. (What torch keeps for each thread comes with the tensor.)"""
        self._thread = ThreadPoolExecutor(1, "checkpoint")
        self._thread.submit(torch.zeros, 1).result()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        try:
            self.close()
        except (ThujaError, OSError, NotFinite) as missed:
            if error is None:
                raise
            error.add_note(f"The last checkpoint was not written: {missed}")  # the first trouble is the one to explain


def save(root: Path, state: State, history: dict[str, Any], *, best: int | None = None, disk: Disk = DISK) -> Path:
    """Write checkpoint `root/<step>`, read it back, then delete all but the last two and the one of step `best`.

    Args: history: plain data given back by `restore`.
    Raises: StorageError when the disk is full (older checkpoints are intact); ArtifactError when what was read back differs.
    """
    files = {name: staged.file for name, staged in _stage(state, {}).items()}
    path = root / f"{state.step:08d}"
    _write(path, files | {STATE: _plain(state, history)}, best, disk)
    return path


def _plain(state: State, history: dict[str, Any]) -> bytes:
    data = {"step": state.step, "parts": state.parts, "careful": state.careful, "history": history}
    return json.dumps(data, sort_keys=True, allow_nan=False).encode()


def _stage(state: State, staged: dict[str, Staging]) -> dict[str, Staging]:
    """The state's tensors in the files they go to; files that are given are filled again."""
    found = {MODEL: _tensors(state.best_model), OPTIMIZER: _moments(state)}
    if state.ema is not None:
        found[RAW] = _tensors(state.model)
    if state.memory:
        found[MEMORY] = state.memory
    staged = staged or {name: Staging(tensors) for name, tensors in found.items()}
    for name, tensors in found.items():
        staged[name].fill(tensors)
    return staged


def _finite(values: Tensor) -> bool:
    """Whether all are numbers; by numpy, as torch would start threads of its own beside those of training."""
    array = (values.float() if values.dtype == torch.bfloat16 else values).numpy()
    return array.size == 0 or array.dtype.kind != "f" or bool(np.isfinite(array.min()) and np.isfinite(array.max()))


def _write(path: Path, files: Mapping[str, bytes | memoryview], best: int | None, disk: Disk) -> None:
    listed = {name: {"sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)} for name, data in files.items()}
    storage.write_folder(path, {**files, MANIFEST: _manifest(listed)}, disk)
    verify(path, disk)
    names = disk.list(path.parent)
    for name in names[:-KEPT]:
        if name not in {path.name, f"{best:08d}" if best is not None else ""}:
            storage.discard(path.parent / name, disk)


def restore(root: Path, state: State, disk: Disk = DISK) -> Restored | None:
    """Put the newest whole checkpoint under `root` into `state`; None where there is none at all.

    Raises: ArtifactError when there are checkpoints and none is whole, or they are of another model.
    """
    storage.sweep(root, disk)
    damaged: list[str] = []
    for name in reversed(disk.list(root)):
        try:
            files = verify(root / name, disk)
        except ArtifactError as error:
            damaged.append(str(error))
            continue
        _fill(state.best_model, read_tensors(files[MODEL]), root / name)
        if state.ema is not None:
            _fill(state.model, read_tensors(files[RAW]), root / name)
        _put_back(_moments(state), read_tensors(files[OPTIMIZER]), root / name)
        if state.memory:
            _put_back(state.memory, read_tensors(files[MEMORY]) if MEMORY in files else {}, root / name)
        plain = json.loads(files[STATE])
        state.step, state.parts, state.careful = plain["step"], plain.get("parts", state.parts), plain.get("careful", False)
        for newer in disk.list(root):
            if newer > name:
                storage.discard(root / newer, disk)
        return Restored(plain["history"], damaged)
    if damaged:
        found = f"{len(damaged)}, all damaged"
        raise ArtifactError(str(root), expected="a whole checkpoint", found=found, fix="Restore the folder from a copy, or train again.")
    return None


def verify(path: Path, disk: Disk = DISK) -> dict[str, bytes]:
    """The bytes of every file, after comparing them with the manifest. Raises: ArtifactError naming the damaged file."""

    def refuse(name: str, expected: str, found: str) -> ArtifactError:
        return ArtifactError(str(path / name), expected=expected, found=found, fix="An older checkpoint is used where there is one.")

    try:
        content = disk.read(path / MANIFEST)
        manifest = json.loads(content)
        version, listed = manifest["thuja"], manifest["files"]
        if version != FORMAT:
            raise refuse(MANIFEST, f"format {FORMAT}", f"format {version!r}")
        if content != _manifest(listed):
            raise refuse(MANIFEST, "the bytes that were written", "others")
        expected = {str(name): (entry["sha256"], entry["bytes"]) for name, entry in listed.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise refuse(MANIFEST, "a manifest", "none that can be read") from error
    files = {}
    for name, (sha256, size) in expected.items():
        try:
            files[name] = disk.read(path / name)
        except OSError as error:
            raise refuse(name, f"{size} bytes", "nothing there") from error
        if digest.of_bytes(files[name]) != sha256:
            raise refuse(name, "the bytes that were written", "others")
    return files


def _manifest(listed: dict[str, dict[str, Any]]) -> bytes:
    """Its own hash is in it: a flipped bit must not turn a length or the name of a file into another."""
    body = {"thuja": FORMAT, "files": listed}
    return digest.canonical({**body, "seal": digest.of_data(body)})


def load_model(path: Path, model: nn.Module, disk: Disk = DISK) -> None:
    """The weights to evaluate and export, from checkpoint `path` into `model`. Raises: ArtifactError when damaged or of another model."""
    _fill(model, read_tensors(verify(path, disk)[MODEL]), path)


def _tensors(model: nn.Module) -> dict[str, Tensor]:
    """Named weights and buffers; tied ones under each of their names."""
    return dict(model.state_dict())


def _fill(model: nn.Module, tensors: dict[str, Tensor], path: Path) -> None:
    try:
        model.load_state_dict(tensors)
    except RuntimeError as error:
        raise _another(path) from error


def _another(path: Path) -> ArtifactError:
    return ArtifactError(str(path), expected="the weights of this model", found="those of another", fix="Use the spec of the run it belongs to.")


def _moments(state: State) -> dict[str, Tensor]:
    """All optimiser tensors as `objective.optimizer.parameter.name`, parameters numbered in the order of their groups."""
    return {f"{i}.{j}.{k}.{name}": value
            for i, optimizers in enumerate(state.optimizers)
            for j, optimizer in enumerate(optimizers)
            for k, moments in enumerate(optimizer.state.values())
            for name, value in moments.items()}


def _put_back(ours: dict[str, Tensor], tensors: dict[str, Tensor], path: Path) -> None:
    """Fill tensors of the state, by name. Raises: ArtifactError where they are of another model."""
    if ours.keys() != tensors.keys() or any(value.shape != tensors[name].shape for name, value in ours.items()):
        raise _another(path)
    for name, value in ours.items():
        value.copy_(tensors[name])
