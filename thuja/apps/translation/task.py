"""Translation: learn from pairs of sentences to say in one language what was said in another."""

from collections.abc import Iterator
from typing import Annotated, Literal, Self

import numpy as np
import torch
from pydantic import Field, NonNegativeFloat, PositiveInt
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from thuja import vocabulary
from thuja.apps.translation import baseline, pictures, programs
from thuja.apps.translation.batches import WEIGHT, bucketed
from thuja.apps.translation.codec import TranslationCodec
from thuja.blocks.search import Rule
from thuja.chart import Chart
from thuja.codec import Arrays, Codec, Columns, Ragged
from thuja.core.errors import DataError, SpecError, did_you_mean
from thuja.metrics import Outputs
from thuja.models.translator import Translator, TranslatorNet
from thuja.settings import AdamW, Auto, Muon
from thuja.task import Baseline, Batch, Choice, Draw, Facts, Goal, Loss, Part, Program, Source, Task
from thuja.vocabulary import BEGIN, END, Kind, Vocabulary

EPOCHS = 20
BATCH = 64
READ = 1.5
"""How many times the longest training sentence may be read, where the spec does not say."""


class Translation(Task):
    """A sentence in one language, learned from pairs of sentences."""

    kind: Literal["translation"] = "translation"
    source: str = "source"
    """The column to read."""
    target: str = "target"
    """The column to write."""
    vocabulary: Kind = "byte-pairs"
    """Of what texts are made, for both languages together: byte-pairs (pieces of words), characters, or bytes."""
    vocabulary_size: Annotated[int, Field(ge=300, le=100_000)] = 4000
    """Most tokens; bytes are always 260."""
    lowercase: bool = False
    """Whether both languages are read and written in lower case."""
    max_tokens: Auto | Annotated[int, Field(gt=1)] = "auto"
    """Longest sentence, with its end; auto: half as long again as the longest of the training rows."""
    too_long: Literal["cut", "refuse"] = "cut"
    """What happens to a longer sentence: the rest is not read (the schema says so), or it is an error."""
    beams: Annotated[PositiveInt, Field(le=32)] = 4
    """Hypotheses followed at once; 1 takes the likeliest token each time."""
    length_penalty: NonNegativeFloat = 1.0
    """The power of the number of tokens by which the score of a hypothesis is divided: 0 favours short translations."""
    label_smoothing: Annotated[float, Field(ge=0, lt=1)] = 0.1
    """Share of the truth that is spread over all tokens."""
    model: Translator = Translator()

    def prepare(self, source: Source) -> tuple[Self, TranslationCodec]:
        """Two passes over the training rows: the vocabulary, and the lengths. Raises: DataError for an absent column, or no text."""
        for name in (self.source, self.target):
            if name not in source.names:
                raise DataError(name, expected="a column of this name", found=f"{len(source.names)} others", fix=did_you_mean(name, source.names))
        shape = TranslationCodec(source=self.source, target=self.target, vocabulary=vocabulary.Bytes(), lowercase=self.lowercase, max_tokens=2, mean_tokens=1)
        words = vocabulary.learn(self.vocabulary, (f" {text}" for texts in _texts(source, shape) for text in texts), self.vocabulary_size)
        return self._measured(source, shape, words)

    def inherit(self, source: Source, parent: Codec) -> tuple[Self, TranslationCodec]:
        """The parent's vocabulary and normal form, the lengths of these rows. Raises: SpecError for a parent of another kind."""
        if not isinstance(parent, TranslationCodec):
            raise SpecError("parent", expected="a run of a translation", found=repr(parent.kind), fix="Leave `parent` out.")
        shape = parent.model_copy(update={"source": self.source, "target": self.target})
        return self.model_copy(update={"lowercase": parent.lowercase})._measured(source, shape, parent.vocabulary)

    def _measured(self, source: Source, shape: TranslationCodec, words: Vocabulary) -> tuple[Self, TranslationCodec]:
        codec = shape.model_copy(update={"vocabulary": words, "too_long": self.too_long})
        lengths = np.concatenate([np.stack([np.diff(codec.ids(texts).offsets) + 1 for texts in pair], axis=1) for pair in _pairs(source, codec)])
        if lengths.max(initial=0) <= 1:
            raise DataError(self.source, expected="texts", found="none", fix="Name the columns of texts in task.source and task.target.")
        longest = max(16, int(READ * lengths.max())) if self.max_tokens == "auto" else self.max_tokens
        found = {"max_tokens": longest, "mean_tokens": round(float(lengths[:, 1].mean()), 3), "cut_rows": int((lengths > longest).any(axis=1).sum())}
        return self.model_copy(update={"max_tokens": longest}), codec.model_copy(update=found)

    def build(self, codec: Codec) -> nn.Module:
        assert isinstance(codec, TranslationCodec)
        return Mean(self.model.build(codec.vocabulary.size), codec.mean_tokens)

    def loss(self, model: nn.Module, batch: Batch, rng: torch.Generator) -> Loss:
        """Cross-entropy of the target's tokens, in nats: summed over a row, divided by the mean length of training rows, averaged over the rows.

        Batches weigh their rows (`batches.WEIGHT`) such that every token of an epoch counts the same, whatever the length of its sentence.
        """
        assert isinstance(model, Mean)
        target = batch[self.target]
        row, place = target.nonzero(as_tuple=True)
        before = torch.cat([torch.full_like(target[:, :1], BEGIN), target[:, :-1]], dim=1)
        logits = model.net.logits(model(batch[self.source], before)[row, place])  # padding costs no logits
        each = cross_entropy(logits, target[row, place], label_smoothing=self.label_smoothing, reduction="none")
        rows = torch.zeros(len(target), dtype=each.dtype, device=each.device).index_add(0, row, each)
        if WEIGHT in batch:
            rows = rows * batch[WEIGHT]
        return Loss(rows.mean() / model.mean_tokens)

    def batches(self, model: nn.Module, columns: Columns, draw: Draw) -> Iterator[Batch]:
        """Sentences of like length together; see `batches.bucketed`."""
        return bucketed(columns, draw)

    def programs(self, model: nn.Module, codec: Codec) -> dict[str, Program]:
        assert isinstance(codec, TranslationCodec) and isinstance(model, Mean)
        rule, state = Rule(self.beams, END, self.length_penalty), (*programs.CHANGED, *programs.KEPT)
        return {"predict": Program(programs.Predict(model.net, rule).eval(), (codec.source,), state, {codec.source: (1,)}),
                "step": Program(programs.Step(model.net, rule).eval(), state, programs.CHANGED, programs.DYNAMIC)}

    def outputs(self, codec: Codec, columns: Columns, arrays: Arrays, source: Source | None = None) -> Outputs:
        """References and translations as texts. The reference is the raw row in normal form, not what of it the vocabulary could write."""
        assert isinstance(codec, TranslationCodec)
        if source is None:
            target = columns[self.targets[0]]
            assert isinstance(target, Ragged)
            references = codec.texts(target.padded())
        else:
            references = [codec.normal(text) for rows in source.batches() for text in rows[self.target]]
        answers = codec.decode(arrays)["translation"]
        return Outputs(_objects(references), {"text": _objects(answers), "log_probability": arrays["log_probability"]})

    def charts(self, model: nn.Module, codec: Codec, part: Part, outputs: Outputs) -> tuple[Chart, ...]:
        """What each token of three translations looked at."""
        assert isinstance(codec, TranslationCodec) and isinstance(model, Mean)
        return pictures.attention(model.net, codec, part, outputs)

    def metrics(self, codec: Codec) -> tuple[str, ...]:
        return ("bleu", "chrf", "exact_match")

    @property
    def goal(self) -> Goal:
        return Goal("bleu", "max")

    @property
    def look(self) -> Goal:
        """The loss: translating the validation rows at every look would take longer than training."""
        return Goal("loss", "min")

    @property
    def targets(self) -> tuple[str, ...]:
        return (self.target,)

    def baseline(self, codec: Codec, train: Part, test: Part, seed: int) -> Baseline:
        """A translation memory; nothing in it is random."""
        return baseline.remember(train, test, self.source, self.target)

    def choices(self, codec: Codec, facts: Facts) -> dict[str, Choice]:
        chosen = {
            "train.batch": Choice(BATCH, f"{BATCH} pairs, by length: many small updates suit few sentences"),
            "train.optimizer": Choice(Muon(learning_rate=0.02, adamw=AdamW(learning_rate=3e-3)), "Muon for the layers, AdamW for the vocabulary"),
        }
        if facts.budget_s is None:
            steps = max(1, EPOCHS * facts.rows // BATCH)
            chosen["train.steps"] = Choice(steps, f"{EPOCHS} passes over {facts.rows} rows")
        return chosen


class Mean(nn.Module):
    """The network, and the mean length by which its loss is measured."""

    mean_tokens: Tensor

    def __init__(self, net: TranslatorNet, mean_tokens: float) -> None:
        super().__init__()
        self.net = net
        self.register_buffer("mean_tokens", torch.tensor(mean_tokens), persistent=False)

    def forward(self, source: Tensor, before: Tensor) -> Tensor:
        """States [B, T, dim] after each of `before`."""
        states: Tensor = self.net(source, before)
        return states


def _pairs(source: Source, codec: TranslationCodec) -> Iterator[tuple[list[str], list[str]]]:
    """Both columns in normal form, a batch at a time; what is no text is left out."""
    for rows in source.batches():
        pairs = [(a, b) for a, b in zip(rows[codec.source], rows[codec.target], strict=True) if isinstance(a, str) and isinstance(b, str)]
        yield [codec.normal(a) for a, _ in pairs], [codec.normal(b) for _, b in pairs]


def _texts(source: Source, codec: TranslationCodec) -> Iterator[list[str]]:
    """All texts of both columns."""
    return (texts for pair in _pairs(source, codec) for texts in pair)


def _objects(values: list[str]) -> np.ndarray:
    array = np.empty(len(values), object)
    array[:] = values
    return array
