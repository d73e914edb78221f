"""Face recognition: whether two pictures show one person, and whose face a picture shows, by vectors that are close where people are the same."""

from typing import Literal, Self

import numpy as np
import torch
from pydantic import NonNegativeFloat, PositiveFloat, PositiveInt
from torch import Tensor, nn
from torch.nn import functional as F

from thuja.apps.face_recognition import baseline, learn
from thuja.apps.face_recognition.codec import EMBEDDING, FaceRecognitionCodec, hashed, name_of
from thuja.apps.face_recognition.pictures import pictures
from thuja.blocks.margin import MarginHead
from thuja.blocks.normalisation import Standardise
from thuja.blocks.warp import Warp, lit, warped
from thuja.chart import Chart
from thuja.codec import Arrays, Codec, Columns
from thuja.core.errors import BadRows, DataError, did_you_mean
from thuja.fields import Image
from thuja.fields.pixels import all_grey, usual_shape
from thuja.metrics import Outputs
from thuja.metrics.verification import ranks
from thuja.models.convnet import PATCH
from thuja.models.face_embedder import FaceEmbedder
from thuja.settings import AdamW, Auto, Share
from thuja.task import Baseline, Batch, Choice, Facts, Goal, Loss, Part, Program, Source, Task

SAMPLE = 1024
"""Training pictures from which size, colour and pixel statistics are learned."""
EPOCHS = 30
LEAST_STEPS = 800


class FaceRecognition(Task):
    """Vectors for faces, learned from pictures with the name of a person each."""

    kind: Literal["face-recognition"] = "face-recognition"
    image: str = "image"
    """The column with pictures of one face each, all cut out alike: there is no face detector."""
    target: str = "label"
    """The column that says who it is."""
    size: Auto | PositiveInt | tuple[PositiveInt, PositiveInt] = "auto"
    """Pixels along each side, or height and width, to which pictures are scaled. Auto: the median of the training pictures, at most 64 along the longer
    side."""
    channels: Auto | Literal[1, 3] = "auto"
    """1 for grey, 3 for colour. Auto: grey if all pictures looked at are."""
    model: FaceEmbedder = FaceEmbedder()
    """The network."""
    loss_kind: Literal["arcface", "cosface"] = "arcface"
    """How a margin sets people apart in training: it is added to the angle between a picture and its person's prototype, or taken off its cosine."""
    margin: NonNegativeFloat = 0.3
    """That margin: radians for arcface, cosine for cosface; 0 for none. The usual 0.5 is for a million pictures."""
    scale: PositiveFloat = 16.0
    """What cosines are multiplied with before the softmax; less for few people."""
    mirror: bool = True
    """Show training pictures mirrored every other time, and answer with the mean of a picture and its mirror image."""
    rotate: NonNegativeFloat = 8.0
    """In training, largest turn in degrees."""
    zoom: Share = 0.1
    """In training, largest share by which pictures are enlarged or reduced."""
    stretch: Share = 0.1
    """In training, largest share by which faces are made wider or narrower, and slanted."""
    bend: Share = 0.06
    """In training, largest shift of a part of the face against the others, as a share of half the side. With few people to learn from nothing helps more."""
    translate: Share = 0.06
    """In training, largest shift as a share of the side."""
    light: Share = 0.15
    """In training, largest change of brightness and contrast."""

    def prepare(self, source: Source) -> tuple[Self, FaceRecognitionCodec]:
        """One pass over the names, and a look at up to SAMPLE pictures spread evenly over the rows.

        Raises: DataError for an absent column, fewer than two people, nobody with two pictures, or pictures none of which can be read.
        """
        for name in (self.image, self.target):
            if name not in source.names:
                raise DataError(name, expected="a column of this name", found=f"{len(source.names)} others", fix=did_you_mean(name, source.names))
        people = self._people(source)
        index = np.unique(np.linspace(0, len(source) - 1, min(SAMPLE, len(source))).astype(np.int64))
        values = [v for part in np.array_split(index, max(1, len(index) // 256)) for v in source.take(part)[self.image]]
        height, width = usual_shape(values[:256], Image(), 16) if self.size == "auto" else (self.size,) * 2 if isinstance(self.size, int) else self.size
        codec = FaceRecognitionCodec(image=self.image, target=self.target, people=people, height=height, width=width, dim=self.model.dim)
        looked = _readable(codec, values)
        channels: Literal[1, 3] = (1 if all_grey(looked) else 3) if self.channels == "auto" else self.channels
        if channels == 1:
            codec = codec.model_copy(update={"field": codec.field.model_copy(update={"channels": 1})})
            looked = _readable(codec, values)
        codec = codec.model_copy(update=learn.measure(looked, PATCH)._asdict())
        return self.model_copy(update={"size": (height, width), "channels": channels}), codec

    def build(self, codec: Codec) -> "Recogniser":
        assert isinstance(codec, FaceRecognitionCodec)
        network = self.model.build(codec.field.channels, codec.height, codec.width, codec.moments)
        head = MarginHead(codec.dim, len(codec.people), kind=self.loss_kind, margin=self.margin, scale=self.scale)
        return Recogniser(Standardise(codec.mean, codec.std), network, head)

    def loss(self, model: nn.Module, batch: Batch, rng: torch.Generator) -> Loss:
        """Cross-entropy over the training people, with the margin."""
        assert isinstance(model, Recogniser)
        person = batch[self.target][:, 0]
        return Loss(F.cross_entropy(model.head(model(batch[self.image]), person), person))

    def augment(self, batch: Batch, rng: torch.Generator) -> Batch:
        """Turned, scaled, stretched, moved, bent, mirrored, and in another light."""
        warp = Warp(self.rotate, self.zoom, self.stretch, self.translate, self.bend, self.mirror)
        return batch | {self.image: lit(warped(batch[self.image], rng, warp), rng, brightness=self.light, contrast=self.light)}

    def programs(self, model: nn.Module, codec: Codec) -> dict[str, Program]:
        assert isinstance(model, Recogniser)
        answer = Predict(model, mirror=self.mirror)
        return {"predict": Program(answer.eval(), (self.image,), (EMBEDDING,)),
                "identify": Program(Identify(answer).eval(), (self.image, self.target), (EMBEDDING, "rank"), exported=False)}

    def metrics(self, codec: Codec) -> tuple[str, ...]:
        return ("eer", "rank_1", "rank_5", "tar_far_1e2", "tar_far_1e3", "pair_roc_auc", "threshold_far_1e2", "threshold_far_1e3")

    @property
    def goal(self) -> Goal:
        return Goal("eer", "min")

    @property
    def judged(self) -> str:
        return "identify"

    @property
    def targets(self) -> tuple[str, ...]:
        return (self.target,)

    def outputs(self, codec: Codec, columns: Columns, arrays: Arrays, source: Source | None = None) -> Outputs:
        """A vector and a rank for each row: people of the training rows are looked for among their prototypes, others among the other pictures of the part.
        All pictures of a person belong together."""
        person, vectors = np.asarray(columns[self.target]), arrays[EMBEDDING]
        rank = np.where(person[:, 0] >= 0, arrays["rank"], ranks(vectors, person[:, 1]))
        names = person[:, 1] if source is None else np.array([name_of(v) for rows in source.batches() for v in rows[self.target]], object)
        return Outputs(names, {EMBEDDING: vectors, "rank": rank}, names)

    def charts(self, model: nn.Module, codec: Codec, part: Part, outputs: Outputs) -> tuple[Chart, ...]:
        return pictures(np.asarray(part.columns[self.image]), np.asarray(part.columns[self.target])[:, 0] >= 0, outputs)

    def baseline(self, codec: Codec, train: Part, test: Part, seed: int) -> Baseline:
        """Eigenfaces on the same encoded pictures."""
        return baseline.fit(train.columns, test.columns, self.image, self.target, seed=seed)

    def choices(self, codec: Codec, facts: Facts) -> dict[str, Choice]:
        batch = min(256, max(32, 2 ** (facts.rows // 8).bit_length()))
        chosen = {
            "train.batch": Choice(batch, f"a power of two near an eighth of {facts.rows} rows or above, from 32 to 256"),
            "train.optimizer": Choice(AdamW(learning_rate=2e-3, weight_decay=0.05), "AdamW suits the margin softmax"),
            "train.warmup": Choice(0.1, "the margin wants directions that already mean something"),
            "train.ema": Choice(0.99, "the mean of the last hundred steps errs less"),
        }
        if facts.budget_s is None:
            steps = max(LEAST_STEPS, EPOCHS * facts.rows // batch)
            chosen["train.steps"] = Choice(steps, f"{EPOCHS} passes over {facts.rows} rows, at least {LEAST_STEPS} steps")
        return chosen

    def _people(self, source: Source) -> tuple[str, ...]:
        """Hashes of the names of those who are there, sorted by name."""
        counts: dict[str, int] = {}
        for rows in source.batches(1024):
            for value in rows[self.target]:
                if value is not None and value != "":
                    counts[name_of(value)] = counts.get(name_of(value), 0) + 1
        if len(counts) < 2:
            found = f"only {next(iter(counts))!r}" if counts else "none"
            raise DataError(self.target, expected="pictures of at least two people", found=found, fix="Add pictures of others: to recognise is to tell apart.")
        if max(counts.values()) < 2:
            raise DataError(self.target, expected="at least two pictures of some people", found=f"one of each of {len(counts)}",
                            fix="Add pictures: from a single one nobody can learn what may change in a face.")
        return tuple(hashed(name) for name in sorted(counts))


class Recogniser(nn.Module):
    """What is trained: uint8 [B, H, W, C] to unit vectors [B, dim]; the head knows the training people's prototypes."""

    def __init__(self, standardise: Standardise, network: nn.Module, head: MarginHead) -> None:
        super().__init__()
        self.standardise, self.network, self.head = standardise, network, head

    def forward(self, pixels: Tensor) -> Tensor:
        """Unit vectors."""
        vectors: Tensor = self.network(self.standardise(pixels))
        return vectors


class Predict(nn.Module):
    """What is served: uint8 [B, H, W, C] to `embedding` [B, dim], of length 1."""

    def __init__(self, model: Recogniser, *, mirror: bool) -> None:
        super().__init__()
        self.model, self.mirror = model, mirror

    def forward(self, pixels: Tensor) -> Tensor:
        """The mean direction of a picture and its mirror image."""
        x = self.model.standardise(pixels)
        vectors: Tensor = self.model.network(x)
        return F.normalize(vectors + self.model.network(x.flip(3)), dim=1) if self.mirror else vectors


class Identify(nn.Module):
    """What is judged: the vector, and at which place a training person's own prototype comes among all; 0 for other people."""

    def __init__(self, answer: Predict) -> None:
        super().__init__()
        self.answer = answer

    def forward(self, pixels: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        """`embedding` [B, dim] and `rank` int64 [B]; `target` int64 [B, 2]."""
        vectors = self.answer(pixels)
        cosine, place = self.answer.model.head.cosines(vectors), target[:, 0]
        own = cosine.gather(1, place.clamp(min=0)[:, None])
        return vectors, torch.where(place >= 0, (cosine >= own).sum(dim=1), 0)


def _readable(codec: FaceRecognitionCodec, values: list[object]) -> np.ndarray:
    """The pictures among `values` that can be decoded, encoded; what cannot be read is counted where the columns are cached, not here."""
    try:
        return np.asarray(codec.encode({codec.image: values})[codec.image])
    except BadRows as error:
        good = [value for i, value in enumerate(values) if i not in error.rows]
        if not good:
            raise DataError(codec.image, expected="pictures", found=f"none that can be read (expected {error.expected}, found {error.found})",
                            fix=f"If these are paths of files, add {codec.image!r} to data.files; else choose another task.") from error
        return np.asarray(codec.encode({codec.image: good})[codec.image])
