"""The verb `age`: how models like this one have fared, trained at past dates and judged on what came afterwards. It needs no traffic, only dated rows."""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, cast

import numpy as np

from thuja import spec as specs
from thuja.codec import count
from thuja.core.document import Document, override
from thuja.core.errors import DataError
from thuja.data import cache
from thuja.data.columns import encoded
from thuja.data.rows import Source, Subset
from thuja.data.source import open_source
from thuja.data.split import settle, times_of
from thuja.life.ageing import Calendar, Cut, Decay, calendar, decay, lives
from thuja.life.lifetime import Life, Survival, survival
from thuja.metrics import Outputs
from thuja.metrics.classification import decision
from thuja.run import AGEING, SPEC, Run
from thuja.settings import Train
from thuja.spec import Spec
from thuja.task import Source as TaskSource
from thuja.task import Task
from thuja.training.calibrate import calibrate
from thuja.training.look import answers
from thuja.training.loop import begin, steps
from thuja.training.timing import Bench, use_threads

CUTS, WINDOWS = 8, 24
MICROSECONDS = 1e6
"""In which `data.split.times_of` counts dates."""
FIRST = 0.3
"""Share of the rows that precede the first cut."""
FAR = 0.99
"""The share of the errors right after training that lie below a loss of 1, for amounts."""
RANKED = 10
"""A ranking is right where what was taken is among so many."""


class Aged(NamedTuple):
    """What the ageing test found."""

    cuts: list[Cut]
    """The models, the oldest first, with the loss of each window after them."""
    curve: Decay
    lives: list[Life]
    """In windows."""
    survival: Survival
    calendar: Calendar
    window: float
    """Seconds or, where rows have only an order, rows."""
    dated: bool
    """Whether windows are times."""
    steps: int
    """That each model was trained for, on average."""
    margin: float
    """Loss above that of a fresh model at which one was over."""

    def plain(self) -> dict[str, Any]:
        """As JSON data: the content of a run's `ageing.json`."""
        every = self.calendar.every
        half = self.survival.quantile(0.5)
        return {"window": self.window, "dated": self.dated, "steps": self.steps, "margin": self.margin, "curve": self.curve.plain(),
                "lives": [[life.length, bool(life.ended)] for life in self.lives], "half": half if math.isfinite(half) else None,
                "calendar": {"every": every if math.isfinite(every) else None},
                "cuts": [{"at": cut.at, "losses": [None if math.isnan(loss) else round(float(loss), 6) for loss in cut.losses]} for cut in self.cuts]}


@dataclass(frozen=True)
class Asked:
    """How the test is made."""

    cuts: int = CUTS
    windows: int = WINDOWS
    """Into how many the time after the first cut is divided."""
    margin: float = 0.05
    cost: float = 0.2
    """Of a training, in windows of answers that are all wrong."""
    newest: int | None = None
    """Rows before a cut that are trained on; None: all."""


def age(spec: Spec[Any] | Path | str, data: Any = None, overrides: Sequence[str] = (), *, asked: Asked | None = None,
        on_cut: Callable[[int, Cut], None] | None = None) -> Aged:
    """Train at past dates and judge each model on what followed.

    `spec` may be the folder of a run: then its own spec is aged, and what is found is kept in it (`ageing.json`), where export, report and card read it.
    The rows are ordered by the column of a split by time, or taken in their order where the spec says `data.split: {kind: order}`. A budget in the spec is
    shared between the cuts. `on_cut`: told of each model as soon as it has been judged. Raises: SpecError; DataError for rows without an order, or too few.
    """
    run = Run.open(spec) if isinstance(spec, (str, Path)) and (Path(spec) / SPEC).is_file() else None
    if run is not None:
        base, spec = Path(run.read("data.json")["base"]), specs.from_document(override(Document(run.spec_data(), str(run.path / SPEC)), overrides))
    elif isinstance(spec, Spec):
        base = Path()
    else:
        base = Path(spec) if Path(spec).is_dir() else Path(spec).parent
        spec = specs.read(spec, overrides)
    found = _aged(spec, base, data, asked or Asked(), on_cut)
    if run is not None:
        run.write(AGEING, found.plain())
    return found


def _aged(spec: Spec[Any], base: Path, data: Any, asked: Asked, on_cut: Callable[[int, Cut], None] | None) -> Aged:
    source, times, dated = _ordered(open_source(spec.data, base, data), spec)
    borders, unit = _borders(times, asked), MICROSECONDS if dated else 1.0
    found: list[Cut] = []
    made, scale = 0, math.nan
    for number, place in enumerate(np.unique(np.linspace(0, 2 * asked.windows // 3, asked.cuts).astype(int))):
        before = np.flatnonzero(times < borders[place])[-(asked.newest or len(times)) :]
        model = trained_on(spec, source, before, asked.cuts)
        windows = [model.errors(np.flatnonzero((times >= low) & (times < high))) for low, high in zip(borders[place:-1], borders[place + 1 :], strict=True)]
        scale = scale if number else model.scale(windows[0])
        found.append(Cut(float(borders[place]) / unit, np.array([_mean(np.minimum(errors / scale, 1.0)) for errors in windows])))
        made += model.steps
        if on_cut is not None:
            on_cut(number, found[-1])
    curve = decay(found)
    lasted = lives(found, asked.margin)
    return Aged(found, curve, lasted, survival(lasted), calendar(curve, asked.cost), float(borders[1] - borders[0]) / unit, dated, made // len(found),
                asked.margin)


def _ordered(parts: dict[str, Source], spec: Spec[Any]) -> tuple[Source, np.ndarray, bool]:
    """All rows, and the time of each [rows]; its place where rows only have an order. Rows without a time are before all others.

    Raises: DataError where rows have neither, or come in parts.
    """
    if "all" not in parts:
        raise DataError("data", expected="all rows in one table, to be cut at past dates", found=f"parts: {', '.join(parts)}",
                        fix="Give the table from which the parts were made.")
    source, how = parts["all"], settle(parts, spec.data).value
    if how.kind == "order":
        return source, np.arange(len(source), dtype=float), False
    if how.kind != "time":
        raise DataError("data.split", expected="rows with dates or in their order", found=f"a split by {how.kind}",
                        fix="Name the column: data.split={kind: time, column: date}. If rows are in the order of time: data.split={kind: order}.")
    times = times_of(source, how.column)
    return source, np.nan_to_num(times, nan=-np.inf), source.kinds[how.column] == "time"


def _borders(times: np.ndarray, asked: Asked) -> np.ndarray:
    """[windows + 1]: equal spans of time, from the first cut to the end. Raises: DataError for too few rows."""
    known = np.sort(times[np.isfinite(times)])
    if len(known) < 10 * asked.windows:
        raise DataError("data", expected=f"at least {10 * asked.windows} rows with a date, ten a window", found=str(len(known)),
                        fix="Ask for fewer windows, or wait for more rows.")
    return np.linspace(known[int(FIRST * len(known))], np.nextafter(known[-1], np.inf), asked.windows + 1)


@dataclass(frozen=True)
class Model:
    """A model that was trained on what was known at a date."""

    task: Task
    codec: Any
    module: Any
    source: Source
    steps: int

    def errors(self, index: np.ndarray) -> np.ndarray:
        """How wrong each of these rows is answered [rows]: 0 or 1, or an error in the unit of the target."""
        if not len(index):
            return np.zeros(0)
        there = encoded(Subset(self.source, index), self.codec, cache.root(), 0.5)
        if not count(there.columns):
            return np.zeros(0)
        raw = Subset(self.source, index[there.kept])
        arrays = answers(self.task.programs(self.module, self.codec), there.columns, self.task.judged)
        return _wrong(self.task.outputs(self.codec, there.columns, arrays, cast("TaskSource", raw)))

    def scale(self, errors: np.ndarray) -> float:
        """The error that counts as wholly wrong, of those right after training."""
        return 1.0 if not len(errors) or np.isin(errors, (0, 1)).all() else float(np.quantile(errors, FAR)) or 1.0


def trained_on(spec: Spec[Any], source: Source, index: np.ndarray, cuts: int) -> Model:
    """A model of the rows at `index`, as `train` would make it, with a share of the budget."""
    known = cast("TaskSource", Subset(source, index))
    task, codec = spec.task.prepare(spec.task.arrange({"train": known})["train"])
    columns = encoded(Subset(source, index), codec, cache.root(), spec.data.bad_rows).columns
    train: Train = spec.train.model_copy(update={"budget": spec.train.budget / cuts}) if spec.train.budget else spec.train
    settled, _ = specs.settle(spec.model_copy(update={"task": task, "train": train}), codec, specs.facts(train, count(columns)))
    use_threads(settled.train)
    if settled.train.steps == "auto":
        bench = Bench(task, codec, columns, {name: column[:0] for name, column in columns.items() if isinstance(column, np.ndarray)}, time.perf_counter)
        chosen = calibrate(bench, settled.train, spent=0.0)
        settled = settled.model_copy(update={"train": settled.train.model_copy(update={n.removeprefix("train."): c.value for n, c in chosen.items()})})
    state = begin(task, codec, settled.train)
    for _ in steps(task, state, columns, settled.train):
        pass
    return Model(task, codec, state.best_model.eval(), source, state.step)


def _wrong(outputs: Outputs) -> np.ndarray:
    """By the kind of the answers. Raises: DataError for a kind that has no single error a row."""
    arrays = outputs.arrays
    if "probability" in arrays:
        return np.asarray(decision(outputs) != outputs.target, float)
    if "value" in arrays and outputs.target.ndim == 1:
        return np.asarray(np.nan_to_num(np.abs(arrays["value"].astype(float) - outputs.target.astype(float))))
    if "text" in arrays:
        return np.asarray(arrays["text"] != outputs.target, float)
    if "rank" in arrays:
        return np.asarray(arrays["rank"] > RANKED, float)
    raise DataError("task", expected="answers that are classes, amounts, texts or rankings", found=", ".join(arrays), fix="This kind cannot be aged yet.")


def _mean(values: np.ndarray) -> float:
    return float(values.mean()) if len(values) else math.nan
