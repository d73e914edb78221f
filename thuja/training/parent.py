"""Going on from another run or artefact: its codec, so that ids mean the same, and its weights (`thuja.training.transfer`). Or from a checkpoint of another
house: a folder with config.json, weights as safetensors and perhaps tokenizer.json, of which nothing is ever unpickled or run."""

import json
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save

from thuja import spec as specs
from thuja.artifact.folder import MANIFEST, Artifact
from thuja.codec import Codec
from thuja.core import digest
from thuja.core.errors import SpecError
from thuja.run import SPEC, Run
from thuja.task import Checkpoint, Source, Task
from thuja.training.checkpoint import MODEL, verify

KEPT = "parent.safetensors"
"""The parent's weights in the folder of the run that goes on from them: it can be taken up again when the parent is gone."""
CONFIG, TOKENIZER, WEIGHTS, INDEX = "config.json", "tokenizer.json", "model.safetensors", "model.safetensors.index.json"
PICKLED = ("*.bin", "*.pt", "*.pth", "*.ckpt")


class Parent(NamedTuple):
    """What is gone on from."""

    weights: bytes
    """safetensors, by the names of our network."""

    @property
    def digest(self) -> str:
        """Which weights these are."""
        return digest.of_bytes(self.weights)


class Begun(NamedTuple):
    """A task prepared to go on from a parent."""

    task: Task
    codec: Codec
    parent: Parent


def begun(task: Task, path: Path, source: Source) -> Begun:
    """`task` prepared on the training rows to go on from what lies at `path`: a checkpoint of another house, a run, or an artefact.

    A network that the task leaves open (`model: auto`) is the parent's. Raises: SpecError where there is neither, or it does not fit; ArtifactError when it is
    damaged.
    """
    if (path / CONFIG).is_file() and not (path / MANIFEST).is_file():
        adopted = task.adopt(source, open_checkpoint(path))
        return Begun(adopted.task, adopted.codec, Parent(save({name: value.contiguous() for name, value in adopted.weights.items()})))
    codec, theirs, weights = _house(path)
    if getattr(task, "model", None) == "auto" and type(theirs) is type(task):
        task = task.model_copy(update={"model": getattr(theirs, "model")})  # noqa: B009  # a task without a model is told apart above
    return Begun(*task.inherit(source, codec), Parent(weights))


def _house(path: Path) -> tuple[Codec, Task, bytes]:
    """Codec, task and weights of an artefact or the best of a run. Raises: SpecError where there is neither."""
    if (path / MANIFEST).is_file():
        artifact = Artifact.open(path)
        spec = specs.read_text(artifact.read(SPEC).decode(), str(path / SPEC))
        return artifact.codec, spec.task, artifact.read("weights.safetensors")
    if not path.is_dir():
        raise SpecError("parent", expected="the folder of a run or an artefact", found=f"nothing at {str(path)[:200]}", fix="List runs with `thuja runs`.")
    _refuse_pickled(path)
    if not (path / SPEC).is_file() and any((path / name).exists() for name in (WEIGHTS, INDEX, TOKENIZER)):
        raise SpecError(f"parent: {path / CONFIG}", expected="the settings of the network", found="no such file", fix="Copy the whole checkpoint.")
    run = Run.open(path)
    return run.codec(), specs.parse(run.spec_data(), str(path / SPEC)).task, verify(run.best_checkpoint())[MODEL]


def open_checkpoint(path: Path) -> Checkpoint:
    """A folder in the layout of transformers. Raises: SpecError for one whose code would have to be run, or that is pickled, damaged or without weights."""
    config = _json(path / CONFIG)
    if "auto_map" in config:
        raise SpecError(f"parent: {path / CONFIG}", expected="an architecture that is known here", found="one that is code in its folder (auto_map)",
                        fix="Choose another checkpoint: code that comes with weights is never run.")
    files = [path / WEIGHTS] if (path / WEIGHTS).is_file() else []
    if not files and (path / INDEX).is_file():
        files = [path / name for name in sorted(set(_json(path / INDEX).get("weight_map", {}).values()))]
        strange = [file for file in files if file.parent != path or not file.is_file()]
        if strange:
            raise SpecError(f"parent: {path / INDEX}", expected="files of this folder", found=f"{strange[0].name!r}, which is not there",
                            fix="Copy the whole checkpoint.")
    if not files:
        _refuse_pickled(path)
        raise SpecError(f"parent: {path / WEIGHTS}", expected="weights as safetensors", found="no such file", fix="Copy the whole checkpoint.")
    weights: dict[str, torch.Tensor] = {}
    for file in files:
        try:
            weights |= load(file.read_bytes())
        except SafetensorError as error:
            raise SpecError(f"parent: {file}", expected="weights as safetensors", found="a damaged file", fix="Copy the checkpoint again.") from error
    weights = {name: value.float() if value.is_floating_point() else value for name, value in weights.items()}
    tokenizer = (path / TOKENIZER).read_text("utf-8") if (path / TOKENIZER).is_file() else ""
    return Checkpoint(config, tokenizer, weights)


def _refuse_pickled(path: Path) -> None:
    pickled = sorted(file.name for pattern in PICKLED for file in path.glob(pattern))
    if pickled:
        raise SpecError(f"parent: {path / pickled[0]}", expected="weights as safetensors", found="a pickled file, which can run any code when it is opened",
                        fix="Where you trust it, load and save it once with transformers: save_pretrained writes safetensors.")


def _json(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_bytes())
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise SpecError(f"parent: {path}", expected="a JSON object", found="something else", fix="Copy the checkpoint again.")
    return value
