"""Image classification: one of several names for a picture, or all that fit."""

from collections import Counter
from collections.abc import Iterator
from typing import Annotated, Literal, Self

import numpy as np
import torch
from pydantic import Discriminator, Field, NonNegativeInt, PositiveFloat, PositiveInt
from torch import nn

from thuja.apps.image_classification import baseline, learning, pictures, statistics
from thuja.apps.image_classification.codec import ImageClassificationCodec
from thuja.apps.image_classification.labels import Labels, by_value, checked_weights, how_many, name_of, names_in, weights_of
from thuja.apps.image_classification.network import Classifier, Predict, Views
from thuja.blocks.normalisation import Standardise
from thuja.blocks.regularisation import alternating, cutout, mixup, moved
from thuja.chart import Chart
from thuja.codec import Arrays, Codec, Columns, count
from thuja.core.errors import BadRows, DataError, SpecError, did_you_mean
from thuja.data.order import shuffled
from thuja.fields import Image
from thuja.fields.pixels import LARGEST, all_grey, usual_shape
from thuja.metrics import Outputs
from thuja.models.convnet import PATCH, ConvNet, ConvNetwork
from thuja.models.resnet import ResNet, ResNetNetwork
from thuja.settings import AdamW, Auto, Muon, Share
from thuja.task import Baseline, Batch, Choice, Draw, Facts, Goal, Loss, Part, Program, Source, Task

SAMPLE = 1024
"""Training pictures from which size, colour and pixel statistics are learned."""
EPOCHS = 10
"""Passes over the training rows where the spec gives neither budget nor steps; small sets get at least LEAST_STEPS."""
LEAST_STEPS = 400
ROW, MIRRORED = "row.number", "flip.mirrored"
"""What a batch holds besides its columns; no column of a spec is likely to be called so."""


class ImageClassification(Task):
    """Names for pictures."""

    kind: Literal["image-classification"] = "image-classification"
    image: str = "image"
    """The column with pictures."""
    target: str = "label"
    """The column with classes."""
    labels: Auto | Labels = "auto"
    """Whether a picture has one name or several (or none). Auto: several where the target holds lists, or texts with ; or | between names that come again."""
    threshold: Annotated[float, Field(gt=0, lt=1)] = 0.5
    """With several labels: the probability from which one is given. Choose it on validation rows."""
    class_weights: Auto | dict[str, PositiveFloat] | None = None
    """How much a picture of each class counts in training, by name; empty: all alike. Auto: rare classes as much more as they are rarer, so that all count
    alike together; probabilities then are those of a world in which all classes are equally common."""
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
        names, settled = self._classes(source)
        index = np.unique(np.linspace(0, len(source) - 1, min(SAMPLE, len(source))).astype(np.int64))
        values = [v for part in np.array_split(index, max(1, len(index) // 256)) for v in source.take(part)[self.image]]
        try:
            height, width = self._shape(values)
            codec = ImageClassificationCodec(image=self.image, target=self.target, names=tuple(names), height=height, width=width,
                                             threshold=self.threshold if settled["labels"] == "several" else None)
            seen = _readable(codec, values)
        except DataError as error:
            raise _no_picture(self.image, values, error) from error
        channels: Literal[1, 3] = (1 if all_grey(seen) else 3) if self.channels == "auto" else self.channels
        if channels == 1:
            codec = codec.model_copy(update={"field": Image(channels=1)})
            seen = _readable(codec, values)
        measured = statistics.measure(seen, PATCH)
        codec = codec.model_copy(update=measured._asdict())
        return self.model_copy(update=settled | self._shaped(height, width, channels)), codec

    def inherit(self, source: Source, parent: Codec) -> tuple[Self, ImageClassificationCodec]:
        """The parent's pixels (size, channels, mean), and the classes of these rows. Raises: SpecError for a parent of another kind; as `prepare`."""
        if not isinstance(parent, ImageClassificationCodec):
            raise SpecError("parent", expected="a model that classifies pictures", found=parent.kind, fix="Leave `parent` out, or name another run.")
        if self.model == "auto":
            raise SpecError("task.model", expected="the parent's", found="auto", fix="Name the parent's network in task.model.")
        if self.channels not in ("auto", parent.field.channels):
            raise SpecError("task.channels", expected=f"{parent.field.channels}, as the parent has", found=str(self.channels), fix="Leave it out.")
        names, settled = self._classes(source)
        height, width = (parent.height, parent.width) if self.size == "auto" else self._shape([])
        codec = parent.model_copy(update={"image": self.image, "target": self.target, "names": tuple(names), "height": height, "width": width,
                                          "threshold": self.threshold if settled["labels"] == "several" else None})
        channels: Literal[1, 3] = 1 if codec.field.channels == 1 else 3
        return self.model_copy(update=settled | self._shaped(height, width, channels)), codec

    def build(self, codec: Codec) -> Classifier:
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
        """Cross-entropy with label smoothing, of several labels the binary one of each; see `learning`."""
        assert self.label_smoothing != "auto" and self.class_weights != "auto"
        logits, target = model(batch[self.image]), batch[self.target]
        weights = None if self.class_weights is None else tuple(self.class_weights.values())
        if self.labels == "several":
            return Loss(learning.several_names(logits, target, batch, weights))
        return Loss(learning.one_name(logits, target, batch, self.label_smoothing, weights))

    def augment(self, batch: Batch, rng: torch.Generator) -> Batch:
        """Shift and mirror, then holes, then blends."""
        assert self.translate != "auto"
        changed = moved(batch[self.image], rng, translate=self.translate, mirrored=batch.get(MIRRORED), reflect=self.channels == 3)
        if self.cutout:
            changed = cutout(changed, rng, self.cutout, fill=changed.float().mean(dim=(0, 1, 2)).round())
        if not self.mixup:
            return batch | {self.image: changed}
        changed, partner, share = mixup(changed, batch[self.target], rng, self.mixup)
        return batch | {self.image: changed, learning.PARTNER: partner, learning.SHARE: share}

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
        several = self.labels == "several"
        module = Predict(model, views, self.label_smoothing, several=several).eval()
        return {"predict": Program(module, (self.image,), ("label_probability" if several else "probability", "_features"))}

    def outputs(self, codec: Codec, columns: Columns, arrays: Arrays, source: Source | None = None) -> Outputs:
        """Of several labels also `decided`, uint8 [rows, labels]: those that are given."""
        assert isinstance(codec, ImageClassificationCodec)
        more = {"decided": codec.decided(arrays["label_probability"])} if self.labels == "several" else {}
        return Outputs(np.asarray(columns[self.target]), arrays | more)

    def charts(self, model: nn.Module, codec: Codec, part: Part, outputs: Outputs) -> tuple[Chart, ...]:
        """Each label, where there are several; and what parts of some pictures the answers hang on."""
        assert isinstance(model, Classifier) and isinstance(codec, ImageClassificationCodec)
        return (*(pictures.by_label(outputs) if self.labels == "several" else ()), pictures.saliency(model, codec, part, outputs))

    def metrics(self, codec: Codec) -> tuple[str, ...]:
        if self.labels == "several":
            return ("mean_average_precision", "label_f1_micro", "label_f1_macro", "label_precision", "label_recall", "exact_labels")
        return ("accuracy", "balanced_accuracy", "precision_macro", "recall_macro", "f1_macro", "roc_auc", "log_loss", "brier", "ece")

    @property
    def goal(self) -> Goal:
        return Goal("mean_average_precision" if self.labels == "several" else "accuracy", "max")

    @property
    def targets(self) -> tuple[str, ...]:
        return (self.target,)

    def baseline(self, codec: Codec, train: Part, test: Part, seed: int) -> Baseline:
        """A classical model on the same encoded pictures."""
        assert isinstance(codec, ImageClassificationCodec)
        if self.labels == "several":
            return baseline.fit_several(train.columns, test.columns, codec, seed=seed)
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

    def _classes(self, source: Source) -> tuple[list[str], dict[str, object]]:
        """The names in the target, and what is settled with them. Raises: DataError for fewer than two; SpecError for smoothing of several labels."""
        for name in (self.image, self.target):
            if name not in source.names:
                raise DataError(name, expected="a column of this name", found=f"{len(source.names)} others", fix=did_you_mean(name, source.names))
        values = [value for rows in source.batches(1024) for value in rows[self.target]]
        how = how_many(values) if self.labels == "auto" else self.labels
        if how == "several":
            counts = Counter(name for value in values for name in names_in(value))
        else:
            counts = Counter(name_of(value) for value in values if value is not None and value != "")
        names = sorted(counts, key=by_value)
        if len(names) < 2:
            found = f"only {names[0]!r}" if names else "none"
            raise DataError(self.target, expected="at least two classes", found=found, fix="Add pictures of another class; one class cannot be learned.")
        if how == "several" and self.label_smoothing not in ("auto", 0.0):
            raise SpecError("task.label_smoothing", expected="0 where pictures have several labels", found=f"{self.label_smoothing:g}", fix="Leave it out.")
        smoothing = self.label_smoothing if self.label_smoothing != "auto" else 0.1 if how == "one" else 0.0
        weights: dict[str, float] | None = None
        if isinstance(self.class_weights, str):
            weights = weights_of(Counter({name: counts[name] for name in names}), len(values), how)
        elif self.class_weights is not None:
            weights = checked_weights(self.class_weights, names)
        return names, {"labels": how, "label_smoothing": smoothing, "class_weights": weights}

    def _shaped(self, height: int, width: int, channels: Literal[1, 3]) -> dict[str, object]:
        """What is settled once the shape of the pictures is known."""
        shorter = min(height, width)
        return {"size": (height, width), "channels": channels, "model": _model(shorter) if self.model == "auto" else self.model,
                "flip": channels == 3 if self.flip == "auto" else self.flip,
                "translate": round(shorter / 16) if self.translate == "auto" else self.translate,
                "test_time_augmentation": shorter <= LARGEST if self.test_time_augmentation == "auto" else self.test_time_augmentation}

    def _shape(self, values: list[object]) -> tuple[int, int]:
        if self.size == "auto":
            return usual_shape(values[:256], Image())
        return (self.size, self.size) if isinstance(self.size, int) else self.size


MUON = Muon(learning_rate=0.24, momentum=0.6, weight_decay=0.0, adamw=AdamW(learning_rate=0.01, weight_decay=0.0))


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
