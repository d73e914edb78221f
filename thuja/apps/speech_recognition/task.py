"""Speech recognition: learn to write down what is said, from recordings with transcripts."""

from collections import Counter
from collections.abc import Iterator
from typing import Annotated, Literal, Self

import numpy as np
import torch
from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt
from torch import Tensor, nn

from thuja.apps.speech_recognition import baseline, learn
from thuja.apps.speech_recognition.codec import SpeechRecognitionCodec, cut, normal
from thuja.apps.speech_recognition.pictures import pictures
from thuja.blocks.augment_audio import perturbed
from thuja.blocks.spectrogram import inside, masked
from thuja.chart import Chart
from thuja.codec import Arrays, Codec, Columns, Ragged, rectangular, take
from thuja.core.errors import DataError, did_you_mean
from thuja.data.order import alike
from thuja.losses import ctc
from thuja.metrics import Outputs
from thuja.models.ctc_recogniser import CtcRecogniser, CtcRecogniserNet
from thuja.settings import Auto, Muon, Share
from thuja.task import Baseline, Batch, Choice, Draw, Facts, Goal, Loss, Part, Program, Source, Task

EPOCHS = 15
LEAST_STEPS = 500
WORDS = 200
"""A vocabulary of at most so many words may be learned word by word."""
OFTEN = 20
"""Times that a word comes, on average, where words are learned whole."""


class SpeechRecognition(Task):
    """What is said in a recording, learned from recordings with transcripts. A word alone is a transcript of one word."""

    kind: Literal["speech-recognition"] = "speech-recognition"
    audio: str = "audio"
    """The column with recordings."""
    target: str = "text"
    """The column with what was said."""
    rate: Auto | Annotated[int, Field(ge=4000, le=48_000)] = "auto"
    """Samples a second to which recordings are brought. Auto: the commonest of the training recordings, at most 16,000."""
    max_seconds: Auto | PositiveFloat = "auto"
    """Longest recording taken. Auto: twice the longest of the training recordings looked at, at least 10."""
    units: Auto | Literal["characters", "words"] = "auto"
    """What is written one after the other. Auto: whole words where there are at most 200 and each comes some 20 times, as with digits and commands; else
    characters, which can spell words never heard."""
    lowercase: bool = True
    """Whether capitals mean nothing."""
    beam: PositiveInt = 4
    """Beginnings of texts that are kept while searching for the likeliest; 1 takes the likeliest token of every frame, which is quicker."""
    model: Auto | CtcRecogniser = "auto"
    """Auto: a small conformer, with 80 bands of pitch from 16,000 samples a second on, else 40."""
    speed: Share = 0.15
    """In training, recordings are played up to this share faster or slower, which changes the pitch of the voice as well; 0 for none."""
    noise: NonNegativeFloat = 0.1
    """In training, largest white noise, as a share of the recording's own loudness."""
    masked_bands: NonNegativeInt = 4
    """In training, two stripes of up to so many bands are hidden."""
    masked_times: NonNegativeInt = 1
    """In training, so many stretches of up to a fifth of the recording are hidden."""

    def prepare(self, source: Source) -> tuple[Self, SpeechRecognitionCodec]:
        """One pass over the transcripts, and a look at some recordings spread evenly over the rows.

        Raises: DataError for an absent column, recordings none of which can be read, or no transcript at all.
        """
        for name in (self.audio, self.target):
            if name not in source.names:
                raise DataError(name, expected="a column of this name", found=f"{len(source.names)} others", fix=did_you_mean(name, source.names))
        words: Counter[str] = Counter()
        characters: Counter[str] = Counter()
        for rows in source.batches():
            for value in rows[self.target]:
                text = normal(value, self.lowercase)
                words.update(cut(text, "words"))
                characters.update(text)
        if not words:
            raise DataError(self.target, expected="transcripts", found="none", fix="Name the column with what was said in task.target.")
        few = len(words) <= WORDS and words.total() >= OFTEN * len(words)
        units: Literal["characters", "words"] = ("words" if few else "characters") if self.units == "auto" else self.units
        looked = learn.look(source, self.audio, None if self.rate == "auto" else self.rate, None if self.max_seconds == "auto" else self.max_seconds)
        model = CtcRecogniser(bands=80 if looked.rate >= 16_000 else 40) if self.model == "auto" else self.model
        mean, std = learn.statistics(looked, model.bands)
        codec = SpeechRecognitionCodec(
            audio=self.audio, target=self.target, rate=looked.rate, max_seconds=looked.longest, units=units, lowercase=self.lowercase, beam=self.beam,
            tokens=tuple(sorted(words if units == "words" else characters)), stride=round(looked.rate * 0.010) * model.subsampling, mean=mean, std=std)
        settled = {"rate": looked.rate, "max_seconds": looked.longest, "units": units, "model": model}
        return self.model_copy(update=settled), codec

    def build(self, codec: Codec) -> CtcRecogniserNet:
        assert isinstance(codec, SpeechRecognitionCodec) and self.model != "auto"
        return self.model.build(codec.rate, 1 + len(codec.tokens), codec.mean, codec.std)

    def loss(self, model: nn.Module, batch: Batch, rng: torch.Generator) -> Loss:
        """CTC, in nats a token; in training some of the spectrogram is hidden."""
        assert isinstance(model, CtcRecogniserNet)
        spectrogram, frames = model.features(batch[self.audio], batch[self._length])
        if model.training:
            spectrogram = masked(spectrogram, frames, rng, bands=self.masked_bands, times=self.masked_times)
        log_probability, places = model.recognise(spectrogram, frames)
        return Loss(ctc(log_probability, places, batch[self.target]))

    def augment(self, batch: Batch, rng: torch.Generator) -> Batch:
        """Another speed, loudness and beginning, and noise."""
        assert self.rate != "auto"
        samples, lengths = perturbed(batch[self.audio], batch[self._length], rng, speed=self.speed, noise=self.noise, shift=round(0.03 * self.rate))
        return batch | {self.audio: samples, self._length: lengths}

    def batches(self, model: nn.Module, columns: Columns, draw: Draw) -> Iterator[Batch]:
        """Recordings of similar length together."""
        for index in alike(np.asarray(columns[self._length]), draw.size, draw.seed, draw.start):
            arrays = rectangular(take(columns, index))
            yield {name: torch.from_numpy(array).to(draw.device) for name, array in arrays.items()}

    def programs(self, model: nn.Module, codec: Codec) -> dict[str, Program]:
        assert isinstance(model, CtcRecogniserNet) and isinstance(codec, SpeechRecognitionCodec)
        return {"predict": Program(Predict(model).eval(), (codec.audio, codec.length), ("log_probability", "frames"), {codec.audio: (1,)})}

    def outputs(self, codec: Codec, columns: Columns, arrays: Arrays, source: Source | None = None) -> Outputs:
        """Texts: what was said and what was written."""
        assert isinstance(codec, SpeechRecognitionCodec)
        target, found = columns[self.target], codec.decode(arrays)
        assert isinstance(target, Ragged)
        said = [codec.text_of(target.values[low:high].tolist()) for low, high in zip(target.offsets[:-1], target.offsets[1:], strict=True)]
        return Outputs(np.array(said, object), {"text": np.array(found["text"], object), "log_probability": np.array(found["log_probability"])})

    def charts(self, model: nn.Module, codec: Codec, part: Part, outputs: Outputs) -> tuple[Chart, ...]:
        assert isinstance(model, CtcRecogniserNet) and isinstance(codec, SpeechRecognitionCodec)
        return pictures(model, codec, part, outputs)

    def metrics(self, codec: Codec) -> tuple[str, ...]:
        return ("word_error_rate", "character_error_rate", "exact_match")

    @property
    def goal(self) -> Goal:
        return Goal("word_error_rate", "min")

    @property
    def targets(self) -> tuple[str, ...]:
        return (self.target,)

    def baseline(self, codec: Codec, train: Part, test: Part, seed: int) -> Baseline | None:
        """A support vector machine on the spectrogram, where every recording is one of a few words or sentences; None where texts vary: nothing classical
        that is cheap writes them down."""
        assert self.rate != "auto"
        texts = [normal(value, self.lowercase) for rows in train.source.batches() for value in rows[self.target]]
        return baseline.fit(train, test, self.audio, texts, self.rate)

    def choices(self, codec: Codec, facts: Facts) -> dict[str, Choice]:
        batch = min(64, max(8, 2 ** (facts.rows // 50).bit_length()))
        chosen = {
            "train.batch": Choice(batch, f"a power of two near 1/50 of {facts.rows} rows, from 8 to 64"),
            "train.optimizer": Choice(Muon(), "Muon reaches in some 300 steps what AdamW does not in 500"),
            "train.warmup": Choice(0.1, "CTC first learns to answer nothing; a longer rise keeps that phase short"),
            "train.ema": Choice(0.99, "the mean of the last hundred steps errs less"),
        }
        if facts.budget_s is None:
            steps = max(LEAST_STEPS, EPOCHS * facts.rows // batch)
            chosen["train.steps"] = Choice(steps, f"{EPOCHS} passes over {facts.rows} rows, at least {LEAST_STEPS} steps")
        return chosen

    @property
    def _length(self) -> str:
        return f"{self.audio}_length"


class Predict(nn.Module):
    """What is served: samples int16 [B, T] and lengths int64 [B] to `log_probability` float32 [B, F, tokens], zero beyond the `frames` int64 [B] that count."""

    def __init__(self, net: CtcRecogniserNet) -> None:
        super().__init__()
        self.net = net

    def forward(self, samples: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Log-probabilities of the tokens, the blank first."""
        log_probability, places = self.net(samples, lengths)
        return log_probability * inside(places, log_probability.shape[1])[:, :, None], places
