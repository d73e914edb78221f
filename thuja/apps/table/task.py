"""Tables: learn one column from the others, as one of two classes, one of several, or a number."""

from collections.abc import Sequence
from typing import Any, Literal, Self

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, mse_loss

from thuja.apps.table import boosting
from thuja.apps.table.codec import Problem, TableCodec
from thuja.apps.table.columns import by_value, category_column, number_column, problem_of, range_of, repeats, varies
from thuja.apps.table.recipe import LEAST_STEPS, METRICS, metric, recipe
from thuja.apps.table.statistics import ColumnStatistics, learn
from thuja.codec import Codec
from thuja.core.errors import DataError, SpecError, did_you_mean
from thuja.models.tabular import Range, Tabular, TabularNet
from thuja.settings import Auto
from thuja.task import Baseline, Batch, Choice, Facts, Goal, Loss, Part, Program, Source, Task


class Table(Task):
    """One column learned from the others."""

    kind: Literal["table"] = "table"
    target: str
    """The column to learn."""
    problem: Auto | Problem = "auto"
    """What the target is: one of two classes, one of several, or a number."""
    positive: str | None = None
    """The class of a binary problem that counts as positive; empty: the last by name."""
    numbers: Auto | tuple[str, ...] = "auto"
    """Columns read as numbers; auto: those with nothing but numbers in the training rows."""
    categories: Auto | tuple[str, ...] = "auto"
    """Columns read as names; auto: those with text that repeats."""
    exclude: tuple[str, ...] = ()
    """Columns that an `auto` must leave out: identifiers, and what is known only afterwards."""
    metric: Auto | Literal["accuracy", "balanced_accuracy", "f1", "roc_auc", "average_precision", "log_loss", "rmse", "mae"] = "auto"
    """What decides. Auto: accuracy; average precision where fewer than 5 % are positive; RMSE for a number."""
    model: Auto | Tabular = "auto"
    """Auto: an ensemble of networks that share their weights; smaller where positives are rare."""

    def prepare(self, source: Source) -> tuple[Self, TableCodec]:
        """One pass over the training rows.

        Raises: DataError for an absent column, a target that cannot be learned, or no usable input; SpecError for a column typed twice or a metric of
        another problem.
        """
        self._check_columns(source.names)
        columns = learn(source.batches(8192), source.names, counted=(self.target, *self._typed[1]))
        target = columns.pop(self.target)
        problem = problem_of(target) if self.problem == "auto" else self.problem
        if self.metric != "auto" and self.metric not in METRICS[problem]:
            raise SpecError("task.metric", expected=f"one of {', '.join(METRICS[problem])}", found=self.metric, fix=f"The problem is {problem}.")
        answer = range_of(target) if problem == "regression" else self._classes(target, problem)
        codec = TableCodec(target=self.target, problem=problem, **self._inputs(columns), **answer)
        settled = {"problem": problem, "numbers": tuple(c.name for c in codec.numbers), "categories": tuple(c.name for c in codec.categories),
                   "metric": metric(codec) if self.metric == "auto" else self.metric,
                   "model": recipe(codec).model if self.model == "auto" else self.model}
        return self.model_copy(update=settled), codec

    def build(self, codec: Codec) -> TabularNet:
        assert isinstance(codec, TableCodec) and self.model != "auto"
        quantiles = [np.array(c.quantiles) for c in codec.numbers]
        return TabularNet(self.model, quantiles, [len(c.names) + 1 for c in codec.categories], max(1, len(codec.names)),
                          Range(codec.mean, codec.std, codec.lower, codec.upper))

    def loss(self, model: nn.Module, batch: Batch, rng: torch.Generator) -> Loss:
        """The mean of the members' losses: each learns on its own, so that they stay different."""
        assert isinstance(model, TabularNet)
        scores, target = model(batch.get("numbers"), batch.get("categories")), batch[self.target]
        if self.problem == "regression":
            return Loss(mse_loss(scores.squeeze(2), model.standardised(target).unsqueeze(1).expand(-1, scores.shape[1])))
        return Loss(cross_entropy(scores.flatten(0, 1), target.repeat_interleave(scores.shape[1])))

    def programs(self, model: nn.Module, codec: Codec) -> dict[str, Program]:
        assert isinstance(model, TabularNet)
        inputs = (("numbers",) if self.numbers else ()) + (("categories",) if self.categories else ())
        module = Predict(model, regression=self.problem == "regression").eval()
        return {"predict": Program(module, inputs, ("value" if self.problem == "regression" else "probability",))}

    def metrics(self, codec: Codec) -> tuple[str, ...]:
        assert isinstance(codec, TableCodec)
        return METRICS[codec.problem]

    @property
    def goal(self) -> Goal:
        assert self.metric != "auto", "known after prepare"
        return Goal(self.metric, "min" if self.metric in ("rmse", "mae", "log_loss") else "max")

    @property
    def targets(self) -> tuple[str, ...]:
        return (self.target,)

    def baseline(self, codec: Codec, train: Part, test: Part, seed: int) -> Baseline:
        """Gradient-boosted trees on the same encoded rows."""
        return boosting.fit(train.columns, test.columns, self.target, regression=self.problem == "regression", seed=seed)

    def choices(self, codec: Codec, facts: Facts) -> dict[str, Choice]:
        assert isinstance(codec, TableCodec)
        settled = recipe(codec)
        batch = min(256, max(16, 1 << (facts.rows // 64).bit_length()))
        chosen = {
            "train.batch": Choice(batch, f"about 1/64 of {facts.rows} rows as a power of two, from 16 to 256"),
            "train.optimizer": Choice(settled.optimizer, "Muon for the shared matrices: in as many passes it got further than AdamW on three tables"),
        }
        if facts.budget_s is None and facts.steps is None:
            steps = max(LEAST_STEPS, settled.epochs * facts.rows // batch)
            chosen["train.steps"] = Choice(steps, f"{settled.epochs} passes over {facts.rows} rows, at least {LEAST_STEPS} steps")
        return chosen

    @property
    def _typed(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Numbers and categories that the spec names."""
        return () if self.numbers == "auto" else self.numbers, () if self.categories == "auto" else self.categories

    def _check_columns(self, known: Sequence[str]) -> None:
        """Every column that the spec names exists and has one part to play."""
        numbers, categories = self._typed
        played: dict[str, str] = {}
        for part, names in (("target", (self.target,)), ("exclude", self.exclude), ("numbers", numbers), ("categories", categories)):
            for name in names:
                if name not in known:
                    raise DataError(name, expected="a column of this name", found=f"{len(known)} others", fix=did_you_mean(name, known))
                if name in played:
                    raise SpecError(f"task.{part}", expected="each column named once", found=f"{name!r}, which is also in task.{played[name]}",
                                    fix="Name it in one place.")
                played[name] = part

    def _inputs(self, columns: dict[str, ColumnStatistics]) -> dict[str, Any]:
        """The columns to learn from; an `auto` leaves out what is excluded, typed elsewhere, constant, or hardly ever repeats."""
        numbers, categories = self._typed
        free = [column for name, column in columns.items() if name not in (*self.exclude, *numbers, *categories)]
        if self.numbers == "auto":
            numbers = tuple(column.name for column in free if varies(column))
        if self.categories == "auto":
            categories = tuple(column.name for column in free if repeats(column))
        if not numbers and not categories:
            raise DataError("data", expected="at least one column to learn from", found="none that is usable",
                            fix="Name columns in task.numbers or task.categories.")
        return {"numbers": tuple(number_column(columns[name]) for name in numbers), "categories": tuple(category_column(columns[name]) for name in categories)}

    def _classes(self, target: ColumnStatistics, problem: Problem) -> dict[str, Any]:
        """Names in order, numbers by value, the positive one last; and the share of each."""
        names = sorted(target.names, key=by_value)
        if problem == "binary" and len(names) != 2:
            raise DataError(self.target, expected="two different values", found=str(len(names)), fix="Set task.problem to classes, or to regression.")
        if self.positive is not None:
            if self.positive not in names:
                raise DataError("task.positive", expected=f"a value of {self.target}", found=repr(self.positive), fix=did_you_mean(self.positive, names))
            names.sort(key=lambda name: name == self.positive)
        return {"names": tuple(names), "shares": tuple(target.names[name] / target.names.total() for name in names)}


class Predict(nn.Module):
    """What is served: encoded inputs, by position, to `probability` [B, classes] or `value` [B]; the mean over the members."""

    def __init__(self, net: TabularNet, regression: bool) -> None:
        super().__init__()
        self.net, self.regression = net, regression

    def forward(self, first: Tensor, second: Tensor | None = None) -> Tensor:
        """`first` is the numbers if the table has any, else the categories."""
        numbers, categories = (None, first) if self.net.numbers is None else (first, second)
        scores: Tensor = self.net(numbers, categories)
        return self.net.value(scores) if self.regression else scores.softmax(dim=2).mean(dim=1)
