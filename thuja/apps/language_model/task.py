"""Language models: learn what follows what, from a text, from documents, or from conversations."""

from collections.abc import Iterator
from typing import Annotated, Any, Literal, Self

import numpy as np
import torch
from pydantic import Discriminator, NonNegativeFloat, NonNegativeInt, PositiveInt, model_validator
from torch import nn

from thuja.apps.language_model import baseline, generation, rows, template
from thuja.apps.language_model.blocks import packed, stream, whole
from thuja.apps.language_model.charts import by_place, sample
from thuja.apps.language_model.checkpoint import settings_of, vocabulary_of, weights_of
from thuja.apps.language_model.codec import LanguageModelCodec, RowKind
from thuja.blocks.adapter import adapt, merged
from thuja.chart import Chart
from thuja.codec import Arrays, Codec, Columns
from thuja.core.errors import DataError, SpecError
from thuja.metrics import Outputs
from thuja.models.gpt import GPT, GPTNet
from thuja.models.recurrent_lm import RecurrentLM, RecurrentLMNet
from thuja.settings import AdamW, Muon
from thuja.task import Adopted, Baseline, Batch, Checkpoint, Choice, Draw, Facts, Goal, Loss, Part, Program, Source, Task
from thuja.vocabulary import KINDS, AnyVocabulary, Kind

EPOCHS = 10
LEAST_STEPS = 500


class LanguageModel(Task):
    """What follows a text, learned from texts."""

    kind: Literal["language-model"] = "language-model"
    text: str = "text"
    """The column to learn from; of conversations, each a list of {role, content}."""
    rows: RowKind = "documents"
    """What a row is: a text of its own, a passage of one long text that goes on in the next row, or the messages of a conversation (then only what the
    assistant says is learned)."""
    vocabulary: Kind | Literal["borrowed"] = "byte-pairs"
    """What a token is: a character, a byte, or bytes that often stand together; borrowed: what it is to the published checkpoint that `parent` names."""
    vocabulary_size: PositiveInt = 4096
    """Most tokens of the vocabulary; bytes are always 256."""
    context: PositiveInt = 256
    """Tokens that the model sees at a time."""
    overlap: PositiveInt = 1
    """Where rows are passages: tokens before each that are read when it is judged. With 1, its first token is guessed from one, its last from all of it."""
    too_long: Literal["refuse", "cut"] = "refuse"
    """What happens to a prompt of more tokens than the context: it is an error, or its beginning is not read (the schema says so)."""
    max_tokens: PositiveInt = 100
    """Tokens of the longest answer. It may be longer than the context: the model then sees the last part of what it has written."""
    temperature: NonNegativeFloat = 1.0
    """How freely an answer is drawn where a request says nothing: 0 takes the likeliest token always."""
    model: Annotated[GPT | RecurrentLM, Discriminator("kind")] = GPT()
    lora: NonNegativeInt = 0
    """Going on from a parent: the rank of the change that each matrix of its transformer may have while its weights stay as they are (a few megabytes of
    optimiser and gradients instead of the whole); 0 to move every weight. Merged when exported."""

    @model_validator(mode="after")
    def _adaptable(self) -> Self:
        if self.lora and not isinstance(self.model, GPT):
            raise ValueError("lora is for the transformer (model.kind: gpt)")
        return self

    def arrange(self, parts: dict[str, Source]) -> dict[str, Source]:
        """Rows with a `prompt` and a `text`. Raises: DataError for an absent column."""
        made: dict[str, Any] = {}
        for name, source in parts.items():
            match self.rows:
                case "passages":
                    made[name] = rows.passages(source, self.text, self.context, max(self.context // 2, self.overlap))
                case "documents":
                    made[name] = rows.documents(source, self.text, self.context // 2)
                case "messages":
                    made[name] = rows.conversations(source, self.text)
        return made

    def prepare(self, source: Source) -> tuple[Self, LanguageModelCodec]:
        """Learn the vocabulary from the training rows. Raises: DataError where there is no text at all; SpecError for `lora` without a parent."""
        if self.lora:
            raise SpecError("task.lora", expected="0, or a `parent` to go on from", found=str(self.lora), fix="Name a run in `parent`, or leave lora out.")
        if self.vocabulary == "borrowed":
            raise SpecError("task.vocabulary", expected="a `parent` to borrow from", found="none", fix="Name a checkpoint in `parent`.")
        texts = (text for batch in source.batches() for text in batch[rows.TEXT] if isinstance(text, str))
        if self.rows == "messages":
            texts = (piece for text in texts for piece in template.MARK.split(text)[::2])
        learned = KINDS[self.vocabulary].learn(texts, self.vocabulary_size)
        if learned.size <= KINDS[self.vocabulary].learn([], 0).size and self.vocabulary != "bytes":
            raise DataError(self.text, expected="texts that repeat themselves", found="nothing to learn from", fix="Name the column of texts in task.text.")
        return self, self._codec(learned)

    def inherit(self, source: Source, parent: Codec) -> tuple[Self, LanguageModelCodec]:
        """The parent's vocabulary. Raises: SpecError for a parent of another kind."""
        if not isinstance(parent, LanguageModelCodec):
            raise SpecError("parent", expected="a language model", found=parent.kind, fix="Leave `parent` out, or name another run.")
        return self.model_copy(update={"vocabulary": parent.vocabulary.kind, "vocabulary_size": parent.vocabulary.size}), self._codec(parent.vocabulary)

    def adopt(self, source: Source, checkpoint: Checkpoint) -> Adopted:
        """The tokens and the network of a published decoder. Raises: SpecError where ours cannot be the same."""
        if not isinstance(self.model, GPT):
            raise SpecError("task.model.kind", expected="gpt, since `parent` is a checkpoint", found=self.model.kind, fix="Leave task.model out.")
        net = settings_of(checkpoint.config, self.context, self.model.dropout)
        vocabulary = vocabulary_of(checkpoint.config, checkpoint.tokenizer)
        codec = self._codec(vocabulary)
        task = self.model_copy(update={"model": net, "vocabulary": "borrowed", "vocabulary_size": vocabulary.size})
        return Adopted(task, codec, weights_of(checkpoint.config, checkpoint.weights, net, vocabulary, codec.tokens))

    def build(self, codec: Codec) -> nn.Module:
        assert isinstance(codec, LanguageModelCodec)
        net: nn.Module = self.model.build(codec.tokens, self.context)
        if self.lora:
            adapt(net, self.lora)
        return net

    def loss(self, model: nn.Module, batch: Batch, rng: torch.Generator) -> Loss:
        """Nats a scored token, the mean over rows of each row's mean."""
        assert isinstance(model, GPTNet | RecurrentLMNet)
        return Loss(generation.mean_surprise(model, batch["text"], batch["scored"], self.context).mean())

    def batches(self, model: nn.Module, columns: Columns, draw: Draw) -> Iterator[Batch]:
        """Conversations whole; all else as one stream, cut into blocks."""
        if self.rows == "messages":
            return whole(columns, draw)
        return packed(*stream(columns, joined=self.rows == "passages"), self.context, draw)

    def programs(self, model: nn.Module, codec: Codec) -> dict[str, Program]:
        assert isinstance(codec, LanguageModelCodec)
        net = merged(model) if self.lora else model
        assert isinstance(net, GPTNet | RecurrentLMNet)
        return generation.programs(net, self.context, codec.most, codec.barred)

    @property
    def judged(self) -> str:
        return "score"

    def outputs(self, codec: Codec, columns: Columns, arrays: Arrays, source: Source | None = None) -> Outputs:
        """Sums of each row, with its numbers of characters and bytes."""
        sizes = {name: np.asarray(columns[name]) for name in ("characters", "bytes")}
        return Outputs(sizes["characters"], arrays | sizes)

    def metrics(self, codec: Codec) -> tuple[str, ...]:
        if self.rows == "messages":
            return ("response_accuracy", "token_accuracy", "nll_token", "perplexity")
        return ("nll_token", "perplexity", "nll_character", "bits_per_byte")

    @property
    def goal(self) -> Goal:
        return Goal("response_accuracy", "max") if self.rows == "messages" else Goal("nll_token", "min")

    @property
    def look(self) -> Goal:
        return Goal("loss", "min")

    @property
    def targets(self) -> tuple[str, ...]:
        return (rows.TEXT,)

    def baseline(self, codec: Codec, train: Part, test: Part, seed: int) -> Baseline | None:
        """N-grams over the same tokens; of conversations there is none."""
        if self.rows == "messages":
            return None
        vocabulary = int(max(np.max(part.columns[rows.TEXT].values, initial=0) for part in (train, test))) + 1  # type: ignore[union-attr]  # ragged
        return baseline.fit(train, test, vocabulary)

    def charts(self, model: nn.Module, codec: Codec, part: Part, outputs: Outputs) -> tuple[Chart, ...]:
        """Surprise by place, and a sample with the surprise of each token."""
        assert isinstance(codec, LanguageModelCodec) and isinstance(model, GPTNet | RecurrentLMNet)
        return by_place(model, part, self.context), *sample(self.programs(model, codec), model, codec, part)

    def choices(self, codec: Codec, facts: Facts) -> dict[str, Choice]:
        batch = 16 if self.rows == "messages" else max(8, min(64, 4096 // self.context))
        passes = max(LEAST_STEPS, round(EPOCHS * facts.rows / batch))
        chosen = {
            "train.batch": Choice(batch, "some thousand tokens a step"),
            "train.optimizer": self._optimizer(),
            "train.warmup": Choice(0.02, "a short rise keeps the first steps stable"),
        }
        if facts.budget_s is None:
            chosen["train.steps"] = Choice(passes, f"{EPOCHS} passes over {facts.rows} rows, at least {LEAST_STEPS} steps")
        return chosen

    def _optimizer(self) -> Choice:
        if self.lora:
            return Choice(AdamW(learning_rate=2e-3, betas=(0.9, 0.99), weight_decay=0.0), "AdamW, for changes of low rank")
        if self.vocabulary == "borrowed":
            return Choice(AdamW(learning_rate=2e-4, betas=(0.9, 0.95), weight_decay=0.0), "a small rate, so that little of what was learned is forgotten")
        if isinstance(self.model, GPT):
            muon = Muon(learning_rate=0.02, adamw=AdamW(learning_rate=4e-3, betas=(0.9, 0.95), weight_decay=0.0))
            return Choice(muon, "Muon learns transformers in fewer steps")
        return Choice(AdamW(learning_rate=4e-3), "AdamW, at the rate that suits recurrent networks")

    def _codec(self, vocabulary: AnyVocabulary) -> LanguageModelCodec:
        return LanguageModelCodec(rows=self.rows, vocabulary=vocabulary, context=self.context, overlap=self.overlap, too_long=self.too_long,
                                  most=self.max_tokens, temperature=self.temperature)
