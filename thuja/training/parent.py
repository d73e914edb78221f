"""Going on from another run or artefact: its codec, so that ids mean the same, and its weights (`thuja.training.transfer`)."""

from pathlib import Path
from typing import NamedTuple

from thuja.artifact.folder import MANIFEST, Artifact
from thuja.codec import Codec
from thuja.core import digest
from thuja.core.errors import SpecError
from thuja.run import Run
from thuja.training.checkpoint import MODEL, verify

KEPT = "parent.safetensors"
"""The parent's weights in the folder of the run that goes on from them: it can be taken up again when the parent is gone."""


class Parent(NamedTuple):
    """What is gone on from."""

    codec: Codec
    weights: bytes
    """safetensors."""

    @property
    def digest(self) -> str:
        """Which weights these are."""
        return digest.of_bytes(self.weights)


def open_parent(path: Path) -> Parent:
    """The best weights of a run, or those of an artefact. Raises: SpecError where there is neither; ArtifactError when it is damaged."""
    if (path / MANIFEST).is_file():
        artifact = Artifact.open(path)
        return Parent(artifact.codec, artifact.read("weights.safetensors"))
    if not path.is_dir():
        raise SpecError("parent", expected="the folder of a run or an artefact", found=f"nothing at {str(path)[:200]}", fix="List runs with `thuja runs`.")
    run = Run.open(path)
    return Parent(run.codec(), verify(run.best_checkpoint())[MODEL])
