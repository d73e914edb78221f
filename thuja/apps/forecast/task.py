"""Forecasting: learn how series go on from windows of their past."""

from typing import Annotated, Literal, Self, cast

import numpy as np
import torch
from pydantic import Discriminator, Field, PositiveInt
from torch import nn

from thuja.apps.forecast import baseline, charts
from thuja.apps.forecast.codec import FUTURE, HISTORY, START, UNKNOWN, Cycle, ForecastCodec, refuse_names
from thuja.apps.forecast.network import ForecastNet, Predict
from thuja.apps.forecast.statistics import calendar_of, of_rows, of_windows
from thuja.chart import Chart
from thuja.codec import Arrays, Codec, Columns
from thuja.core.errors import DataError, SpecError, did_you_mean
from thuja.data.rows import Source as DataSource
from thuja.data.windows import Plan, Windows, cut
from thuja.losses import mean_of_known, pinball
from thuja.metrics import Outputs
from thuja.metrics.forecast import HIGH, LOW
from thuja.models.forecaster import Shape
from thuja.models.linear_forecaster import LinearForecaster
from thuja.models.patch_forecaster import PatchForecaster
from thuja.models.recurrent_forecaster import RecurrentForecaster
from thuja.settings import AdamW, Auto
from thuja.task import Baseline, Batch, Choice, Facts, Goal, Loss, Part, Program, Source, Task

BLOCKS = 20
"""Test windows are resampled in at least so many stretches of time."""
EPOCHS, LINEAR = 5, 2
"""Passes over the windows: of a network, and of a linear forecaster, which has few weights to find."""
STEPS = (400, 4000)
"""Fewest and most updates, where the spec does not say."""


class Forecast(Task):
    """The next steps of one or many series, with a range that holds four true values in five."""

    kind: Literal["forecast"] = "forecast"
    time: str
    """The column of times: equal steps, in order."""
    values: Auto | tuple[str, ...] = "auto"
    """The columns to forecast, each by itself. Auto: every column of numbers that has no other part to play."""
    series: str | None = None
    """The column that says which series a row belongs to; empty: there is one."""
    horizon: PositiveInt = 24
    """Steps to forecast."""
    context: Auto | Annotated[int, Field(ge=2)] = "auto"
    """Steps of the past that are read. Auto: 14 seasons (days of hours, weeks of days), at least twice the horizon, at most 512 and a third of the training
    steps."""
    season: Auto | PositiveInt = "auto"
    """Steps of the cycle that is to be expected. Auto: a day, a week of days, a year of weeks, months or quarters; 1 (none) for years and plain numbers."""
    known: tuple[str, ...] = ()
    """Columns that are known in advance: holidays, prices, plans."""
    past: tuple[str, ...] = ()
    """Other columns whose past may help."""
    calendar: Auto | tuple[Cycle, ...] = "auto"
    """Cycles whose phase is read from the time. Auto: those that the context does not show whole, though the training rows show them three times."""
    resample: str | None = None
    """Length of the steps to average to, such as 1h; empty: the table has equal steps, and other ones are an error."""
    stride: Auto | PositiveInt = "auto"
    """Steps between the starts of training windows. Auto: 1, or more where the windows would take over 256 MB."""
    model: Annotated[LinearForecaster | PatchForecaster | RecurrentForecaster, Discriminator("kind")] = LinearForecaster()
    error: Literal["squared", "absolute"] = "squared"
    """What the forecast makes small: squared errors (it is then the mean of what may come) or absolute ones (the median)."""

    def arrange(self, parts: dict[str, Source]) -> dict[str, Source]:
        """Windows of each part."""
        return cast("dict[str, Source]", cut(cast("dict[str, DataSource]", parts), self._plan(cast("DataSource", parts["train"]))))

    def _plan(self, source: DataSource) -> Plan:
        refuse_names((*self.known, *self.past))
        if self.time not in source.names:
            raise DataError(self.time, expected="a column of this name", found=f"{len(source.names)} others", fix=did_you_mean(self.time, source.names))
        taken = (self.time, self.series, *self.known, *self.past)
        values = tuple(n for n in source.names if source.kinds[n] == "number" and n not in taken) if self.values == "auto" else self.values
        if not values:
            raise DataError("task.values", expected="a column of numbers to forecast", found="none", fix="Name the columns in task.values.")
        if twice := sorted({name for name in values if name in taken}):
            raise SpecError("task.values", expected="columns with no other part to play", found=repr(twice[0]), fix="Name it in one place.")
        return Plan(self.time, values, self.horizon, None if self.context == "auto" else self.context, self.series, self.known, self.past,
                    None if self.stride == "auto" else self.stride, self.resample)

    def prepare(self, source: Source) -> tuple[Self, ForecastCodec]:
        """What is typical of the training steps. Raises: DataError where windows have not the promised lengths."""
        windows = source if isinstance(source, Windows) else None
        learned = of_windows(windows, None if self.season == "auto" else self.season) if windows else of_rows(source, self.known, self.past)
        first = source.take(np.arange(1))
        context = len(first[HISTORY][0]) if self.context == "auto" else self.context
        values = self.values if self.values != "auto" or windows is None else windows.plan.values
        calendar = calendar_of(learned.every, context, learned.span) if self.calendar == "auto" else self.calendar if learned.every else ()
        season = learned.season if self.season == "auto" else self.season
        codec = ForecastCodec(context=context, horizon=self.horizon, every=learned.every, season=season, calendar=calendar, known=learned.known,
                              past=learned.past, series=learned.series, edges=learned.edges)
        return self.model_copy(update={"context": context, "values": values, "calendar": calendar, "season": season}), codec

    def build(self, codec: Codec) -> ForecastNet:
        assert isinstance(codec, ForecastCodec)
        shape = Shape(codec.context, codec.horizon, len(codec.past), 2 * len(codec.calendar) + len(codec.known), codec.season)
        return ForecastNet(self.model.build(shape), codec)

    def loss(self, model: nn.Module, batch: Batch, rng: torch.Generator) -> Loss:
        """The error of the forecast, and the pinball loss of both ends of the range, in standard deviations of the series."""
        value, low, high = model(batch[HISTORY], batch[START], batch.get("known"), batch.get("past"))
        unit = batch["unit"]
        unit = torch.where(unit > 0, unit, 1.0)[:, None]
        known = ~torch.isnan(batch[FUTURE])
        target = torch.nan_to_num(batch[FUTURE]) / unit
        off = value / unit - target
        point = mean_of_known(off.square() if self.error == "squared" else off.abs(), known)
        ends = mean_of_known(pinball(low / unit, target, LOW) + pinball(high / unit, target, HIGH), known)
        return Loss(point + ends, {"forecast": point, "range": ends})

    def programs(self, model: nn.Module, codec: Codec) -> dict[str, Program]:
        assert isinstance(codec, ForecastCodec) and isinstance(model, ForecastNet)
        reads = {START: bool(codec.calendar), "known": bool(codec.known), "past": bool(codec.past)}
        inputs = (HISTORY, *(name for name, read in reads.items() if read))
        return {"predict": Program(Predict(model, inputs).eval(), inputs, ("value", "low", "high"))}

    def outputs(self, codec: Codec, columns: Columns, arrays: Arrays, source: Source | None = None) -> Outputs:
        """With the units that scaled figures need. Windows of one stretch of time, of all series, are a group: they share what happened then."""
        start = np.asarray(columns[START])
        more = {name: np.asarray(columns[name]) for name in ("unit", "naive")}
        return Outputs(np.asarray(columns[FUTURE]), {**arrays, **more}, blocks(start, self.horizon) if source is not None else None)

    def charts(self, model: nn.Module, codec: Codec, part: Part, outputs: Outputs) -> tuple[Chart, ...]:
        """Forecasts of a few windows, error by step, coverage by step."""
        assert isinstance(codec, ForecastCodec)
        return charts.charts(codec, np.asarray(part.columns[HISTORY]), outputs, part.source.ids)

    def metrics(self, codec: Codec) -> tuple[str, ...]:
        return ("scaled_mse", "scaled_mae", "step_mae", "step_rmse", "mase", "pinball", "coverage")

    @property
    def goal(self) -> Goal:
        return Goal("scaled_mse" if self.error == "squared" else "scaled_mae", "min")

    @property
    def targets(self) -> tuple[str, ...]:
        return (FUTURE,)

    def baseline(self, codec: Codec, train: Part, test: Part, seed: int) -> Baseline:
        """The best of repeating the last value, repeating the last season, and ridge regression, chosen on the latest training windows."""
        return baseline.fit(train.columns, test.columns, 1 if self.season == "auto" else self.season)

    def choices(self, codec: Codec, facts: Facts) -> dict[str, Choice]:
        linear = isinstance(self.model, LinearForecaster)
        chosen = {
            "train.batch": Choice(min(256, max(16, 1 << (facts.rows // 64).bit_length())), f"about 1/64 of {facts.rows} windows, from 16 to 256"),
            "train.optimizer": Choice(AdamW(learning_rate=5e-3 if linear else 5e-4, weight_decay=0.1),
                                      "AdamW with decay: windows overlap, so that weights fit fast"),
        }
        if facts.budget_s is None and facts.steps is None:
            batch = chosen["train.batch"].value
            epochs = LINEAR if linear else EPOCHS
            steps = min(max(epochs * facts.rows // batch, STEPS[0]), STEPS[1])
            chosen["train.steps"] = Choice(steps, f"{epochs} passes over {facts.rows} windows, from {STEPS[0]} to {STEPS[1]} steps")
        return chosen


def blocks(start: np.ndarray, horizon: int) -> np.ndarray:
    """int64 [rows]: which stretch of time a row is in; stretches are a horizon long, or shorter where there would be fewer than `BLOCKS`."""
    times, place = np.unique(np.where(start == UNKNOWN, 0, start), return_inverse=True)
    found: np.ndarray = place // max(1, min(horizon, len(times) // BLOCKS))
    return found

