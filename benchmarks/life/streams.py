"""The real streams that the benchmarks of this folder live through, and the one matrix on which they judge every policy alike: for each batch of a stream
a model that was trained on what was known at its beginning, and how wrong it answers every row from there on.

    noaa      the weather of 18,159 days at a station in Nebraska, 1949 to 1999, in order, without dates: will it rain? Batches of 60 days
    etth1     a transformer's oil temperature from its six loads and the hour, hourly from July 2016: batches of a week; the rule changes with the years

Models are tables through the real task (`thuja.apps.table`), small and trained briefly, so that hundreds of them can be made. A model of batch b is trained on
all rows before it but the newest tenth, which is its reference, as in production. Losses lie in [0, 1]: 0 or 1 for classes; for amounts the error as a share
of the 99 % quantile of the first model's reference errors. A matrix takes minutes and is kept in the cache of Thuja, by its content.
"""

import csv
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, Self, cast

import numpy as np

from thuja import spec as specs
from thuja.codec import count
from thuja.core import digest
from thuja.data import cache
from thuja.data.columns import encoded
from thuja.data.rows import Source, Subset
from thuja.data.source import open_source
from thuja.fields import Schema
from thuja.life.estimate import Expected, learn
from thuja.spec import Spec, parse
from thuja.task import Source as TaskSource
from thuja.training.look import answers
from thuja.training.loop import begin, steps

DATA = Path(os.environ.get("THUJA_DATA", Path(__file__).parents[3] / "shared" / "data"))
SMALL = {"kind": "tabular", "members": 2, "width": 32, "embedding": 4, "bins": 16, "dropout": 0.0}
BRIEF = {"steps": 150, "batch": 256, "threads": 1}
HELD = 0.1
"""Share of the rows known at a time, the newest, that are a model's reference and do not train it."""
FAR = 0.99
DAY = 86400.0


@dataclass(frozen=True)
class Stream:
    """Rows in the order of time."""

    name: str
    rows: Mapping[str, Any]
    task: Mapping[str, Any]
    batch: int
    """Rows of a batch."""
    seconds: float
    """Of a batch."""
    first: int
    """Batches before the first model."""
    begin: int
    """The batch at which the first deployment begins; those before it are its history."""

    @property
    def batches(self) -> int:
        """How many whole batches there are."""
        return len(next(iter(self.rows.values()))) // self.batch

    def spec(self, seed: int) -> Spec[Any]:
        """How its models are trained."""
        return parse({"task": {"kind": "table", "categories": [], "model": SMALL} | dict(self.task), "data": {"split": {"kind": "order"}},
                      "train": {**BRIEF, "seed": seed}})

    def source(self) -> Source:
        """The rows as training takes them."""
        return open_source(self.spec(0).data, Path(), dict(self.rows))["all"]

    def permuted(self, seed: int) -> Self:
        """The same rows in an order of chance: nothing changes any more."""
        order = np.random.default_rng(seed).permutation(len(next(iter(self.rows.values()))))
        rows = {name: [values[place] for place in order] for name, values in self.rows.items()}
        return type(self)(f"{self.name} permuted {seed}", rows, self.task, self.batch, self.seconds, self.first, self.begin)


class Model(NamedTuple):
    """One model, and how it answers all rows of its stream."""

    loss: np.ndarray
    """[rows], in [0, 1] for classes, in the target's unit for amounts."""
    score: np.ndarray
    """[rows]: what an estimate goes by (`life.loss.score_of`)."""
    schema: Schema


@dataclass(frozen=True)
class Matrix:
    """A model for each batch from `stream.first` on."""

    stream: Stream
    loss: np.ndarray
    """[models, rows], in [0, 1]."""
    score: np.ndarray
    """[models, rows]"""
    _means: dict[str, np.ndarray] = field(default_factory=dict, repr=False)

    def model(self, batch: int) -> int:
        """The row of the model that was trained on what was known when a batch began."""
        return batch - self.stream.first

    def of(self, trained: int, batch: int) -> np.ndarray:
        """[rows]: losses on one batch of the model trained at the beginning of another."""
        size = self.stream.batch
        return self.loss[self.model(trained), batch * size : (batch + 1) * size]

    def means(self) -> np.ndarray:
        """[batches, batches]: the mean loss on each batch (across) of the model trained at the beginning of each (down); NaN where it could not have been
        asked."""
        if "means" not in self._means:
            size, batches, first = self.stream.batch, self.stream.batches, self.stream.first
            table = np.full((batches, batches), np.nan)
            found = self.loss[:, : batches * size].reshape(len(self.loss), batches, size).mean(axis=2)
            for batch in range(first, batches):
                table[batch, batch:] = found[batch - first, batch:]
            self._means["means"] = table
        return self._means["means"]

    def held(self, trained: int) -> slice:
        """The rows that a model's reference is made of."""
        known = trained * self.stream.batch
        return slice(trained_rows(known), known)

    def expected(self, trained: int) -> Expected:
        """What its reference says of the loss to be expected of an answer."""
        rows, place = self.held(trained), self.model(trained)
        return learn(self.score[place, rows], self.loss[place, rows], falling=is_share(self.stream))


def is_share(stream: Stream) -> bool:
    """Whether losses are 0 or 1."""
    return stream.task["problem"] != "regression"


def trained_rows(known: int) -> int:
    """How many of the known rows train."""
    return known - round(HELD * known)


def train(stream: Stream, source: Source, seed: int, index: np.ndarray) -> Model:
    """A model of the rows at `index`, and its losses and scores on all rows."""
    return _answered(stream, source, *_trained(stream.spec(seed), source, index))


def matrix(stream: Stream, seed: int, *, say: Any = print) -> Matrix:
    """The models of a stream; from the cache where they are there."""
    spec = stream.spec(seed)
    key = digest.of_data({"rows": digest.of_data({k: list(v) for k, v in stream.rows.items()}), "spec": specs.dumps(spec), "batch": stream.batch,
                          "first": stream.first, "held": HELD, "version": 1})
    path = cache.root() / "life" / f"{stream.name}-{seed}-{key[:16]}.npz"
    if not path.exists():
        source, found = stream.source(), []
        for batch in range(stream.first, stream.batches):
            found.append(train(stream, source, seed, np.arange(trained_rows(batch * stream.batch))))
            if batch % 20 == 0:
                say(f"{stream.name} seed {seed}: batch {batch} of {stream.batches}", flush=True)
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("wb") as file:
            np.savez(file, loss=np.stack([model.loss for model in found]), score=np.stack([model.score for model in found]))
    with np.load(path) as kept:
        loss, score = kept["loss"].astype(float), kept["score"].astype(float)
    if not is_share(stream):
        known = stream.first * stream.batch
        loss = np.minimum(loss / np.quantile(loss[0, trained_rows(known) : known], FAR), 1.0)
    return Matrix(stream, loss, score)


def _trained(spec: Spec[Any], source: Source, index: np.ndarray) -> tuple[Any, Any, Any]:
    """The task, the codec and the module of a model of the rows at `index`."""
    known = Subset(source, index)
    task, codec = spec.task.prepare(cast("TaskSource", known))
    columns = encoded(known, codec, cache.root(), 0.0).columns
    settled, _ = specs.settle(spec.model_copy(update={"task": task}), codec, specs.facts(spec.train, count(columns)))
    state = begin(task, codec, settled.train)
    for _ in steps(task, state, columns, settled.train):
        pass
    return task, codec, state.best_model.eval()


def _answered(stream: Stream, source: Source, task: Any, codec: Any, module: Any) -> Model:
    columns = codec.encode({name: list(stream.rows[name]) for name in source.names})
    arrays = answers(task.programs(module, codec), columns, task.judged)
    target = np.asarray(columns[task.target])
    if "probability" in arrays:
        return Model((arrays["probability"].argmax(axis=1) != target).astype(np.float32), arrays["probability"].max(axis=1), codec.schema())
    return Model(np.abs(arrays["value"] - target).astype(np.float32), arrays["value"], codec.schema())


def noaa() -> Stream:
    """Rain from eight measurements of the day."""
    rows = _table(DATA / "noaa_weather" / "weather.csv")
    numbers = [f"feat_{place}" for place in range(1, 9)]
    rain = ["rain" if value else "dry" for value in rows["target"]]
    return Stream("noaa", {name: rows[name].tolist() for name in numbers} | {"rain": rain}, {"target": "rain", "problem": "binary", "numbers": numbers},
                  60, 60 * DAY, 12, 60)


def etth1() -> Stream:
    """Oil temperature from the loads and the hour of the day."""
    path = DATA / "etth1" / "ETTh1.csv"
    with path.open(encoding="utf-8", newline="") as file:
        table = list(csv.DictReader(file))
    loads = ["HUFL", "HULL", "MUFL", "MULL", "LUFL", "LULL"]
    rows: dict[str, list[Any]] = {name: [float(row[name]) for row in table] for name in (*loads, "OT")}
    rows["hour"] = [float(row["date"][11:13]) for row in table]
    return Stream("etth1", rows, {"target": "OT", "problem": "regression", "numbers": [*loads, "hour"]}, 168, 7 * DAY, 8, 26)


def _table(path: Path) -> dict[str, np.ndarray]:
    with path.open(encoding="utf-8", newline="") as file:
        names, *rows = list(csv.reader(file))
    values = np.array(rows, float)
    return {name: values[:, place] for place, name in enumerate(names)}
