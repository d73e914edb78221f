"""Object detection: learn where the things of some classes are in a picture, from pictures with boxes."""

from typing import Annotated, Literal, Self

import torch
from pydantic import Field, NonNegativeFloat, PositiveInt
from torch import Tensor, nn

from thuja.apps.object_detection import baseline, judge, learn
from thuja.apps.object_detection.codec import ObjectDetectionCodec
from thuja.apps.object_detection.pictures import charts
from thuja.apps.object_detection.predict import Predict
from thuja.blocks.anchor_free import Drawn, detection_loss
from thuja.blocks.augment_boxes import Change, coloured, moved, shown, views
from thuja.chart import Chart
from thuja.codec import Arrays, Codec, Columns
from thuja.metrics import Outputs
from thuja.metrics.boxes import Found
from thuja.models.detector import STRIDES, Detector, DetectorNet
from thuja.settings import Auto, Muon, Share
from thuja.task import Baseline, Batch, Choice, Facts, Goal, Loss, Part, Program, Source, Task

EPOCHS = 60
LEAST_STEPS = 600


class ObjectDetection(Task):
    """Boxes around the things of some classes."""

    kind: Literal["object-detection"] = "object-detection"
    image: str = "image"
    """The column with pictures."""
    target: str = "boxes"
    """The column with the boxes drawn in each: a list of `{"label": name, "box": [left, top, right, bottom]}`."""
    size: Auto | PositiveInt | tuple[PositiveInt, PositiveInt] = "auto"
    """Pixels along each side, or height and width, of the letter box into which pictures are scaled; multiples of 32. Auto: the usual shape of the training
    pictures with a longer side of 320, or less where they are smaller. Twice the side takes four times as long, and finds what is half as large."""
    channels: Literal[1, 3] = 3
    """1 for grey, 3 for colour."""
    most: Annotated[int, Field(ge=1, le=1000)] = 100
    """Boxes answered at most."""
    threshold: Annotated[float, Field(ge=0, lt=1)] = 0.3
    """Least score of a box that is answered; metrics count all."""
    overlap: Annotated[float, Field(gt=0, lt=1)] = 0.6
    """Of two boxes of one class whose intersection over union is larger, the less sure one is left out."""
    model: Auto | Detector = "auto"
    """The network. Auto: some 1.5 million parameters, for pictures of up to a few hundred pixels."""
    mosaic: Share = 0.5
    """In training, share of the pictures that are put together from parts of four."""
    scale: NonNegativeFloat = 0.2
    """In training, pictures are up to this share larger or smaller."""
    flip: Literal["none", "across", "both"] = "across"
    """In training, pictures are mirrored left to right, or top to bottom as well, every other time; none where direction means something."""
    colour: NonNegativeFloat = 0.1
    """In training, strength of changes of light and colour."""

    def prepare(self, source: Source) -> tuple[Self, ObjectDetectionCodec]:
        """One pass over the boxes, and a look at some pictures spread evenly over the rows.

        Raises: DataError for an absent column, no box at all, or pictures none of which can be read; SpecError for a size that is no multiple of 32.
        """
        names = learn.names(source, self.image, self.target)
        seen = learn.look(source, self.image, self.channels)
        size = learn.size(seen, STRIDES[-1]) if self.size == "auto" else learn.multiple(self.size, STRIDES[-1])
        codec = ObjectDetectionCodec(image=self.image, target=self.target, names=names, field=learn.field(self.channels), height=size[0], width=size[1],
                                     most=self.most, threshold=self.threshold, overlap=self.overlap)
        mean, std = learn.statistics(codec, seen)
        settled = {"size": size, "model": Detector() if self.model == "auto" else self.model}
        return self.model_copy(update=settled), codec.model_copy(update={"mean": mean, "std": std})

    def build(self, codec: Codec) -> DetectorNet:
        assert isinstance(codec, ObjectDetectionCodec) and self.model != "auto"
        return self.model.build((codec.height, codec.width, codec.field.channels), len(codec.names), codec.mean, codec.std)

    def loss(self, model: nn.Module, batch: Batch, rng: torch.Generator) -> Loss:
        """Of classes and of boxes."""
        assert isinstance(model, DetectorNet)
        logits, distance = model(batch[self.image])
        classes, boxes = detection_loss(model.places, logits, distance, _drawn(batch[self.target], batch[self._placed]))
        return Loss(classes + boxes, {"classes": classes, "boxes": boxes})

    def augment(self, batch: Batch, rng: torch.Generator) -> Batch:
        """Mosaics, flips, scale and colour; from here on, boxes are in pixels of the letter box."""
        pictures, placed, boxes = batch[self.image], batch[self._placed], batch[self.target]
        rows, height, width, _ = pictures.shape
        change = Change(self.mosaic, self.scale, self.flip != "none", self.flip == "both")
        view = views(rows, (height, width), rng, change, pictures.device)
        corners, kept, came = moved(_in_letter_box(boxes[..., 1:5], placed), boxes[..., 0] > 0, view, (height, width))
        flat = boxes.flatten(0, 1)[came]
        found = torch.cat([flat[..., :1], corners, flat[..., 5:]], dim=-1) * kept[..., None]
        order = (~kept).int().argsort(dim=1, stable=True)[:, : 2 * boxes.shape[1]]  # those that are there first; a mosaic seldom shows more than twice as many
        found = found.gather(1, order[..., None].expand(-1, -1, 6))
        identity = placed.new_tensor([1.0, 1.0, 0.0, 0.0, width, height]).expand(rows, -1)
        changed = shown(pictures, view)
        return {self.image: coloured(changed, rng, self.colour) if self.colour else changed, self._placed: identity, self.target: found}

    def programs(self, model: nn.Module, codec: Codec) -> dict[str, Program]:
        assert isinstance(model, DetectorNet) and isinstance(codec, ObjectDetectionCodec)
        return {"predict": Program(Predict(model, codec.most, codec.overlap).eval(), (codec.image, codec.placed), ("boxes", "score", "label"))}

    def outputs(self, codec: Codec, columns: Columns, arrays: Arrays, source: Source | None = None) -> Outputs:
        """What was found, and which of it is right by the rules of COCO."""
        assert isinstance(codec, ObjectDetectionCodec)
        return judge.outputs(codec, columns, Found(arrays["boxes"], arrays["score"], arrays["label"]))

    def charts(self, model: nn.Module, codec: Codec, part: Part, outputs: Outputs) -> tuple[Chart, ...]:
        assert isinstance(codec, ObjectDetectionCodec)
        return charts(codec, part, outputs)

    def metrics(self, codec: Codec) -> tuple[str, ...]:
        return ("map_50", "map_50_95", "map_75", "map_small", "map_medium", "map_large", "box_recall_50")

    @property
    def goal(self) -> Goal:
        return Goal("map_50", "max")

    @property
    def targets(self) -> tuple[str, ...]:
        return (self.target,)

    def baseline(self, codec: Codec, train: Part, test: Part, seed: int) -> Baseline | None:
        """Regions that stand out from the background, and logistic regression on histograms of gradients in them."""
        assert isinstance(codec, ObjectDetectionCodec)
        return baseline.fit(codec, train.columns, test.columns, seed)

    def choices(self, codec: Codec, facts: Facts) -> dict[str, Choice]:
        batch = min(16, max(4, 2 ** (facts.rows // 16).bit_length()))
        chosen = {
            "train.batch": Choice(batch, "small batches take more steps in the same time; detectors from random weights want steps"),
            "train.optimizer": Choice(Muon(learning_rate=0.02, weight_decay=0.01), "Muon trains convnets in half the steps"),
            "train.schedule": Choice("trapezoid", "full speed for most of the run, then down to zero"),
            "train.warmup": Choice(0.05, "a short rise keeps the first steps stable"),
            "train.ema": Choice(0.99, "the mean of the last hundred steps errs less"),
        }
        if facts.budget_s is None:
            steps = max(LEAST_STEPS, EPOCHS * facts.rows // batch)
            chosen["train.steps"] = Choice(steps, f"{EPOCHS} passes over {facts.rows} rows, at least {LEAST_STEPS} steps")
        return chosen

    @property
    def _placed(self) -> str:
        return f"{self.image}_placed"


def _in_letter_box(boxes: Tensor, placed: Tensor) -> Tensor:
    """Boxes [B, N, 4] in pixels of the pictures, in those of the letter box."""
    return boxes * placed[:, None, [0, 1, 0, 1]] + placed[:, None, [2, 3, 2, 3]]


def _drawn(boxes: Tensor, placed: Tensor) -> Drawn:
    """The target column [B, N, 6], padded with zeros, in pixels of the letter box."""
    there, ignore = boxes[..., 0] > 0, boxes[..., 5] > 0
    return Drawn(_in_letter_box(boxes[..., 1:5], placed), (boxes[..., 0] - 1).clamp(min=0).long(), there & ~ignore, there & ignore)
