"""Text classification: learn which of several classes a text belongs to."""

from collections import Counter
from pathlib import Path
from typing import Annotated, Literal, Self

import torch
from pydantic import Discriminator, Field, NonNegativeInt, PositiveInt
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from thuja.apps.text_classification import baseline, words
from thuja.apps.text_classification.checkpoint import settings_of, tokenizer_of, weights_of
from thuja.apps.text_classification.codec import TextClassificationCodec, class_name, missing
from thuja.blocks.adapter import adapt, merged
from thuja.codec import Codec
from thuja.core.errors import DataError, SpecError, did_you_mean
from thuja.models.pretrained_text import PretrainedText
from thuja.models.text_cnn import TextCNN
from thuja.models.text_ngrams import TextNgrams
from thuja.models.text_transformer import TextTransformer
from thuja.settings import AdamW, Auto, Section
from thuja.task import Adopted, Baseline, Batch, Checkpoint, Choice, Facts, Goal, Loss, Part, Program, Source, Task

EPOCHS = 10
LEAST_STEPS = 1000
"""Fewer updates leave even a linear model unfinished."""
TUNING = (5, 100)
"""Passes over the rows, and steps at least, where a published encoder is tuned."""
READ = (256, 4096)
"""Characters of a text that are read at least and at most, where the spec does not say."""
WEIGHTS = 2**21
"""Most weights of the linear part for runs of characters, over all classes (8 MB)."""


class Reject(Section):
    """One class is for texts that belong to none of the others."""

    label: str = "oos"
    """Its name. Rows of that name are learned from like others; there need be none."""
    threshold: Annotated[float, Field(gt=0, lt=1)] = 0.5
    """A text is given to another class only where that class has at least this probability. Choose it on validation rows: a higher one refuses more of what
    belongs to no class, and of what does."""


class TextClassification(Task):
    """The class of a text, learned from labelled texts."""

    kind: Literal["text-classification"] = "text-classification"
    text: str = "text"
    """The column to read."""
    target: str = "label"
    """The column to learn."""
    vocabulary: PositiveInt = 30_000
    """Most words that are known one by one, the most frequent first; others are read by their ending and their characters."""
    lowercase: bool = True
    """Whether capitals mean nothing."""
    max_characters: Auto | PositiveInt = "auto"
    """How much of a text is read; auto: twice the longest of the training rows, from 256 to 4096."""
    too_long: Literal["cut", "refuse"] = "cut"
    """What happens to a longer text: the rest is not read (the schema says so), or it is an error."""
    model: Auto | Annotated[TextCNN | TextNgrams | TextTransformer | PretrainedText, Discriminator("kind")] = "auto"
    """Auto: a convolutional network beside a linear model of n-grams; going on from a parent, the parent's. pretrained: a published encoder, whose folder
    `parent` names."""
    lora: NonNegativeInt = 0
    """Going on from a parent: the rank of the change that each matrix of a transformer may have while its weights stay as they are; 0 to move every weight.
    Merged when exported."""
    reject: Reject | None = None
    """Answer that a text belongs to no class, where none is likely enough; the metrics then say how often that is right."""
    label_smoothing: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Share of the truth that is spread over all classes."""

    def prepare(self, source: Source) -> tuple[Self, TextClassificationCodec]:
        """One pass over the training rows. Raises: DataError for an absent column, no text at all, or a target that cannot be learned."""
        if isinstance(self.model, PretrainedText) or self.lora:
            what = "task.lora" if self.lora else "task.model.kind"
            raise SpecError(what, expected="a `parent` whose weights to go on from", found="none", fix="Name a run, an artefact or a checkpoint in `parent`.")
        counts, lengths, names = self._counts(source)
        known, endings = words.choose(counts, self.vocabulary)
        codec = self._codec(names, lengths, TextClassificationCodec(text=self.text, target=self.target, names=(), words=known, endings=endings,
                                                                    lowercase=self.lowercase, max_characters=1))
        model = TextCNN(ngrams=TextNgrams(buckets=_buckets(len(codec.names)))) if self.model == "auto" else self.model
        return self.model_copy(update={"max_characters": codec.max_characters, "model": model}), codec

    def inherit(self, source: Source, parent: Codec) -> tuple[Self, TextClassificationCodec]:
        """The parent's words or tokens, and the classes of these rows. Raises: SpecError for a parent of another kind; as `prepare`."""
        if not isinstance(parent, TextClassificationCodec):
            raise SpecError("parent", expected="a model that classifies texts", found=parent.kind, fix="Leave `parent` out, or name another run.")
        if self.model == "auto" or isinstance(self.model, PretrainedText) != (parent.tokenizer is not None):
            raise SpecError("task.model", expected="the parent's", found="another kind", fix="Leave task.model out.")
        _, lengths, names = self._counts(source)
        codec = self._codec(names, lengths, parent.model_copy(update={"text": self.text, "target": self.target}))
        return self.model_copy(update={"max_characters": codec.max_characters, "lowercase": codec.lowercase}), codec

    def adopt(self, source: Source, checkpoint: Checkpoint) -> Adopted:
        """The tokens and the encoder of a checkpoint. Raises: SpecError for a network that this one cannot be, or a tokenizer that is missing or another's."""
        if self.model != "auto" and not isinstance(self.model, PretrainedText):
            raise SpecError("task.model.kind", expected="pretrained, since `parent` is a checkpoint", found=self.model.kind, fix="Leave task.model out.")
        model = settings_of(checkpoint.config, PretrainedText() if self.model == "auto" else self.model)
        weights = weights_of(checkpoint.config, checkpoint.weights, model)
        _, lengths, names = self._counts(source)
        codec = self._codec(names, lengths, TextClassificationCodec(
            text=self.text, target=self.target, names=(), words=(), max_characters=1, max_tokens=model.places,
            tokenizer=tokenizer_of(checkpoint.tokenizer, model.tokens)))
        return Adopted(self.model_copy(update={"max_characters": codec.max_characters, "model": model}), codec, weights)

    def build(self, codec: Codec) -> nn.Module:
        assert isinstance(codec, TextClassificationCodec) and self.model != "auto"
        if isinstance(self.model, PretrainedText):
            net: nn.Module = self.model.build(len(codec.names))
        else:
            net = self.model.build(codec.vocabulary.fallbacks(), len(codec.names))
        if self.lora:
            adapt(net, self.lora)
            for name, parameter in net.named_parameters():  # the head is new, and learns as a whole
                parameter.requires_grad_(parameter.requires_grad or "head" in name.split("."))
        return net

    def loss(self, model: nn.Module, batch: Batch, rng: torch.Generator) -> Loss:
        """Cross-entropy, in nats."""
        others = () if isinstance(self.model, PretrainedText) else (batch[f"{self.text}_characters"],)
        logits = model(batch[self.text], *others)
        return Loss(cross_entropy(logits, batch[self.target], label_smoothing=self.label_smoothing))

    def programs(self, model: nn.Module, codec: Codec) -> dict[str, Program]:
        assert isinstance(codec, TextClassificationCodec)
        inputs = codec.inputs
        net = merged(model) if self.lora else model
        return {"predict": Program(Predict(net, codec.threshold).eval(), inputs, ("probability",), dict.fromkeys(inputs, (1,)))}

    def metrics(self, codec: Codec) -> tuple[str, ...]:
        assert isinstance(codec, TextClassificationCodec)
        binary = ("average_precision",) if len(codec.names) == 2 else ()
        rejecting = () if codec.threshold is None else ("in_scope_accuracy", "out_of_scope_recall")
        return (*rejecting, "accuracy", "balanced_accuracy", "precision_macro", "recall_macro", "f1_macro", "roc_auc", *binary, "log_loss", "brier", "ece")

    @property
    def goal(self) -> Goal:
        return Goal("accuracy", "max")

    @property
    def targets(self) -> tuple[str, ...]:
        return (self.target,)

    def baseline(self, codec: Codec, train: Part, test: Part, seed: int) -> Baseline:
        """TF-IDF and logistic regression on the same rows; nothing in it is random."""
        return baseline.fit(train, test, self.text, self.target, None if self.reject is None else (self.reject.label, self.reject.threshold))

    def choices(self, codec: Codec, facts: Facts) -> dict[str, Choice]:
        if isinstance(self.model, PretrainedText):
            return _gently(facts, self.lora)
        batch = min(256, max(16, 2 ** (facts.rows // 150).bit_length()))
        chosen = {
            "train.batch": Choice(batch, "a power of two near 1/100 of the training rows, from 16 to 256"),
            "train.optimizer": Choice(AdamW(learning_rate=1e-3), "AdamW at its usual rate; weights of n-grams, met in few batches, have ten times as much"),
        }
        if facts.budget_s is None:
            steps = max(LEAST_STEPS, EPOCHS * facts.rows // batch)
            chosen["train.steps"] = Choice(steps, f"{EPOCHS} passes over {facts.rows} rows, at least {LEAST_STEPS} steps")
        return chosen

    def _counts(self, source: Source) -> tuple[Counter[str], Counter[int], Counter[str]]:
        """Words, lengths in characters, and classes of the training rows. Raises: DataError for an absent column, no text, or no classes to learn."""
        for name in (self.text, self.target):
            if name not in source.names:
                raise DataError(name, expected="a column of this name", found=f"{len(source.names)} others", fix=did_you_mean(name, source.names))
        counts: Counter[str] = Counter()
        lengths: Counter[int] = Counter()
        names: Counter[str] = Counter()
        for rows in source.batches():
            texts = [words.normal(value, self.lowercase) for value in rows[self.text] if isinstance(value, str)]
            words.learn(texts, self.vocabulary, counts)
            lengths.update(map(len, texts))
            names.update(class_name(value) for value in rows[self.target] if not missing(value))
        if not counts:
            odd = next((v for rows in source.batches() for v in rows[self.text] if v is not None and not isinstance(v, str)), None)
            found = "none" if odd is None else "files" if isinstance(odd, Path) else f"values of type {type(odd).__name__}"
            raise DataError(self.text, expected="texts with words", found=found, fix="Name the column of texts in task.text.")
        self._check_classes(names if self.reject is None else Counter({name: count for name, count in names.items() if name != self.reject.label}))
        return counts, lengths, names

    def _codec(self, names: Counter[str], lengths: Counter[int], words_of: TextClassificationCodec) -> TextClassificationCodec:
        """The codec with the words of another one, for the classes and lengths of these rows."""
        read = min(max(2 * max(lengths), READ[0]), READ[1]) if self.max_characters == "auto" else self.max_characters
        classes = tuple(sorted(names, key=_by_value))
        if self.reject is not None:
            classes = (*(name for name in classes if name != self.reject.label), self.reject.label)
        return TextClassificationCodec.model_validate(words_of.model_dump() | {  # made anew: a copy would keep what the other has worked out for itself
            "names": classes, "threshold": None if self.reject is None else self.reject.threshold, "max_characters": read, "too_long": self.too_long,
            "cut_rows": sum(count for length, count in lengths.items() if length > read)})

    def _check_classes(self, names: Counter[str]) -> None:
        if len(names) < 2:
            found = f"only {next(iter(names))!r}" if names else "none"
            raise DataError(self.target, expected="at least two classes", found=found, fix="A target with one value cannot be learned: give rows with others.")
        if len(names) > names.total() / 2:
            raise DataError(self.target, expected="classes that repeat", found=f"{len(names)} different values in {names.total()} rows",
                            fix="Choose another target in task.target.")


class Predict(nn.Module):
    """What is served: word ids int64 [B, T] and, unless these are tokens of a checkpoint, character ids int64 [B, S] to `probability` float32 [B, classes].

    With a threshold the last class is the one for what belongs to no other. Its probability is made from the largest of the others, p: it gets (1 - p) times
    the odds of the threshold, and all are scaled to a sum of 1. So it is the largest exactly where p is below the threshold, and vanishes where p is near 1.
    """

    def __init__(self, net: nn.Module, threshold: float | None = None) -> None:
        super().__init__()
        self.net = net
        self.odds = None if threshold is None else threshold / (1 - threshold)

    def forward(self, words: Tensor, characters: Tensor | None = None) -> Tensor:
        """The probability of each class."""
        logits: Tensor = self.net(words) if characters is None else self.net(words, characters)
        probability = logits.float().softmax(dim=1)
        if self.odds is None:
            return probability
        inside = probability[:, :-1]
        both = torch.cat([inside, (1 - inside.amax(dim=1, keepdim=True)) * self.odds], dim=1)
        return both / both.sum(dim=1, keepdim=True)


def _gently(facts: Facts, lora: int) -> dict[str, Choice]:
    """Few and small steps: what a published encoder has learned is soon forgotten."""
    batch = 16 if facts.rows < 2000 else 32
    rate = AdamW(learning_rate=1e-3, weight_decay=0.0) if lora else AdamW(learning_rate=2e-4, betas=(0.9, 0.98), weight_decay=0.01)
    chosen = {"train.batch": Choice(batch, "small batches suit the few rows that a learned encoder needs"),
              "train.optimizer": Choice(rate, "AdamW at a small rate, so that little of what was learned is forgotten"),
              "train.warmup": Choice(0.1, "a slow rise, while the head still knows nothing")}
    if facts.budget_s is None:
        steps = max(TUNING[1], TUNING[0] * facts.rows // batch)
        chosen["train.steps"] = Choice(steps, f"{TUNING[0]} passes over {facts.rows} rows, at least {TUNING[1]} steps")
    return chosen


def _buckets(classes: int) -> int:
    """Weights a class may have for runs of characters: a power of two, the table's whole size bounded."""
    return min(2**18, 1 << ((WEIGHTS // classes).bit_length() - 1))


def _by_value(name: str) -> tuple[float, str]:
    """Numbers by value, before anything else by name."""
    try:
        return float(name), name
    except ValueError:
        return float("inf"), name
