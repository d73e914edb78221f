"""The verb `replay`: a history with dates is lived through, as it would have been had its first rows been deployed: answers, labels that come late, looks,
alarms, trainings, challenges, promotions. It leaves a deployment like any other.

The first model is trained on the oldest rows, evaluated and exported; then a clock of its own goes through the rest, with the code that runs in production
(`life.replay`, `verbs.retrain`). Nothing that was not known at a time is used at it: a challenger learns from rows whose truth had come by then. What a replay
has not: requests that fail, latencies, and people. So what a plan leaves to a person waits for ever; add `promote` to `life.alone` to let it happen.
"""

import datetime
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple, cast

import numpy as np

from thuja import spec as specs
from thuja.artifact.folder import Artifact
from thuja.core.errors import DataError, DeploymentError, ThujaError
from thuja.core.seeds import stream
from thuja.data.rows import Source
from thuja.data.source import open_source
from thuja.data.split import settle, times_of
from thuja.life.deployment import PLAN, Deployment
from thuja.life.ledger import Event, Said
from thuja.life.plan import YEAR, Plan
from thuja.life.replay import Hasty, Lived, Replay, ReplayClock, Row
from thuja.run import Run
from thuja.settings import TimeSplit
from thuja.spec import Spec
from thuja.verbs.age import Asked as Ageing
from thuja.verbs.age import age
from thuja.verbs.deploy import deploy
from thuja.verbs.reference import plain_truth
from thuja.verbs.retrain import retrain

MICROSECONDS = 1e6
DAY = 86400.0
WHEN = "replayed at"
"""The column with the time of a row, where rows have only an order."""
BY = "replay"


@dataclass(frozen=True)
class Asked:
    """How a history is lived through."""

    first: float = 0.3
    """The share of the rows, the oldest, that train the first model, where no `start` is given."""
    start: float | None = None
    """Seconds since 1970: rows before it train the first model."""
    end: float | None = None
    """When the last row came, where rows have only an order; else rows from then on are left out."""
    until: float | None = None
    """When the replay stops; None: at the end."""
    step: float | None = None
    """Seconds between two ticks; None: a window of the plan."""
    delay: float = 0.0
    """Seconds until what is true of a row becomes known."""
    labelled: float = 1.0
    """Share of the rows of which it ever does, evenly drawn."""
    pace: float = DAY
    """Seconds from row to row, where rows have only an order: the last one is then taken to have come at the end of 1999, or at `end`."""
    cuts: int = 6
    """Past dates of the first rows at which the ageing test trains; 0: it is left out."""
    seed: int = 0


@dataclass(frozen=True)
class History:
    """The rows of a table, in the order of their times."""

    source: Source
    """Only rows with a time."""
    column: str
    """With the time; `WHEN` where rows had only an order."""
    times: np.ndarray
    """[rows]: seconds since 1970, rising."""
    target: str
    """The column with what is true."""
    known_after: np.ndarray
    """[rows]: seconds after its time at which the truth of a row becomes known; inf: never."""
    places: np.ndarray
    """[rows]: where each row is in the source."""

    def between(self, start: float, end: float) -> list[tuple[float, dict[str, Any]]]:
        """The rows of that time, each with its time."""
        low, high = np.searchsorted(self.times, [start, end])
        columns = self.columns(np.arange(low, high))
        return [(float(at), {name: values[place] for name, values in columns.items()}) for place, at in enumerate(self.times[low:high])]

    def known(self, now: float) -> dict[str, list[Any]]:
        """The rows whose truth was known at a time, as `train` takes them."""
        return self.columns(np.flatnonzero(self.times + self.known_after <= now))

    def before(self, start: float) -> dict[str, list[Any]]:
        """All rows before a time: the truth of old rows is known."""
        return self.columns(np.arange(np.searchsorted(self.times, start)))

    def columns(self, index: np.ndarray) -> dict[str, list[Any]]:
        """Some rows, column by column."""
        taken = {name: list(values) for name, values in self._all.items()} if len(index) == len(self.times) else {
            name: [values[place] for place in index] for name, values in self._all.items()}
        return taken

    @cached_property
    def _all(self) -> dict[str, list[Any]]:
        rows = {name: list(values) for name, values in self.source.take(self.places).items()}
        if self.column == WHEN:
            rows[WHEN] = [written(at) for at in self.times]
        return rows


class Replayed(NamedTuple):
    """What came of it."""

    deployment: Deployment
    lived: list[Lived]
    start: float
    rows: int
    """Answered."""
    loss: float
    """Mean loss of what users saw, over all rows with a truth, whether their labels ever came or not."""
    trainings: int
    """After the first."""

    def events(self) -> list[Event]:
        """What happened, from the ledger."""
        return self.deployment.ledger.events()


class Life(NamedTuple):
    """What is told of each tick."""

    deployment: Deployment
    history: History
    news: list[Event]
    """What is in the ledger since the tick before; of the first one, from the beginning."""


Step = Callable[[Lived, Life], None]


def replay(spec: Spec[Any] | Path | str, to: Path, *, data: Any = None, overrides: Sequence[str] = (), asked: Asked | None = None,
           on_step: Step | None = None) -> Replayed:
    """Live through a history, and leave a deployment at `to`.

    Args: on_step: told of each tick, and free to do to the deployment what a person could.
    Raises: SpecError; DataError for rows without an order; DeploymentError where there is a deployment already; whatever train, export and deploy raise.
    """
    asked = asked or Asked()
    base = Path()
    if not isinstance(spec, Spec):
        base = Path(spec) if Path(spec).is_dir() else Path(spec).parent
        spec = specs.read(spec, overrides)
    return live_through(spec, opened(spec, base, data, asked), to, asked, on_step)


def opened(spec: Spec[Any], base: Path, data: Any, asked: Asked) -> History:
    """The rows of a spec, or those handed over, with their times. Raises: DataError."""
    return history_of(spec, open_source(spec.data, base, data), asked)


def live_through(spec: Spec[Any], history: History, to: Path, asked: Asked, on_step: Step | None = None) -> Replayed:
    """As `replay`, of a history that is open."""
    if (to / PLAN).exists():
        raise DeploymentError(str(to), expected="an empty or absent folder", found="a deployment", fix="Name another folder with --out.")
    start, end = _span(history, asked)
    deployment = Deployment(to, ReplayClock(start), Hasty())
    first(lived_spec(spec, history, asked), history, deployment, start, asked.cuts)
    return live(history, deployment, end, asked, on_step)


def history_of(spec: Spec[Any], parts: Mapping[str, Source], asked: Asked) -> History:
    """The rows with their times. Raises: DataError where rows have none, come in parts, or are of before 1970."""
    if "all" not in parts:
        raise DataError("data", expected="all rows in one table", found=f"parts: {', '.join(parts)}", fix="Give the table from which the parts were made.")
    source, how = parts["all"], settle(dict(parts), spec.data).value
    targets = spec.task.targets
    if len(targets) != 1:
        raise DataError("task", expected="one column that says what is true of a row", found=", ".join(targets) or "none",
                        fix="Such a task cannot be replayed.")
    if how.kind == "order":
        end = asked.end if asked.end is not None else YEAR * 30
        times, column = end - asked.pace * np.arange(len(source), 0, -1), WHEN
    elif how.kind == "time" and source.kinds[how.column] == "time":
        times, column = times_of(source, how.column) / MICROSECONDS, how.column
    else:
        raise DataError("data.split", expected="rows with dates or in their order", found=f"a split by {how.kind}",
                        fix="Name the column: data.split={kind: time, column: date}. If rows are in the order of time: data.split={kind: order}.")
    places = np.argsort(np.where(np.isfinite(times), times, np.inf), kind="stable")[: int(np.isfinite(times).sum())]
    drawn = stream(asked.seed, "labelled").random(len(places)) < asked.labelled
    return History(source, column, times[places], targets[0], np.where(drawn, asked.delay, math.inf), places)


def lived_spec(spec: Spec[Any], history: History, asked: Asked) -> Spec[Any]:
    """The spec with rows that are handed over: split by their time, and with a file of calls for each step of the replay."""
    old = spec.data.split
    split = TimeSplit(column=history.column)
    if old != "auto" and old.kind in ("time", "order"):
        split = TimeSplit(column=history.column, validation=old.validation, test=old.test)
    record = spec.life.record.model_copy(update={"file": max(spec.life.record.file, asked.step or spec.life.harm.window)})
    return spec.model_copy(update={"data": spec.data.model_copy(update={"path": "", "split": split}),
                                   "life": spec.life.model_copy(update={"record": record})})


def first(spec: Spec[Any], history: History, deployment: Deployment, start: float, cuts: int) -> Run:
    """Train, age, evaluate, export and deploy the first model, on all that was known at the start."""
    from thuja.verbs.evaluate import evaluate
    from thuja.verbs.export import export
    from thuja.verbs.train import train

    rows = history.before(start)
    run = train(spec, data=rows, root=deployment.path.with_name(f"{deployment.path.name}-runs"))
    if cuts:
        age(run.path, rows, asked=Ageing(cuts=cuts, windows=_windows(history, spec.life, start), margin=spec.life.harm.margin, cost=spec.life.renew.cost))
    evaluate(run, data=rows)
    export(run, data=rows)
    deploy(run.path, deployment, by=BY, waive={} if cuts else {"ageing": "the replay was asked to leave it out"})
    return run


def live(history: History, deployment: Deployment, end: float, asked: Asked, on_step: Step | None = None) -> Replayed:
    """From the deployment's now to `end`."""
    clock = cast("ReplayClock", deployment.clock)
    start, made = clock.now, list[str]()
    judged = deployment.reference(deployment.standings().champion).judged.field

    def renew(deployment: Deployment, now: float) -> str:
        """What `thuja watch --train` does: a training that is refused comes to nothing, and life goes on."""
        try:
            made.append(retrain(deployment, data=history.known(now)))
        except ThujaError as error:
            deployment.ledger.append([Said("training", "", {"outcome": "failed", "words": str(error)})])
            return ""
        return made[-1]

    run = Replay(deployment, clock, _Stream(history, deployment.artifact(deployment.standings().champion), judged), renew, seed=asked.seed)
    lived, told = list[Lived](), 0
    for one in run.live(end, asked.step or deployment.plan.harm.window):
        lived.append(one)
        if on_step is not None:
            events = deployment.ledger.events()
            on_step(one, Life(deployment, history, events[told:]))
            told = len(events)
    rows = sum(one.rows for one in lived)
    known = [(one.loss, one.judged) for one in lived if one.judged]
    loss = float(np.average([loss for loss, _ in known], weights=[n for _, n in known])) if known else math.nan
    return Replayed(deployment, lived, start, rows, loss, len(made))


@dataclass
class _Stream:
    """The rows of a history as a replay takes them: typed plain values, and the truth by the name of the answer."""

    history: History
    artifact: Artifact
    judged: str

    def __call__(self, start: float, end: float) -> list[Row]:
        schema, history = self.artifact.schema, self.history
        found: list[Row] = []
        low = int(np.searchsorted(history.times, start))
        for place, (at, row) in enumerate(history.between(start, end), low):
            truth = plain_truth(schema.outputs[self.judged], row[history.target]) if self.judged else None
            after = float(history.known_after[place])
            found.append(Row(at, {name: kind.to_json(row[name]) for name, kind in schema.inputs.items()},
                             {} if truth is None else {self.judged: truth}, after))
        return found


def _windows(history: History, plan: Plan, start: float) -> int:
    """Into how many windows of the plan the first rows are divided by the ageing test; at most so many that each has ten rows."""
    from thuja.verbs.age import FIRST, WINDOWS

    known = history.times[history.times < start]
    span = float(known[-1] - known[int(FIRST * len(known))]) if len(known) else 0.0
    return max(6, min(round(span / plan.harm.window) or WINDOWS, int((1 - FIRST) * len(known)) // 10, 10 * WINDOWS))


def _span(history: History, asked: Asked) -> tuple[float, float]:
    """From when to when is lived. Raises: DataError where that is nothing, or before 1970."""
    times = history.times
    start = asked.start if asked.start is not None else float(times[min(int(asked.first * len(times)), len(times) - 1)]) if len(times) else 0.0
    end = min([float(times[-1]) + 1 if len(times) else 0.0, *(at for at in (asked.end, asked.until) if at is not None)])
    if not (times < start).any() or start >= end:
        raise DataError("replay", expected="rows before the start, to train on, and rows after it", found=f"{written(start)} to {written(end)}",
                        fix="Choose other dates with --from and --to.")
    if start < 0:
        raise DataError("replay", expected="a start in 1970 or later: clocks count from there", found=written(start), fix="Choose a later one with --from.")
    return start, end


def written(at: float) -> str:
    """A time as ISO 8601, in UTC.

    >>> written(-86400.0)
    '1969-12-31T00:00:00'
    """
    return (datetime.datetime(1970, 1, 1) + datetime.timedelta(seconds=round(at))).isoformat()


def moment(text: str) -> float:
    """A date or a time, in UTC, as seconds since 1970. Raises: DataError.

    >>> moment("1970-01-02"), moment("1970-01-01T00:01")
    (86400.0, 60.0)
    """
    try:
        at = datetime.datetime.fromisoformat(text)
    except ValueError as error:
        raise DataError("replay", expected="a date such as 2026-01-31", found=repr(text)[:40], fix="Write it as 2026-01-31 or 2026-01-31T12:00.") from error
    return (at.replace(tzinfo=None) - (at.utcoffset() or datetime.timedelta()) - datetime.datetime(1970, 1, 1)).total_seconds()

