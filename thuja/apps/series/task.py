"""Whole series: learn the class or the number that goes with each, or how much longer a unit will last."""

from collections import Counter
from typing import Any, Literal, Self, cast

import numpy as np
import torch
from pydantic import PositiveInt
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, mse_loss

from thuja.apps.series import baseline
from thuja.apps.series.codec import STEPS, Channel, Problem, SeriesCodec, class_name, missing
from thuja.codec import Codec
from thuja.core.errors import DataError, SpecError, did_you_mean
from thuja.data.rows import Source as DataSource
from thuja.data.segments import Plan, cut
from thuja.models.series_convnet import SeriesConvNet
from thuja.settings import AdamW, Auto
from thuja.task import Baseline, Batch, Choice, Facts, Goal, Loss, Part, Program, Source, Task

MOST_CLASSES = 20
"""A target of whole numbers with more different values is a quantity, with fewer it is a set of classes."""
BINS = 16
LEAST_STEPS = 1000
EPOCHS, OVERLAPPING = 60, 15
"""Passes over whole series, and over rows that lie over each other."""


class WholeSeries(Task):
    """A class or a number for a whole series, or for a unit at the last of its steps."""

    kind: Literal["series"] = "series"
    inputs: Auto | tuple[str, ...] = "auto"
    """The columns to read, each a series a row (or, with `unit`, a number a step). Auto: all that can be."""
    target: str = "label"
    """The column to learn."""
    problem: Auto | Problem = "auto"
    """Whether the target is a class or a number. Auto: a number if it is one and has over 20 values."""
    unit: str | None = None
    """For a table with a row a step: the column that names the unit (engine, patient) the step belongs to. Empty: a row is a whole series."""
    time: str | None = None
    """With `unit`: the column that orders its steps."""
    window: PositiveInt = 30
    """With `unit`: steps that are read."""
    judged_at: Auto | Literal["last", "all"] = "auto"
    """With `unit`: whether validation and test units are judged at their last step, or at every step. Auto: the last, except in a part whose units all end with
    the same target, as those do that ran until they failed."""
    cap: float | None = None
    """Targets above count as this: an engine without a fault does not say how long it will last."""
    model: SeriesConvNet = SeriesConvNet()

    def arrange(self, parts: dict[str, Source]) -> dict[str, Source]:
        """With `unit`, the latest steps of each; else the rows as they are."""
        if self.unit is None:
            return parts
        source = cast("DataSource", parts["train"])
        if self.time is None:
            raise SpecError("task.time", expected="the column that orders the steps of a unit", found="nothing", fix="Name it.")
        taken = (self.unit, self.time, self.target)
        inputs = tuple(n for n in source.names if source.kinds[n] == "number" and n not in taken) if self.inputs == "auto" else self.inputs
        plan = Plan(self.unit, self.time, inputs, self.target, self.window, self.judged_at)
        return cast("dict[str, Source]", cut(cast("dict[str, DataSource]", parts), plan))

    def prepare(self, source: Source) -> tuple[Self, SeriesCodec]:
        """One pass over the training rows. Raises: DataError for an absent column, no series, or a target that cannot be learned."""
        inputs = self._inputs(source)
        moments = {name: Moments() for name in inputs}
        names: Counter[str] = Counter()
        values: list[Any] = []
        longest = 1
        for rows in source.batches():
            for name in inputs:
                longest = max(longest, moments[name].add(rows[name]))
            values += [v for v in rows[self.target] if not missing(v)]
            names.update(class_name(v) for v in rows[self.target] if not missing(v))
        problem = self._problem(values, names)
        channels = tuple(moments[name].channel(name) for name in inputs)
        answer: dict[str, Any] = {"names": tuple(sorted(names, key=_by_value))} if problem == "classes" else _range(values, self.cap)
        codec = SeriesCodec(channels=channels, target=self.target, problem=problem, longest=longest, window=self.window if self.unit else None, cap=self.cap,
                            **answer)
        return self.model_copy(update={"inputs": inputs, "problem": problem}), codec

    def build(self, codec: Codec) -> nn.Module:
        assert isinstance(codec, SeriesCodec)
        return SeriesNet(codec, self.model)

    def loss(self, model: nn.Module, batch: Batch, rng: torch.Generator) -> Loss:
        """Cross-entropy in nats, or the squared error in standard deviations."""
        assert isinstance(model, SeriesNet)
        scores = model(batch[STEPS])
        if self.problem == "regression":
            return Loss(mse_loss(scores[:, 0], (batch[self.target] - model.mean) / model.std))
        return Loss(cross_entropy(scores, batch[self.target]))

    def programs(self, model: nn.Module, codec: Codec) -> dict[str, Program]:
        assert isinstance(codec, SeriesCodec) and isinstance(model, SeriesNet)
        output = "value" if codec.problem == "regression" else "probability"
        return {"predict": Program(Predict(model, codec).eval(), (STEPS,), (output,), {STEPS: (1,)})}

    def metrics(self, codec: Codec) -> tuple[str, ...]:
        assert isinstance(codec, SeriesCodec)
        if codec.problem == "regression":
            return ("rmse", "mae", "r2")
        return ("accuracy", "balanced_accuracy", "f1_macro", "roc_auc", "log_loss", "brier", "ece")

    @property
    def goal(self) -> Goal:
        return Goal("rmse", "min") if self.problem == "regression" else Goal("accuracy", "max")

    @property
    def targets(self) -> tuple[str, ...]:
        return (self.target,)

    def baseline(self, codec: Codec, train: Part, test: Part, seed: int) -> Baseline:
        """Ridge regression on random convolutions of the same rows."""
        return baseline.fit(train.columns, test.columns, self.target, regression=self.problem == "regression", seed=seed)

    def choices(self, codec: Codec, facts: Facts) -> dict[str, Choice]:
        batch = min(256, max(16, 1 << (facts.rows // 64).bit_length()))
        chosen = {
            "train.batch": Choice(batch, f"about 1/64 of {facts.rows} rows as a power of two, from 16 to 256"),
            "train.optimizer": Choice(AdamW(learning_rate=2e-3), "AdamW suits small convolutional networks"),
            "train.ema": Choice(0.99, "an average over the last steps: with few rows single updates are noise"),
        }
        if facts.budget_s is None and facts.steps is None:
            epochs = EPOCHS if self.unit is None else OVERLAPPING
            steps = min(max(LEAST_STEPS, epochs * facts.rows // batch), 4 * LEAST_STEPS)
            chosen["train.steps"] = Choice(steps, f"{epochs} passes over {facts.rows} rows, from {LEAST_STEPS} to {4 * LEAST_STEPS} steps")
        return chosen

    def _inputs(self, source: Source) -> tuple[str, ...]:
        """The columns of series. Raises: DataError."""
        first = source.take(np.arange(min(len(source), 1)))
        if self.target not in source.names:
            raise DataError(self.target, expected="a column of this name", found=f"{len(source.names)} others", fix=did_you_mean(self.target, source.names))
        if self.inputs != "auto":
            for name in self.inputs:
                if name not in source.names:
                    raise DataError(name, expected="a column of this name", found=f"{len(source.names)} others", fix=did_you_mean(name, source.names))
            return self.inputs
        found = tuple(name for name in source.names if name != self.target and isinstance(first[name][0], (list, tuple, np.ndarray)))
        if not found:
            raise DataError("task.inputs", expected="columns of series", found="none", fix="Give a list of numbers in each row, or set task.unit and time.")
        return found

    def _problem(self, values: list[Any], names: Counter[str]) -> Problem:
        """What is learned. Raises: DataError for a target that cannot be."""
        if len(names) < 2:
            found = "none" if not names else f"only {next(iter(names))!r}"
            raise DataError(self.target, expected="at least two different values", found=found, fix="A target with one value cannot be learned: give others.")
        if self.problem != "auto":
            return self.problem
        numbers = all(isinstance(v, (int, float)) and not isinstance(v, bool) for v in values)
        return "regression" if numbers and (len(names) > MOST_CLASSES or any(v != int(v) for v in values)) else "classes"


class Moments:
    """Mean and spread of a channel over all steps of the training rows, and a sample of its values."""

    def __init__(self) -> None:
        self.count, self.sum, self.squares = 0, 0.0, 0.0
        self.shift: float | None = None
        self.sample: list[np.ndarray] = []

    def add(self, values: Any) -> int:
        """Take the series of some rows; what is none is left to the codec. Returns: the longest length."""
        arrays = [np.array([np.nan if one is None else one for one in v], float) if not isinstance(v, np.ndarray) else v.astype(float)
                  for v in values if isinstance(v, (list, tuple, np.ndarray)) and all(one is None or isinstance(one, (int, float, np.number)) for one in v[:1])]
        if not arrays:
            return 1
        there = np.concatenate(arrays)
        there = there[np.isfinite(there)]
        if len(there):
            self.shift = float(there[0]) if self.shift is None else self.shift  # moments about a value of the data lose no digits
            self.count += len(there)
            self.sum += float((there - self.shift).sum())
            self.squares += float(np.square(there - self.shift).sum())
            self.sample.append(there[:: max(1, len(there) // 256)])
        return max(map(len, arrays))

    def channel(self, name: str) -> Channel:
        """What was seen. A channel that never varies has a very large spread, so that it stays zero whatever comes."""
        if not self.count:
            raise DataError(name, expected="series of numbers", found="none", fix="Name the columns of series in task.inputs.")
        assert self.shift is not None
        mean = self.sum / self.count
        std = max(self.squares / self.count - mean**2, 0.0) ** 0.5
        together = np.concatenate(self.sample)
        edges = tuple(np.unique(np.quantile(together, np.linspace(0, 1, BINS + 1)[1:-1])).tolist())
        return Channel(name=name, mean=mean + self.shift, std=std if std > 1e-9 * (1 + abs(mean + self.shift)) else 1e30, edges=edges)


class SeriesNet(nn.Module):
    """`steps` float32 [B, T, channels + 1] in raw units, NaN for gaps, to class scores [B, classes], or the standardised target [B, 1]."""

    centre: Tensor
    spread: Tensor
    mean: Tensor
    std: Tensor

    def __init__(self, codec: SeriesCodec, model: SeriesConvNet) -> None:
        super().__init__()
        self.register_buffer("centre", torch.tensor([c.mean for c in codec.channels]))
        self.register_buffer("spread", torch.tensor([c.std for c in codec.channels]))
        self.register_buffer("mean", torch.tensor(codec.mean))
        self.register_buffer("std", torch.tensor(codec.std))
        self.net = model.build(len(codec.channels), len(codec.names) if codec.problem == "classes" else 1, codec.window or codec.longest)

    def forward(self, steps: Tensor) -> Tensor:
        mask = steps[:, :, -1:]
        values = torch.nan_to_num((steps[:, :, :-1] - self.centre) / self.spread, nan=0.0) * mask
        scores: Tensor = self.net(values.transpose(1, 2), mask.transpose(1, 2))
        return scores


class Predict(nn.Module):
    """What is served: `steps` to `probability` [B, classes], or `value` [B] within the range of the training rows."""

    def __init__(self, net: SeriesNet, codec: SeriesCodec) -> None:
        super().__init__()
        self.net, self.regression, self.lower, self.upper = net, codec.problem == "regression", codec.lower, codec.upper

    def forward(self, steps: Tensor) -> Tensor:
        scores: Tensor = self.net(steps)
        if self.regression:
            return (scores[:, 0] * self.net.std + self.net.mean).clamp(self.lower, self.upper)
        return scores.softmax(dim=1)


def _range(values: list[Any], cap: float | None) -> dict[str, float]:
    amounts = np.minimum(np.array(values, float), np.inf if cap is None else cap)
    return {"mean": float(amounts.mean()), "std": float(amounts.std()) or 1.0, "lower": float(amounts.min()), "upper": float(amounts.max())}


def _by_value(name: str) -> tuple[bool, float, str]:
    """Numbers by value, before words."""
    try:
        return False, float(name), name
    except ValueError:
        return True, 0.0, name

