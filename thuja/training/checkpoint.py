"""Checkpoints: all that training needs to go on to the same bits, written whole, verified after writing and before use.

A checkpoint is a folder `checkpoints/<step>/` of a run:
`model.safetensors` (the weights to evaluate and export: the moving average where there is one) · `raw.safetensors` (the weights being trained, only where
they differ) · `optimizer.safetensors` · `state.json` (step and history) · `manifest.json` (a SHA-256 and a length for every other file).
No random state is in it, since randomness is a function of (seed, step). The last two verified ones and the best are kept.
"""

import json
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors.torch import load as read_tensors
from safetensors.torch import save as tensor_bytes
from torch import Tensor, nn

from thuja.core import digest, storage
from thuja.core.errors import ArtifactError
from thuja.core.storage import DISK, Disk
from thuja.training.loop import State

FORMAT = 1
KEPT = 2
MANIFEST = "manifest.json"


class Restored(NamedTuple):
    """What `restore` found."""

    history: dict[str, Any]
    damaged: list[str]
    """For each newer checkpoint that was refused, why."""


def save(root: Path, state: State, history: dict[str, Any], *, best: int | None = None, disk: Disk = DISK) -> Path:
    """Write checkpoint `root/<step>`, read it back, then delete all but the last two and the one of step `best`.

    Args: history: plain data given back by `restore`.
    Raises: StorageError when the disk is full (older checkpoints are intact); ArtifactError when what was read back differs.
    """
    files = {"model.safetensors": tensor_bytes(_tensors(state.best_model)), "optimizer.safetensors": tensor_bytes(
        {name: value.to("cpu", copy=True, memory_format=torch.contiguous_format) for name, value in _moments(state).items()})}
    if state.ema is not None:
        files["raw.safetensors"] = tensor_bytes(_tensors(state.model))
    files["state.json"] = json.dumps({"step": state.step, "history": history}, sort_keys=True, allow_nan=False).encode()
    listed = {name: {"sha256": digest.of_bytes(data), "bytes": len(data)} for name, data in files.items()}
    files[MANIFEST] = digest.canonical({"thuja": FORMAT, "files": listed})
    path = root / f"{state.step:08d}"
    storage.write_folder(path, files, disk)
    verify(path, disk)
    names = disk.list(root)
    for name in names[:-KEPT]:
        if name not in {path.name, f"{best:08d}" if best is not None else ""}:
            storage.discard(root / name, disk)
    return path


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
        _fill(state.best_model, read_tensors(files["model.safetensors"]), root / name)
        if state.ema is not None:
            _fill(state.model, read_tensors(files["raw.safetensors"]), root / name)
        _set_moments(state, read_tensors(files["optimizer.safetensors"]), root / name)
        plain = json.loads(files["state.json"])
        state.step = plain["step"]
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
        manifest = json.loads(disk.read(path / MANIFEST))
        version, listed = manifest["thuja"], manifest["files"]
        if version != FORMAT:
            raise refuse(MANIFEST, f"format {FORMAT}", f"format {version!r}")
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


def load_model(path: Path, model: nn.Module, disk: Disk = DISK) -> None:
    """The weights to evaluate and export, from checkpoint `path` into `model`. Raises: ArtifactError when damaged or of another model."""
    _fill(model, read_tensors(verify(path, disk)["model.safetensors"]), path)


def _tensors(model: nn.Module) -> dict[str, Tensor]:
    """Named weights and buffers, each with memory of its own (safetensors refuses shared memory, which tied weights have)."""
    return {name: value.detach().to("cpu", copy=True, memory_format=torch.contiguous_format) for name, value in model.state_dict().items()}


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


def _set_moments(state: State, tensors: dict[str, Tensor], path: Path) -> None:
    moments = _moments(state)
    if moments.keys() != tensors.keys() or any(value.shape != tensors[name].shape for name, value in moments.items()):
        raise _another(path)
    for name, value in moments.items():
        value.copy_(tensors[name])
