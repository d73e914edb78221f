"""Who looks at the pictures: a classifier that the task names, as an artefact, or failing that thumbnails. No torch."""

from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np

from thuja.artifact.folder import Artifact
from thuja.artifact.runtime import Predictor
from thuja.core.errors import ArtifactError
from thuja.fields import Category, Image

FEATURES = "_features"
"""The hidden output of a classifier that holds its last layer's input."""
PLAIN = "thumbnails"
"""What the judge is called where none was named."""
SIDE = 8
BATCH = 256


class Seen(NamedTuple):
    """What a judge makes of some pictures."""

    features: np.ndarray
    """float32 [rows, k]."""
    probability: np.ndarray | None
    """float32 [rows, classes] over `Judge.names`; None where the judge knows no classes."""


class Judge(Protocol):
    """Turns pictures into features."""

    names: tuple[str, ...]
    """Classes that it tells apart; none for thumbnails."""
    title: str
    """What it is, in words a report can print."""

    def see(self, pictures: np.ndarray) -> Seen:
        """Of pictures, uint8 [rows, height, width, channels]."""


class Thumbnails:
    """8 x 8 pixels as features: they see colour and layout and no detail. For a first look, where no classifier is at hand."""

    names: tuple[str, ...] = ()
    title = f"thumbnails of {SIDE} x {SIDE} pixels, which see no detail: name a classifier with task.judge"

    def see(self, pictures: np.ndarray) -> Seen:
        """Means over a grid of about equal cells, in units of 0 to 1."""
        rows, height, width, channels = pictures.shape
        down, across = min(SIDE, height), min(SIDE, width)
        edges = [np.arange(cells) * size // cells for cells, size in ((down, height), (across, width))]
        sums = np.add.reduceat(np.add.reduceat(pictures.astype(np.float32), edges[0], axis=1), edges[1], axis=2)
        sizes = np.diff([*edges[0], height])[:, None, None] * np.diff([*edges[1], width])[None, :, None]
        return Seen((sums / sizes / 255).reshape(rows, down * across * channels), None)


class Classifier:
    """An artefact of image classification whose program gives the hidden output `_features`."""

    def __init__(self, path: Path) -> None:
        """Open and verify it. Raises: ArtifactError for a path that is no artefact, or one of another kind."""
        artifact = Artifact.open(path)
        schema = artifact.schema
        pictures = [name for name, field in schema.inputs.items() if isinstance(field, Image)]
        classes = [field for field in schema.outputs.values() if isinstance(field, Category)]
        if len(schema.inputs) != 1 or not pictures or not classes:
            found = f"one that takes {', '.join(f'{field.kind} {name!r}' for name, field in schema.inputs.items())}"
            raise ArtifactError(f"task.judge: {path}", expected="an artefact that classifies pictures", found=found,
                                fix="Train one: a task of kind image-classification on the same pictures, then `thuja export`.")
        self._predictor = Predictor(artifact, threads=None)
        if FEATURES not in {spec.name for spec in self._predictor.outputs["predict"]}:
            raise ArtifactError(f"task.judge: {path}", expected=f"a classifier with the hidden output {FEATURES}", found="one without",
                                fix="Export its run again with this version of Thuja.")
        self._image, self.names, self.digest = pictures[0], classes[0].names, artifact.digest
        self.title = f"the last layer of the classifier {artifact.digest[:12]}"

    def see(self, pictures: np.ndarray) -> Seen:
        """A batch at a time, by the classifier's own codec, which scales pictures of another size."""
        found = []
        for start in range(0, len(pictures), BATCH):
            arrays = self._predictor.run(self._predictor.encode({self._image: list(pictures[start : start + BATCH])}))
            found.append(Seen(arrays[FEATURES].reshape(len(arrays[FEATURES]), -1), arrays["probability"]))
        return Seen(np.concatenate([seen.features for seen in found]), np.concatenate([np.asarray(seen.probability) for seen in found]))


def open_judge(path: str, digest: str = "") -> Judge:
    """The judge that a task names by the `path` of an artefact; thumbnails for an empty one.

    Raises: ArtifactError for what is no such artefact, and for another than the one with `digest`, where that is given.
    """
    if not path:
        return Thumbnails()
    judge = Classifier(Path(path))
    if digest and judge.digest != digest:
        raise ArtifactError(f"task.judge: {path}", expected=f"the classifier {digest[:12]}, by which this run is judged", found=judge.digest[:12],
                            fix="Put it back, or start a new run: distances by two judges cannot be compared.")
    return judge
