"""Tables: learn one column from the others, as one of two classes, one of several, or a number."""

from collections.abc import Sequence
from typing import Any, Literal, NamedTuple, Self

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, mse_loss

from thuja.apps.table import boosting
from thuja.apps.table.codec import CategoryColumn, NumberColumn, Problem, TableCodec
from thuja.apps.table.statistics import ColumnStatistics, learn
from thuja.codec import Codec
from thuja.core.errors import DataError, SpecError, did_you_mean
from thuja.models.tabular import Range, Tabular, TabularNet
from thuja.settings import AdamW, Auto, Muon
from thuja.task import Baseline, Batch, Choice, Facts, Goal, Loss, Part, Program, Source, Task

RARE = 0.05
"""Share of positives below which accuracy says nothing: always answering "no" would score 95 %."""
MOST_CLASSES_OF_NUMBERS = 20
"""A target of whole numbers with more different values is a quantity, with fewer it is a set of classes."""
SEEN = 3
"""A category seen in fewer training rows is encoded as unknown; that is where the vector of unknown names is learned."""
LEAST_STEPS = 500


class Recipe(NamedTuple):
    """What an `auto` becomes; chosen on validation rows of adult, fraud_sim and california_housing."""

    model: Tabular
    epochs: int
    optimizer: Muon


FAST = Muon(learning_rate=0.03, weight_decay=0.1, adamw=AdamW(learning_rate=1e-2, weight_decay=0.1))
SLOW = Muon(learning_rate=0.01, weight_decay=0.1, adamw=AdamW(learning_rate=3e-3, weight_decay=0.1))
CLASSES = Recipe(Tabular(), 8, FAST)
"""What people do is noisy and soon learned by heart: a few passes."""
RARE_CLASS = Recipe(Tabular(width=128, bins=32), 8, SLOW)
"""A few hundred positives carry less still: a smaller network, slower. It ranks the rest of the rows better (AUC + 0.002 on two validation weeks)."""
NUMBERS = Recipe(Tabular(), 40, FAST)
"""A measured number says more than a class does, and rewards many passes."""
METRICS: dict[Problem, tuple[str, ...]] = {
    "binary": ("accuracy", "balanced_accuracy", "f1", "precision", "recall", "roc_auc", "average_precision", "log_loss", "brier", "ece"),
    "classes": ("accuracy", "balanced_accuracy", "f1_macro", "precision_macro", "recall_macro", "roc_auc", "log_loss", "brier", "ece"),
    "regression": ("rmse", "mae", "r2"),
}


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

    def prepare(self, source: Source) -> tuple[Self, TableCodec]:
        """One pass over the training rows.

        Raises: DataError for an absent column, a target that cannot be learned, or no usable input; SpecError for a column typed twice or a metric of
        another problem.
        """
        self._check_columns(source.names)
        columns = learn(source.batches(8192), source.names, counted=(self.target, *self._typed[1]))
        target = columns.pop(self.target)
        problem = _problem(target) if self.problem == "auto" else self.problem
        if self.metric != "auto" and self.metric not in METRICS[problem]:
            raise SpecError("task.metric", expected=f"one of {', '.join(METRICS[problem])}", found=self.metric, fix=f"The problem is {problem}.")
        answer = _range(target) if problem == "regression" else self._classes(target, problem)
        codec = TableCodec(target=self.target, problem=problem, **self._inputs(columns), **answer)
        settled = {"problem": problem, "numbers": tuple(c.name for c in codec.numbers), "categories": tuple(c.name for c in codec.categories),
                   "metric": _metric(codec) if self.metric == "auto" else self.metric,
                   "model": _recipe(codec).model if self.model == "auto" else self.model}
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

    def baseline(self, train: Part, test: Part, seed: int) -> Baseline:
        """Gradient-boosted trees on the same encoded rows."""
        return boosting.fit(train.columns, test.columns, self.target, regression=self.problem == "regression", seed=seed)

    def choices(self, codec: Codec, facts: Facts) -> dict[str, Choice]:
        assert isinstance(codec, TableCodec)
        recipe = _recipe(codec)
        batch = min(256, max(16, 1 << (facts.rows // 64).bit_length()))
        chosen = {
            "train.batch": Choice(batch, f"about 1/64 of {facts.rows} rows as a power of two, from 16 to 256"),
            "train.optimizer": Choice(recipe.optimizer, "Muon for the shared matrices: in as many passes it got further than AdamW on three tables"),
        }
        if facts.budget_s is None and facts.steps is None:
            steps = max(LEAST_STEPS, recipe.epochs * facts.rows // batch)
            chosen["train.steps"] = Choice(steps, f"{recipe.epochs} passes over {facts.rows} rows, at least {LEAST_STEPS} steps")
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
            numbers = tuple(column.name for column in free if _varies(column))
        if self.categories == "auto":
            categories = tuple(column.name for column in free if _repeats(column))
        if not numbers and not categories:
            raise DataError("data", expected="at least one column to learn from", found="none that is usable",
                            fix="Name columns in task.numbers or task.categories.")
        return {"numbers": tuple(_number(columns[name]) for name in numbers), "categories": tuple(_category(columns[name]) for name in categories)}

    def _classes(self, target: ColumnStatistics, problem: Problem) -> dict[str, Any]:
        """Names in order, numbers by value, the positive one last; and the share of each."""
        names = sorted(target.names, key=_by_value)
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


def _is_rare(codec: TableCodec) -> bool:
    return codec.problem == "binary" and codec.shares[-1] < RARE


def _recipe(codec: TableCodec) -> Recipe:
    if codec.problem == "regression":
        return NUMBERS
    return RARE_CLASS if _is_rare(codec) else CLASSES


def _problem(target: ColumnStatistics) -> Problem:
    """What the values of the target say."""
    different = len(target.names)
    if target.numeric and (not target.whole or different > MOST_CLASSES_OF_NUMBERS):
        return "regression"
    if different < 2:
        found = "none" if not different else f"only {next(iter(target.names))!r}"
        raise DataError(target.name, expected="at least two different values", found=found,
                        fix="A target with one value cannot be learned: give rows with others.")
    if different > target.rows / 2 and not target.numeric:
        raise DataError(target.name, expected="classes that repeat, or numbers", found=f"{different} different texts in {target.rows} rows",
                        fix="Choose another target, or clean this one.")
    return "binary" if different == 2 else "classes"


def _range(target: ColumnStatistics) -> dict[str, Any]:
    """What the codec keeps of a regression target."""
    if not target.numeric or not len(target.known):
        raise DataError(target.name, expected="numbers", found="none" if target.numeric else "text",
                        fix="Set task.problem to classes, or choose another target.")
    return {"mean": float(target.known.mean()), "std": float(target.known.std()) or 1.0, "lower": float(target.known.min()), "upper": float(target.known.max())}


def _metric(codec: TableCodec) -> str:
    """What decides, where the spec does not say."""
    if codec.problem == "regression":
        return "rmse"
    return "average_precision" if _is_rare(codec) else "accuracy"


def _number(column: ColumnStatistics) -> NumberColumn:
    return NumberColumn(name=column.name, quantiles=column.quantiles, integer=column.whole, missing=column.missing / column.rows)


def _category(column: ColumnStatistics) -> CategoryColumn:
    return CategoryColumn(name=column.name, names=tuple(sorted(name for name, count in column.names.items() if count >= SEEN)))


def _varies(column: ColumnStatistics) -> bool:
    """Whether an `auto` takes the column as a number: nothing but numbers, not all equal."""
    return column.numeric and column.quantiles[0] < column.quantiles[-1]


def _repeats(column: ColumnStatistics) -> bool:
    """Whether an `auto` takes the column as a category: two names or more, each for two rows on average."""
    return column.plain and not column.numeric and not column.crowded and 2 <= len(column.names) <= (column.rows - column.missing) / 2


def _by_value(name: str) -> tuple[float, str]:
    try:
        return float(name), name
    except ValueError:
        return float("inf"), name
