"""Image classification: one of several names for a picture."""

from collections.abc import Iterator
from typing import Annotated, Literal, Self

import numpy as np
import torch
from pydantic import Discriminator, Field, NonNegativeInt, PositiveInt
from torch import Tensor, nn
from torch.nn import functional as F

from thuja.apps.image_classification import baseline, statistics
from thuja.apps.image_classification.codec import ImageClassificationCodec, name_of
from thuja.blocks.normalisation import Standardise
from thuja.blocks.regularisation import alternating, cutout, mixup, moved
from thuja.codec import Codec, Columns, count
from thuja.core.errors import BadRows, DataError, did_you_mean
from thuja.data.order import shuffled
from thuja.fields import Image
from thuja.losses import blended_cross_entropy, unsmoothed
from thuja.models.convnet import PATCH, ConvNet, ConvNetwork
from thuja.models.resnet import ResNet, ResNetNetwork
from thuja.settings import AdamW, Auto, Muon, Share
from thuja.task import Baseline, Batch, Choice, Draw, Facts, Goal, Loss, Part, Program, Source, Task

SAMPLE = 1024
"""Training pictures from which size, colour and pixel statistics are learned."""
EPOCHS = 10
"""Passes over the training rows where the spec gives neither budget nor steps; small sets get at least LEAST_STEPS."""
LEAST_STEPS = 400
ROW, MIRRORED, PARTNER, SHARE = "row.number", "flip.mirrored", "mixup.partner", "mixup.share"
"""What a batch holds besides its columns; no column of a spec is likely to be called so."""


class ImageClassification(Task):
    """Names for pictures."""

    kind: Literal["image-classification"] = "image-classification"
    image: str = "image"
    """The column with pictures."""
    target: str = "label"
    """The column with classes."""
    size: Auto | PositiveInt | tuple[PositiveInt, PositiveInt] = "auto"
    """Pixels along each side, or height and width, to which pictures are scaled. Auto: the median of the training pictures, at most 64: twice the side takes
    four times as long."""
    channels: Auto | Literal[1, 3] = "auto"
    """1 for grey, 3 for colour. Auto: grey if all pictures looked at are."""
    model: Auto | Annotated[ConvNet | ResNet, Discriminator("kind")] = "auto"
    """convnet or resnet, with its own keys. Auto: a small fast convnet; a resnet is for pictures of more than about 64 pixels and long runs."""
    label_smoothing: Auto | Share = "auto"
    """Share of the target spread over all classes in training; it is taken out of the answers again, so that probabilities stay honest."""
    flip: Auto | bool = "auto"
    """Show training pictures mirrored left to right every other time. Auto: only in colour, because a mirrored photograph is a photograph, while grey
    pictures are often writing or medical, where left and right differ."""
    translate: Auto | NonNegativeInt = "auto"
    """Largest random shift in pixels. Auto: a sixteenth of the side."""
    cutout: NonNegativeInt = 0
    """Side of a random square hole in training pictures, in pixels; pays in long runs only."""
    mixup: Annotated[float, Field(ge=0)] = 0.0
    """Strength of blending pairs of training pictures (alpha of the beta distribution); 0 for none; pays in long runs only."""
    test_time_augmentation: Auto | bool = "auto"
    """Answer with the mean over shifted (and, with `flip`, mirrored) views: three or six times the work of a prediction for fewer errors. Auto: yes for
    pictures up to 64 pixels."""

    def prepare(self, source: Source) -> tuple[Self, ImageClassificationCodec]:
        """One pass over the classes, and a look at up to SAMPLE pictures spread evenly over the rows.

        Raises: DataError for an absent column, fewer than two classes, or pictures none of which can be read.
        """
        for name in (self.image, self.target):
            if name not in source.names:
                raise DataError(name, expected="a column of this name", found=f"{len(source.names)} others", fix=did_you_mean(name, source.names))
        names = sorted({name_of(v) for rows in source.batches(1024) for v in rows[self.target] if v is not None and v != ""}, key=_by_value)
        if len(names) < 2:
            found = f"only {names[0]!r}" if names else "none"
            raise DataError(self.target, expected="at least two classes", found=found, fix="Add pictures of another class; one class cannot be learned.")
        index = np.unique(np.linspace(0, len(source) - 1, min(SAMPLE, len(source))).astype(np.int64))
        values = [v for part in np.array_split(index, max(1, len(index) // 256)) for v in source.take(part)[self.image]]
        try:
            height, width = self._shape(values)
            codec = ImageClassificationCodec(image=self.image, target=self.target, names=tuple(names), height=height, width=width)
            pictures = _readable(codec, values)
        except DataError as error:
            raise _no_picture(self.image, values, error) from error
        channels: Literal[1, 3] = (1 if statistics.all_grey(pictures) else 3) if self.channels == "auto" else self.channels
        if channels == 1:
            codec = codec.model_copy(update={"field": Image(channels=1)})
            pictures = _readable(codec, values)
        measured = statistics.measure(pictures, PATCH)
        codec = codec.model_copy(update=measured._asdict())
        shorter = min(height, width)
        settled = {"size": (height, width), "channels": channels, "model": _model(shorter) if self.model == "auto" else self.model,
                   "label_smoothing": 0.1 if self.label_smoothing == "auto" else self.label_smoothing,
                   "flip": channels == 3 if self.flip == "auto" else self.flip,
                   "translate": round(shorter / 16) if self.translate == "auto" else self.translate,
                   "test_time_augmentation": shorter <= statistics.LARGEST if self.test_time_augmentation == "auto" else self.test_time_augmentation}
        return self.model_copy(update=settled), codec

    def build(self, codec: Codec) -> "Classifier":
        assert isinstance(codec, ImageClassificationCodec)
        channels, classes = codec.field.channels, len(codec.names)
        match self.model:
            case ConvNet():
                network: ConvNetwork | ResNetNetwork = self.model.build(channels, classes, codec.moments)
            case ResNet():
                network = self.model.build(channels, codec.height, codec.width, classes)
            case _:
                raise AssertionError("the model is settled by prepare")
        return Classifier(Standardise(codec.mean, codec.std), network)

    def loss(self, model: nn.Module, batch: Batch, rng: torch.Generator) -> Loss:
        """Cross-entropy with label smoothing; against both classes where pictures were blended."""
        assert self.label_smoothing != "auto"
        logits, target = model(batch[self.image]), batch[self.target]
        if PARTNER in batch:
            return Loss(blended_cross_entropy(logits, target, batch[PARTNER], batch[SHARE], self.label_smoothing))
        return Loss(F.cross_entropy(logits, target, label_smoothing=self.label_smoothing))

    def augment(self, batch: Batch, rng: torch.Generator) -> Batch:
        """Shift and mirror, then holes, then blends."""
        assert self.translate != "auto"
        pictures = moved(batch[self.image], rng, translate=self.translate, mirrored=batch.get(MIRRORED), reflect=self.channels == 3)
        if self.cutout:
            pictures = cutout(pictures, rng, self.cutout, fill=pictures.float().mean(dim=(0, 1, 2)).round())
        if not self.mixup:
            return batch | {self.image: pictures}
        pictures, partner, share = mixup(pictures, batch[self.target], rng, self.mixup)
        return batch | {self.image: pictures, PARTNER: partner, SHARE: share}

    def batches(self, model: nn.Module, columns: Columns, draw: Draw) -> Iterator[Batch]:
        """The usual order; with `flip`, each batch also says which of its pictures are mirrored this time."""
        rows = count(columns)
        for step, batch in enumerate(shuffled(columns | {ROW: np.arange(rows)}, draw.size, draw.seed, draw.start, draw.device), draw.start):
            row = batch.pop(ROW)
            epoch = (step * draw.size + torch.arange(draw.size, device=row.device)) // rows
            yield batch | {MIRRORED: alternating(row, epoch, draw.seed)} if self.flip else batch

    def programs(self, model: nn.Module, codec: Codec) -> dict[str, Program]:
        assert isinstance(model, Classifier) and self.label_smoothing != "auto"
        views = Views(mirror=self.flip is True) if self.test_time_augmentation is True else None
        module = Predict(model, views, self.label_smoothing).eval()
        return {"predict": Program(module, (self.image,), ("probability", "_features"))}

    def metrics(self, codec: Codec) -> tuple[str, ...]:
        return ("accuracy", "balanced_accuracy", "precision_macro", "recall_macro", "f1_macro", "roc_auc", "log_loss", "brier", "ece")

    @property
    def goal(self) -> Goal:
        return Goal("accuracy", "max")

    @property
    def targets(self) -> tuple[str, ...]:
        return (self.target,)

    def baseline(self, codec: Codec, train: Part, test: Part, seed: int) -> Baseline:
        """A classical model on the same encoded pictures."""
        return baseline.fit(train.columns, test.columns, self.image, self.target, seed=seed)

    def choices(self, codec: Codec, facts: Facts) -> dict[str, Choice]:
        batch = min(512, max(16, 2 ** (facts.rows // 50).bit_length()))
        steps = max(LEAST_STEPS, EPOCHS * facts.rows // batch)
        chosen = {
            "train.batch": Choice(batch, f"50 to 100 steps an epoch of {facts.rows} rows, at most 512 rows a step"),
            "train.schedule": Choice("linear", "linear decay to zero is the best simple schedule when the horizon is known"),
        }
        if facts.budget_s is None:
            chosen["train.steps"] = Choice(steps, f"{EPOCHS} passes over {facts.rows} rows, at least {LEAST_STEPS} steps")
        if isinstance(self.model, ConvNet):
            chosen["train.optimizer"] = Choice(MUON, "orthogonal steps on the filters learn small convnets in half the steps")
            chosen["train.warmup"] = Choice(0.05, "a short rise keeps the first steps stable")
        else:
            chosen["train.optimizer"] = Choice(AdamW(learning_rate=2e-3, weight_decay=0.05), "AdamW suits residual networks at any size")
            chosen["train.warmup"] = Choice(0.1, "a rise in the first tenth of the steps keeps deep networks stable")
        return chosen

    def _shape(self, values: list[object]) -> tuple[int, int]:
        if self.size == "auto":
            return statistics.usual_shape(values[:256], Image())
        return (self.size, self.size) if isinstance(self.size, int) else self.size


MUON = Muon(learning_rate=0.24, momentum=0.6, weight_decay=0.0, adamw=AdamW(learning_rate=0.01, weight_decay=0.0))


class Classifier(nn.Module):
    """What is trained: uint8 [B, H, W, C] to logits [B, classes]."""

    def __init__(self, standardise: Standardise, network: ConvNetwork | ResNetNetwork) -> None:
        super().__init__()
        self.standardise, self.network = standardise, network

    def forward(self, pictures: Tensor) -> Tensor:
        """Logits."""
        logits: Tensor = self.network(self.standardise(pictures))
        return logits


class Views(nn.Module):
    """The views of test-time augmentation, float [B, C, H, W] to a list of the same with their weights: as it is, and moved a pixel to either corner; each
    also mirrored."""

    def __init__(self, *, mirror: bool) -> None:
        super().__init__()
        self.mirror = mirror

    def forward(self, x: Tensor) -> list[tuple[float, Tensor]]:
        """Weights sum to one: half for the picture in place, a quarter for each shift."""
        padded = F.pad(x, (1, 1, 1, 1), mode="reflect")
        views = [(0.5, x), (0.25, padded[:, :, :-2, :-2]), (0.25, padded[:, :, 2:, 2:])]
        return views if not self.mirror else [(weight / 2, v) for weight, view in views for v in (view, view.flip(3))]


class Predict(nn.Module):
    """What is served: uint8 [B, H, W, C] to `probability` [B, classes]; and `_features` [B, width], what the head sees of the picture as it is."""

    def __init__(self, classifier: Classifier, views: Views | None, label_smoothing: float) -> None:
        super().__init__()
        self.classifier, self.views, self.label_smoothing = classifier, views, label_smoothing

    def forward(self, pictures: Tensor) -> tuple[Tensor, Tensor]:
        """The softmax of the mean logits over the views, with the smoothing of the labels taken out; the features of the first view."""
        x = self.classifier.standardise(pictures)
        views = self.views(x) if self.views is not None else [(1.0, x)]
        seen = [self.classifier.network.features(view) for _, view in views]
        logits = torch.stack([weight * self.classifier.network.head(features) for (weight, _), features in zip(views, seen, strict=True)]).sum(0)
        probability = logits.softmax(dim=1)
        return (unsmoothed(probability, self.label_smoothing) if self.label_smoothing else probability), seen[0]


def _model(shorter: int) -> ConvNet:
    """Stages until about two places are left along the shorter side, each twice as wide as the one before."""
    stages = min(5, max(1, round(np.log2(max(shorter, 8))) - 2))
    return ConvNet(widths=tuple(min(256, 32 * 2**i) for i in range(stages)))


def _readable(codec: ImageClassificationCodec, values: list[object]) -> np.ndarray:
    """The pictures among `values` that can be decoded, encoded; what cannot be read is counted where the columns are cached, not here."""
    try:
        return np.asarray(codec.encode({codec.image: values})[codec.image])
    except BadRows as error:
        good = [value for i, value in enumerate(values) if i not in error.rows]
        if not good:
            raise
        return np.asarray(codec.encode({codec.image: good})[codec.image])


def _no_picture(column: str, values: list[object], error: DataError) -> DataError:
    """What is said of a column in which no picture can be read; `error` is about one of them."""
    paths = any(isinstance(value, str) for value in values)
    fix = f"If these are paths of files, add {column!r} to data.files; else choose another task." if paths else error.fix
    return DataError(column, expected="pictures", found=f"none that can be read (expected {error.expected}, found {error.found})", fix=fix)


def _by_value(name: str) -> tuple[float, str]:
    """Numbers by value, then words."""
    try:
        return float(name), name
    except ValueError:
        return float("inf"), name
