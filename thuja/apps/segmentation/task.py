"""Segmentation: the class of every pixel of a picture."""

import math
from collections.abc import Iterator
from typing import Annotated, Literal, Self

import torch
from pydantic import Field, NonNegativeFloat, PositiveInt
from torch import nn

from thuja.apps.segmentation import baseline, judge, learn
from thuja.apps.segmentation.answer import Segmenter, programs
from thuja.apps.segmentation.augment import lit, turned
from thuja.apps.segmentation.batches import crops
from thuja.apps.segmentation.codec import MOST_CLASSES, SegmentationCodec
from thuja.apps.segmentation.pictures import pictures
from thuja.apps.segmentation.tiles import VOID, fitting
from thuja.blocks.normalisation import Standardise
from thuja.chart import Chart
from thuja.codec import Arrays, Codec, Columns
from thuja.core.errors import DataError, SpecError, did_you_mean
from thuja.fields import Image, Mask
from thuja.losses import pixel_cross_entropy, soft_dice
from thuja.metrics import Outputs
from thuja.models.unet import UNet
from thuja.settings import AdamW, Auto, Share
from thuja.task import Baseline, Batch, Choice, Draw, Facts, Goal, Loss, Part, Program, Source, Task

LARGEST_TILE, LARGEST_CROP = 512, 256
EPOCHS, LEAST_STEPS = 30, 400


class Segmentation(Task):
    """What each pixel of a picture shows, learned from pictures with masks of class numbers, or of objects."""

    kind: Literal["segmentation"] = "segmentation"
    image: str = "image"
    """The column with pictures."""
    target: str = "mask"
    """The column with masks."""
    values: Auto | tuple[int, ...] = "auto"
    """The numbers in masks that are classes. Auto: all that the training masks have, but for those in `void`."""
    classes: Auto | tuple[str, ...] = "auto"
    """Their names, in that order. Auto: background and object where there are two, else the numbers."""
    void: Auto | tuple[int, ...] = "auto"
    """Numbers in masks that mean "not known": neither learned nor judged. Auto: 255 where there are more than two numbers."""
    instances: Auto | bool = "auto"
    """Whether a mask numbers single objects (cells, say) rather than classes: objects are one class then, and the answer also gives them one by one. Auto:
    where masks have numbers above 255, or more than 64 different ones."""
    least_object: PositiveInt = 1
    """With `instances`, pixels of the smallest object that is answered."""
    channels: Auto | Literal[1, 3] = "auto"
    """1 for grey, 3 for colour. Auto: grey if all pictures looked at are."""
    model: Auto | UNet = "auto"
    """A U-Net, with its own keys. Auto: four levels of 16 to 128 channels, half a million parameters."""
    tile: Auto | tuple[PositiveInt, PositiveInt] = "auto"
    """Height and width of the tiles in which pictures are answered. Auto: the median picture in as few as make tiles of at most 512 pixels; nothing but time
    and memory depends on it."""
    crop: Auto | tuple[PositiveInt, PositiveInt] = "auto"
    """Height and width of the pieces that are learned from. Auto: the tile, at most 256, square where pictures may be turned."""
    orientation: Auto | Literal["any", "upright"] = "auto"
    """any: training pictures are turned by quarters and mirrored; upright: mirrored left to right. Auto: upright where the upper half of the masks differs
    from the lower one."""
    mirror: bool = True
    """Whether training pictures are mirrored left to right; not where left and right are classes of their own. False wants upright pictures."""
    light: Share = 0.2
    """Largest change of brightness and of contrast in training, as a share of the range."""
    overlap: NonNegativeFloat = 1.0
    """How much the overlap of regions (Dice) counts beside the class of single pixels."""
    balance: Auto | Annotated[float, Field(ge=0, le=1)] = "auto"
    """How much rare classes count more: 0 not at all, 1 all classes alike. Auto: 0 for two classes, else 0.5."""

    def prepare(self, source: Source) -> tuple[Self, SegmentationCodec]:
        """One pass over the masks, and a look at up to 64 pictures spread evenly.

        Raises: DataError for an absent column, fewer than two classes, or pictures or masks none of which can be read; SpecError for settings that contradict
        each other.
        """
        for name in (self.image, self.target):
            if name not in source.names:
                raise DataError(name, expected="a column of this name", found=f"{len(source.names)} others", fix=did_you_mean(name, source.names))
        seen, looked = learn.masks(source, self.target, Mask()), learn.pixels(source, self.image, Image())
        instances = (seen.deep or seen.most > learn.MANY) if self.instances == "auto" else self.instances
        values, void = self._numbers(seen, instances=instances)
        names = self._names(values, instances=instances)
        channels: Literal[1, 3] = (1 if looked.grey else 3) if self.channels == "auto" else self.channels
        model = UNet() if self.model == "auto" else self.model
        halo = -(-model.reach // model.align) * model.align
        tile = tuple(fitting(length, halo, model.align, LARGEST_TILE) for length in seen.shape) if self.tile == "auto" else self.tile
        self._check_sizes(tile, model, halo)
        orientation = ("upright" if seen.halves > learn.UPRIGHT or not self.mirror else "any") if self.orientation == "auto" else self.orientation
        there = sum(share for number, share in seen.counts.items() if number and number not in void)
        counts = {0: seen.counts.get(0, 0.0), 1: there} if instances else seen.counts
        total = sum(counts.get(value, 0.0) for value in values)
        codec = SegmentationCodec(
            image=self.image, target=self.target, names=names, values=values, void=void, instances=instances, least_object=self.least_object,
            field=Image(channels=channels), height=tile[0], width=tile[1], halo=halo, align=model.align, mean=looked.mean[:channels], std=looked.std[:channels],
            frequency=tuple(round(counts.get(value, 0.0) / total, 8) for value in values))
        settled = {"values": values, "classes": names, "void": void, "instances": instances, "channels": channels, "model": model, "tile": tile,
                   "orientation": orientation, "balance": (0.0 if len(values) == 2 else 0.5) if self.balance == "auto" else self.balance,
                   "crop": _crop(seen.shape, tile, model.align, square=orientation == "any") if self.crop == "auto" else self.crop}
        return self.model_copy(update=settled), codec

    def build(self, codec: Codec) -> Segmenter:
        assert isinstance(codec, SegmentationCodec) and self.model != "auto" and self.balance != "auto"
        frequency = torch.tensor(codec.frequency).clamp(min=1e-4)
        weight = frequency ** -float(self.balance)
        return Segmenter(Standardise(codec.mean, codec.std), self.model.build(codec.field.channels, len(codec.names)), weight / (weight * frequency).sum())

    def loss(self, model: nn.Module, batch: Batch, rng: torch.Generator) -> Loss:
        """Cross-entropy of pixels, and Dice of regions."""
        assert isinstance(model, Segmenter)
        logits, target = model(batch[self.image]), batch[self.target].long()
        pixels = pixel_cross_entropy(logits, target, VOID, model.weight)
        if not self.overlap:
            return Loss(pixels)
        regions = soft_dice(logits, target, VOID, first=1 if logits.shape[1] == 2 else 0)
        return Loss(pixels + self.overlap * regions, {"pixels": pixels, "regions": regions})

    def augment(self, batch: Batch, rng: torch.Generator) -> Batch:
        """Mirrored, turned, lighter or darker."""
        image, mask = batch[self.image], batch[self.target]
        if self.mirror:
            image, mask = turned(image, mask, rng, upright=self.orientation == "upright")
        return batch | {self.image: lit(image, rng, self.light), self.target: mask}

    def batches(self, model: nn.Module, columns: Columns, draw: Draw) -> Iterator[Batch]:
        """A crop of every row."""
        assert self.crop != "auto"
        return crops(columns, (self.image, self.target), self.crop, draw)

    def programs(self, model: nn.Module, codec: Codec) -> dict[str, Program]:
        assert isinstance(model, Segmenter) and isinstance(codec, SegmentationCodec)
        return programs(model, codec.image, codec.size, codec.owned)

    def outputs(self, codec: Codec, columns: Columns, arrays: Arrays, source: Source | None = None) -> Outputs:
        """Counts of pixels by true and answered class, and with raw rows the distances of borders and the objects found."""
        assert isinstance(codec, SegmentationCodec)
        answered = [codec.whole(tiles, size) for tiles, size in zip(arrays["mask"], arrays["size"], strict=True)]
        return judge.outputs(codec, columns, answered, source)

    def charts(self, model: nn.Module, codec: Codec, part: Part, outputs: Outputs) -> tuple[Chart, ...]:
        assert isinstance(model, Segmenter) and isinstance(codec, SegmentationCodec)
        return pictures(self.programs(model, codec), codec, part, outputs)

    def metrics(self, codec: Codec) -> tuple[str, ...]:
        assert isinstance(codec, SegmentationCodec)
        return ("miou", "dice", "f1_pixels", "pixel_accuracy", "surface_distance", "hausdorff_95", *(("object_f1",) if codec.instances else ()))

    @property
    def goal(self) -> Goal:
        return Goal("f1_pixels" if len(self.classes) == 2 else "miou", "max")

    @property
    def targets(self) -> tuple[str, ...]:
        return (self.target,)

    def baseline(self, codec: Codec, train: Part, test: Part, seed: int) -> Baseline:
        """Otsu's threshold where single objects are wanted, else a logistic regression on what surrounds each pixel."""
        assert isinstance(codec, SegmentationCodec)
        return baseline.fit(codec, train, test, seed)

    def choices(self, codec: Codec, facts: Facts) -> dict[str, Choice]:
        assert self.crop != "auto"
        pixels = self.crop[0] * self.crop[1]
        batch = min(32, max(4, 2 ** round(math.log2(max(1.0, 400_000 / pixels)))))
        chosen = {
            "train.batch": Choice(batch, f"crops of {self.crop[0]} x {self.crop[1]} pixels, some 400,000 pixels a step"),
            "train.optimizer": Choice(AdamW(learning_rate=1e-2, weight_decay=0.05), "AdamW suits U-Nets of any size"),
            "train.schedule": Choice("linear", "linear decay to zero is the best simple schedule when the horizon is known"),
            "train.warmup": Choice(0.1, "a rise in the first tenth of the steps keeps deep networks stable"),
        }
        if facts.budget_s is None:
            steps = max(LEAST_STEPS, EPOCHS * facts.rows // batch)
            chosen["train.steps"] = Choice(steps, f"{EPOCHS} crops of each of {facts.rows} pictures, at least {LEAST_STEPS} steps")
        return chosen

    def _numbers(self, seen: learn.Masks, *, instances: bool) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """The numbers that are classes, and those that are void."""
        there = sorted(seen.counts)
        if instances:
            return (0, 1), () if self.void == "auto" else self.void
        void = ((255,) if 255 in there and len(there) > 2 else ()) if self.void == "auto" else self.void
        values = tuple(value for value in there if value not in void) if self.values == "auto" else self.values
        if len(values) < 2:
            raise DataError(self.target, expected="at least two classes in the masks", found=f"the number {values[0]} alone" if values else "void pixels alone",
                            fix="Add masks of something, or correct task.void.")
        if len(values) > MOST_CLASSES:
            raise DataError(self.target, expected=f"at most {MOST_CLASSES} classes", found=str(len(values)), fix="Set task.instances if they are objects.")
        if len(set(values)) < len(values) or set(values) & set(void):
            raise SpecError("task.values", expected="different numbers, none of them in task.void", found=str(list(values))[:80], fix="Correct one of them.")
        return values, void

    def _names(self, values: tuple[int, ...], *, instances: bool) -> tuple[str, ...]:
        if self.classes == "auto":
            return ("background", "object") if instances or len(values) == 2 else tuple(map(str, values))
        if len(self.classes) != len(values) or len(set(self.classes)) < len(values):
            raise SpecError("task.classes", expected=f"{len(values)} different names, one for each of the numbers {', '.join(map(str, values))}"[:200],
                            found=f"{len(set(self.classes))}", fix="Name each once, in the order of the numbers.")
        return self.classes

    def _check_sizes(self, tile: tuple[int, ...], model: UNet, halo: int) -> None:
        """Raises: SpecError for tiles that no network of this kind can take, and for crops that do not fit into them."""
        least, align = 2 * halo + model.align, model.align
        if any(length % align or length < least for length in tile):
            raise SpecError("task.tile", expected=f"multiples of {align}, at least {least} for this model", found=f"{tile[0]} x {tile[1]}",
                            fix="Choose larger tiles, or a model with fewer levels.")
        if self.crop != "auto" and any(length % align or length > most for length, most in zip(self.crop, tile, strict=True)):
            raise SpecError("task.crop", expected=f"multiples of {align}, at most {tile[0]} x {tile[1]} (the tile)", found=f"{self.crop[0]} x {self.crop[1]}",
                            fix="Choose another size.")
        if not self.mirror and self.orientation == "any":
            raise SpecError("task.orientation", expected="upright, as pictures are not mirrored", found="'any'", fix="Choose upright, or mirror: true.")
        if self.crop != "auto" and self.crop[0] != self.crop[1] and self.orientation == "any":
            raise SpecError("task.crop", expected="equal sides, as pictures are turned", found=f"{self.crop[0]} x {self.crop[1]}",
                            fix="Choose equal sides, or orientation: upright.")


def _crop(shape: tuple[int, int], tile: tuple[int, ...], align: int, *, square: bool) -> tuple[int, int]:
    """Height and width of crops: the picture, if it is small, at most LARGEST_CROP."""
    height, width = (min(-(-length // align) * align, most, LARGEST_CROP // align * align) for length, most in zip(shape, tile, strict=True))
    return (min(height, width),) * 2 if square else (height, width)
