"""Generated images: a picture of a class, made of noise."""

from typing import Annotated, Literal, Self

import numpy as np
import torch
from pydantic import Discriminator, PositiveInt
from torch import nn

from thuja.apps.image_generation import baseline, charts
from thuja.apps.image_generation.codec import ImageGenerationCodec, name_of
from thuja.apps.image_generation.judge import Classifier, Judge, open_judge
from thuja.apps.image_generation.judged import judged
from thuja.apps.image_generation.programs import Generator, programs
from thuja.apps.image_generation.requests import STRENGTHS, Requests
from thuja.blocks.normalisation import Standardise
from thuja.chart import Chart
from thuja.codec import Arrays, Codec, Columns
from thuja.core.errors import DataError, did_you_mean
from thuja.fields import Image
from thuja.fields.pixels import all_grey, spread, usual_shape
from thuja.metrics import Outputs
from thuja.models.gan import Gan, GanNet, critic_loss, forger_loss
from thuja.models.unet_velocity import UNetVelocity, UNetVelocityNet, path_loss
from thuja.settings import AdamW, Auto, Muon
from thuja.task import Baseline, Batch, Choice, Facts, Goal, Loss, Objective, Part, Program, Source, Task

SAMPLE = 1024
"""Training pictures from which size, colour and pixel statistics are learned."""
EPOCHS, LEAST_STEPS = 30, 1000
BATCH = 128
MUON = Muon(learning_rate=0.02, momentum=0.95, weight_decay=0.0, adamw=AdamW(learning_rate=2e-3, betas=(0.9, 0.95), weight_decay=0.0))
ADVERSARIES = AdamW(learning_rate=5e-4, betas=(0.0, 0.95), weight_decay=0.0)


class ImageGeneration(Task):
    """Pictures for names and seeds."""

    kind: Literal["image-generation"] = "image-generation"
    image: str = "image"
    """The column with pictures to learn from."""
    target: str = "label"
    """The column with classes, by which pictures are asked for."""
    size: Auto | PositiveInt | tuple[PositiveInt, PositiveInt] = "auto"
    """Pixels along each side, or height and width, of the pictures made. Auto: the median of the training pictures, at most 64."""
    channels: Auto | Literal[1, 3] = "auto"
    """1 for grey, 3 for colour. Auto: grey if all pictures looked at are."""
    model: Annotated[UNetVelocity | Gan, Discriminator("kind")] = UNetVelocity()
    """flow or gan, with its own keys: flow matching, which is steady and varied, or a generative adversarial network, which answers in one pass."""
    flip: Auto | bool = "auto"
    """Show training pictures mirrored left to right half of the time. Auto: only in colour, since a mirrored photograph is a photograph."""
    judge: str = ""
    """The folder of an artefact of image classification, from where the command runs: distances are measured in what its last layer sees. Empty: in
    thumbnails, which see no detail."""
    judge_digest: Auto | str = "auto"
    """Which artefact that is, so that no figure is ever compared with one by another judge. Auto: the one that is there."""

    def arrange(self, parts: dict[str, Source]) -> dict[str, Source]:
        """The rows at rest, each with a seed of its own, and guidance left open."""
        for name in (self.image, self.target):
            if name not in parts["train"].names:
                names = parts["train"].names
                raise DataError(name, expected="a column of this name", found=f"{len(names)} others", fix=did_you_mean(name, names))
        return {name: Requests(source, parts["train"]) for name, source in parts.items()}

    def prepare(self, source: Source) -> tuple[Self, ImageGenerationCodec]:
        """One pass over the classes, and a look at up to SAMPLE pictures spread evenly over the rows.

        Raises: DataError for an absent column, a column without classes, or pictures none of which can be read; ArtifactError for an unusable judge.
        """
        for name in (self.image, self.target):
            if name not in source.names:
                raise DataError(name, expected="a column of this name", found=f"{len(source.names)} others", fix=did_you_mean(name, source.names))
        judge = open_judge(self.judge, "" if self.judge_digest == "auto" else self.judge_digest)
        names = sorted({name_of(v) for rows in source.batches(1024) for v in rows[self.target] if v is not None and v != ""}, key=_by_value)
        if not names:
            raise DataError(self.target, expected="a class for each picture", found="none", fix="Name another column with task.target.")
        index = np.unique(np.linspace(0, len(source) - 1, min(SAMPLE, len(source))).astype(np.int64))
        values = list(source.take(index)[self.image])
        try:
            shape = usual_shape(values[:256], Image()) if self.size == "auto" else (self.size, self.size) if isinstance(self.size, int) else self.size
            pictures = _readable(values, Image(), shape)
        except DataError as error:
            found = f"none that can be read (expected {error.expected}, found {error.found})"
            fix = f"If these are paths of files, add {self.image!r} to data.files." if any(isinstance(value, str) for value in values) else error.fix
            raise DataError(self.image, expected="pictures", found=found, fix=fix) from error
        channels: Literal[1, 3] = (1 if all_grey(pictures) else 3) if self.channels == "auto" else self.channels
        if channels == 1:
            pictures = _readable(values, Image(channels=1), shape)
        mean, std = spread(pictures)
        codec = ImageGenerationCodec(image=self.image, label=self.target, names=tuple(names), field=Image(channels=channels), height=shape[0], width=shape[1],
                                     mean=mean, std=std, guidance=self.model.guidance if isinstance(self.model, UNetVelocity) else None)
        settled = {"size": shape, "channels": channels, "flip": channels == 3 if self.flip == "auto" else self.flip,
                   "judge_digest": judge.digest if isinstance(judge, Classifier) else ""}
        return self.model_copy(update=settled), codec

    def build(self, codec: Codec) -> Generator:
        assert isinstance(codec, ImageGenerationCodec)
        channels, shape = codec.field.channels, (codec.height, codec.width)
        network = self.model.build(channels, len(codec.names)) if isinstance(self.model, UNetVelocity) else self.model.build(channels, shape, len(codec.names))
        return Generator(Standardise(codec.mean, codec.std), network, (channels, *shape))

    def loss(self, model: nn.Module, batch: Batch, rng: torch.Generator) -> Loss:
        """The flow's error at random moments of the way; the forger's loss for a GAN."""
        assert isinstance(model, Generator)
        pictures, label, network = model.standardise(batch[self.image]), batch[self.target], model.network
        if isinstance(self.model, UNetVelocity):
            assert isinstance(network, UNetVelocityNet)
            return Loss(path_loss(network, pictures, label, rng, self.model.unlabelled))
        assert isinstance(network, GanNet)
        return Loss(forger_loss(network, pictures, label, rng))

    def objectives(self, model: nn.Module) -> tuple[Objective, ...]:
        """One for a flow; critic and forger in turn for a GAN."""
        assert isinstance(model, Generator)
        network = model.network
        if isinstance(network, UNetVelocityNet):
            return (Objective("loss", list(network.parameters()), lambda batch, rng: self.loss(model, batch, rng)),)
        return (Objective("critic", list(network.critic.parameters()), lambda batch, rng: self._criticised(model, batch, rng)),
                Objective("forger", list(network.forger.parameters()), lambda batch, rng: self.loss(model, batch, rng)))

    def _criticised(self, model: Generator, batch: Batch, rng: torch.Generator) -> Loss:
        assert isinstance(model.network, GanNet)
        loss, slope = critic_loss(model.network, model.standardise(batch[self.image]), batch[self.target], rng)
        return Loss(loss, {"slope": slope})

    def augment(self, batch: Batch, rng: torch.Generator) -> Batch:
        """With `flip`, half of the pictures mirrored."""
        if self.flip is not True:
            return batch
        pictures = batch[self.image]
        mirrored = torch.rand(len(pictures), generator=rng, device=pictures.device) < 0.5
        return batch | {self.image: torch.where(mirrored[:, None, None, None], pictures.flip(2), pictures)}

    def programs(self, model: nn.Module, codec: Codec) -> dict[str, Program]:
        assert isinstance(model, Generator)
        return programs(model, self.target, self.image, self.model if isinstance(self.model, UNetVelocity) else None)

    def metrics(self, codec: Codec) -> tuple[str, ...]:
        return ("frechet", "precision_pictures", "recall_pictures", *(("recognised",) if self.judge else ()))

    @property
    def goal(self) -> Goal:
        return Goal("frechet", "min")

    @property
    def look(self) -> Goal:
        """The loss: pictures for a distance take minutes."""
        return Goal("loss", "min")

    @property
    def targets(self) -> tuple[str, ...]:
        """The class, which is asked for: what is learned is what must not be in two parts, the picture."""
        return (self.target,)

    def outputs(self, codec: Codec, columns: Columns, arrays: Arrays, source: Source | None = None) -> Outputs:
        """What the judge sees in the real picture of each row and in the one that was made for it."""
        assert isinstance(codec, ImageGenerationCodec)
        return judged(self._judge(), codec, columns, arrays[self.image])

    def served(self, model: nn.Module, codec: Codec, part: Part) -> Source:
        """Class and seed of each row, without its picture, and several strengths of guidance in turn."""
        return Requests(part.source, None, strengths=STRENGTHS, without=(self.image,))

    def charts(self, model: nn.Module, codec: Codec, part: Part, outputs: Outputs) -> tuple[Chart, ...]:
        """Samples of every class, the way from noise, strengths of guidance, the nearest training pictures, and the floor of the distance."""
        assert isinstance(codec, ImageGenerationCodec)
        return charts.all_of(charts.Studio(self.programs(model, codec), codec), part, outputs, self._judge())

    def baseline(self, codec: Codec, train: Part, test: Part, seed: int) -> Baseline:
        """Pictures drawn from a normal distribution for each class."""
        assert isinstance(codec, ImageGenerationCodec)
        return baseline.fit(codec, train.columns, test.columns, self._judge(), seed)

    def choices(self, codec: Codec, facts: Facts) -> dict[str, Choice]:
        flow = isinstance(self.model, UNetVelocity)
        batch = min(BATCH, max(16, 2 ** (facts.rows // 20).bit_length()))
        steps = max(LEAST_STEPS, EPOCHS * facts.rows // batch)
        chosen = {
            "train.batch": Choice(batch, f"many steps of {batch} rows teach more than few of more rows"),
            "train.optimizer": Choice(MUON, "orthogonal steps on the filters learn a flow in a third of the steps") if flow else
            Choice(ADVERSARIES, "Adam without momentum keeps the two sides from circling each other"),
            "train.schedule": Choice("linear", "a rate that falls to zero averages what the last steps have learned"),
            "train.warmup": Choice(0.02, "a short rise keeps the first steps stable"),
            "train.ema": Choice(0.99 if flow else 0.998, "the mean of the last weights makes cleaner pictures than the last ones" +
                                ("" if flow else ", above all where two sides push them about")),
        }
        if facts.budget_s is None:
            chosen["train.steps"] = Choice(steps, f"{EPOCHS} passes over {facts.rows} rows, at least {LEAST_STEPS} steps")
        return chosen

    def _judge(self) -> Judge:
        return open_judge(self.judge, "" if self.judge_digest == "auto" else self.judge_digest)


def _readable(values: list[object], field: Image, shape: tuple[int, int]) -> np.ndarray:
    """Those pictures that can be decoded, uint8 [N, height, width, channels]. Raises: DataError where there is none."""
    pictures, last = [], None
    for i, value in enumerate(values):
        try:
            pictures.append(field.decode(value, f"rows[{i}]", shape))
        except DataError as error:
            last = error
    if last is not None and not pictures:
        raise last
    return np.stack(pictures)


def _by_value(name: str) -> tuple[float, str]:
    """Numbers by value, then words."""
    try:
        return float(name), name
    except ValueError:
        return float("inf"), name
