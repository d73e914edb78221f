"""Forecasts: the codec, the task, bad series, the program in onnxruntime, and the whole way."""

import subprocess
import sys

import numpy as np
import pytest
import torch

from thuja.apps import CODECS
from thuja.apps.forecast import baseline
from thuja.apps.forecast.charts import charts
from thuja.apps.forecast.codec import UNKNOWN, ForecastCodec, Known, OneSeries
from thuja.apps.forecast.network import Calendar
from thuja.apps.forecast.statistics import calendar_of, one_series
from thuja.apps.forecast.task import Forecast, blocks
from thuja.artifact.runtime import Predictor
from thuja.codec import count, load, rectangular
from thuja.core.errors import BadRows, DataError, SpecError
from thuja.graph.onnxwrite import to_onnx
from thuja.metrics import METRICS, Outputs
from thuja.spec import parse
from thuja.task import Facts, Part
from thuja.testing import check_codec, check_task
from thuja.training import look
from thuja.training.loop import begin, steps
from thuja.training.prepare import gather
from thuja.verbs.evaluate import evaluate
from thuja.verbs.export import export
from thuja.verbs.train import train

MODELS = [{"kind": "linear-forecaster"}, {"kind": "patch-forecaster", "dim": 16, "depth": 1, "heads": 2}, {"kind": "recurrent-forecaster", "dim": 16}]
SOME = [MODELS[0], *(pytest.param(model, marks=pytest.mark.slow) for model in MODELS[1:])]


@pytest.fixture(autouse=True)
def cache_folder(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("THUJA_CACHE", str(tmp_path_factory.mktemp("cache")))


def sales(hours=24 * 40, seed=0):
    """Two columns with a day in them, one of which follows a plan that is known in advance."""
    rng = np.random.default_rng(seed)
    times = np.datetime64("2026-01-01T00:00:00") + np.arange(hours) * np.timedelta64(3600, "s")
    plan = (rng.random(hours) < 0.2).astype(float)
    wave = np.sin(np.arange(hours) * 2 * np.pi / 24)
    return {"when": [str(t) for t in times], "tea": (20 + 5 * wave + rng.normal(size=hours)).tolist(),
            "ice": (4000 + 900 * wave + 700 * plan + 50 * rng.normal(size=hours)).tolist(), "plan": plan.tolist()}


def spec(task=None, **sections):
    return parse({"task": {"kind": "forecast", "time": "when", "horizon": 12, "context": 48} | (task or {}), **sections})


def gathered(task=None, rows=None, check=False, **sections):
    return gather(spec(task, **sections), rows or sales(), check=check)


def windows(places=24, task=None):
    """Some raw windows."""
    source = gathered(task).opened.sources["train"]
    rows = source.take(np.linspace(0, len(source) - 1, places).astype(int))
    return {name: values for name, values in rows.items() if name != "when"}


def codec(**changes):
    known = (Known(name="plan", mean=0.2, std=0.4),)
    plain = {"context": 4, "horizon": 2, "every": 3600.0, "known": known, "series": (OneSeries(name="a", unit=2.0, naive=1.0),)}
    return ForecastCodec(**{**plain, **changes})


def row(**changes):
    return {name: [value] for name, value in
            ({"history": [1.0, 2.0, 3.0, 4.0, 5.0], "start": "2026-01-01T05:00", "plan": [0.0] * 6, "future": [6.0, None], "series": "a"} | changes).items()}


@pytest.mark.parametrize("model", SOME, ids=lambda m: m["kind"])
def test_the_contract(model):
    check_task(Forecast.model_validate({"time": "when", "horizon": 12, "known": ("plan",), "past": (), "model": model}), windows(task={"known": ["plan"]}))


def test_encode_reads_the_latest_values_and_knows_the_units_of_the_series():
    columns = codec().encode(row())
    assert columns["history"].tolist() == [[2, 3, 4, 5]]
    assert columns["known"].shape == (1, 1, 6)
    np.testing.assert_array_equal(columns["future"], [[6, np.nan]])
    assert (columns["unit"].tolist(), columns["naive"].tolist()) == ([2.0], [1.0])
    assert columns["start"].tolist() == [1767243600]
    assert codec().encode(row(start=None))["start"].tolist() == [UNKNOWN]
    assert codec().encode(row(series="new"))["unit"].tolist() == [0.0]
    assert set(codec().encode({n: v for n, v in row().items() if n not in ("future", "series")})) == {"history", "start", "known"}


@pytest.mark.parametrize(("changes", "message"), [
    ({"history": [1.0, 2.0]}, "rows[0].history: expected 4 to 16 values, found 2. Send more of the past: this is shorter than the window that is read."),
    ({"history": [1.0] * 17}, "rows[0].history: expected 4 to 16 values, found 17. Send the latest ones."),
    ({"history": [1.0, None, None, None, None]}, "rows[0].history: expected a number among the last 4 values, found gaps only. Send what was measured."),
    ({"history": [1.0, 2.0, 3.0, 1e39]}, "rows[0].history: expected numbers below 3e38, found 1e+39. Choose a unit."),
    ({"history": "1,2,3,4"}, "rows[0].history: expected a list of numbers, found str. Send the values in the order of time, the latest last."),
    ({"plan": [0.0] * 5}, "rows[0].plan: expected 6 to 18 values, found 5. Send more of the past: this is shorter than the window that is read."),
    ({"start": "soon"}, "rows[0].start: expected a time, found 'soon'. Write it as 2026-01-31T12:00."),
    ({"future": [1.0]}, "rows[0].future: expected 2 values, found 1. Send more of the past: this is shorter than the window that is read."),
    ({"future": [None, None]}, "rows[0].future: expected at least one number, found 2 gaps. Send what was measured."),
])
def test_bad_rows_are_named(changes, message):
    with pytest.raises(BadRows) as caught:
        codec().encode(row(**changes))
    assert str(caught.value) == message


def test_the_codec_promises_and_reads_back():
    made = gathered({"known": ["plan"]}).codec
    check_codec(made, windows(task={"known": ["plan"]}))
    assert load(made.model_dump(mode="json"), CODECS) == made
    assert list(made.schema().inputs) == ["history", "plan", "start"]
    assert list(made.schema().outputs) == ["forecast", "low", "high"]
    with pytest.raises(DataError, match=r"plan: expected a column of this name, found 2 others"):
        codec().encode({"history": [[1.0] * 4], "start": [None]})


def test_prepare_learns_from_the_training_steps_and_settles_every_blank():
    rows = sales()
    found = gathered({"context": "auto", "known": ["plan"]}, rows)
    task, made = found.spec.task, found.codec
    assert (task.values, task.context, task.season, task.calendar) == (("tea", "ice"), 216, 24, ())
    assert (made.every, made.season, made.horizon) == (3600.0, 24, 12)
    trained = int(24 * 40 * 0.7)
    assert made.series[0].name == "tea"
    assert made.series[0].unit == pytest.approx(np.std(rows["tea"][:trained]))
    assert made.series[1].naive == pytest.approx(np.mean(np.abs(np.array(rows["ice"])[24:trained] - np.array(rows["ice"])[: trained - 24])))
    assert (task.goal.metric, task.targets) == ("scaled_mse", ("future",))
    assert task.model_copy(update={"error": "absolute"}).goal.metric == "scaled_mae"
    again = gather(found.spec, rows, check=False)
    assert again.codec == made
    assert again.opened.sources["train"].fingerprint() == found.opened.sources["train"].fingerprint()


def test_constant_series_have_no_unit_and_cycles_are_read_only_where_they_were_seen():
    assert one_series("x", np.full(50, 0.1), 24) == OneSeries(name="x", unit=0.0, naive=0.0)
    assert calendar_of(3600.0, 336, 365 * 86400.0) == ()
    assert calendar_of(3600.0, 48, 60 * 86400.0) == ("week",)
    assert calendar_of(3600.0, 12, 5 * 365.25 * 86400) == ("day", "week", "year")
    assert calendar_of(0.0, 12, 1e9) == ()


def test_the_calendar_is_the_clock():
    made = codec(calendar=("day", "week"), known=())
    phases = Calendar(made)(torch.tensor([0, 86400 + 6 * 3600, UNKNOWN]))
    assert phases.shape == (3, 4, 6)
    hours = np.arange(-4, 2)
    np.testing.assert_allclose(phases[0, 0], np.sin(hours / 24 * 2 * np.pi), atol=1e-5)
    np.testing.assert_allclose(phases[1, 3], np.cos((30 + hours) / 168 * 2 * np.pi), atol=1e-5)
    assert (phases[2] == 0).all()


@pytest.mark.parametrize(("task", "error", "message"), [
    ({"time": "whn"}, DataError, "whn: expected a column of this name, found 4 others. Did you mean 'when'?"),
    ({"values": ["tea", "plan"], "known": ["plan"]}, SpecError,
     "task.values: expected columns with no other part to play, found 'plan'. Name it in one place."),
    ({"known": ["tea", "ice", "plan"]}, DataError, "task.values: expected a column of numbers to forecast, found none. Name the columns in task.values."),
    ({"known": ["history"]}, SpecError, "task: expected covariates with names other than history, future, start, series, unit, naive, known, past, "
     "found 'history'. Give the column another name."),
    ({"horizon": 300}, DataError, "data.split: validation: expected a series with 300 steps in this part (horizon), found 96 at most. "
     "Give more steps, or shorten task.horizon or task.context."),
])
def test_tasks_that_do_not_fit(task, error, message):
    with pytest.raises(error) as caught:
        gathered(task)
    assert str(caught.value) == message


def test_checks_do_not_take_windows_that_overlap_or_repeat_for_copies():
    rows = sales()
    rows["tea"] = [3.0] * len(rows["tea"])
    found = gathered(rows=rows, check=True)
    assert {f.check for f in found.findings} & {"exact-duplicates", "near-duplicates", "time-overlap", "group-overlap"} == set()


def test_what_happened_at_one_time_is_one_group():
    start = np.array([0, 3600, 7200, 10800, 0, UNKNOWN])
    assert blocks(np.repeat(np.arange(200) * 3600, 2), 24).tolist() == np.repeat(np.arange(200) // 10, 2).tolist()
    assert blocks(start, 24).tolist() == [0, 1, 2, 3, 0, 0]


@pytest.mark.parametrize("model", SOME, ids=lambda m: m["kind"])
def test_the_exported_program_agrees(model):
    import onnxruntime

    found = gathered({"known": ["plan"], "past": ["ice"], "values": ["tea"], "calendar": ["day"], "model": model})
    torch.manual_seed(0)
    net = found.spec.task.build(found.codec)
    for parameter in net.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    program = found.spec.task.programs(net, found.codec)["predict"]
    columns = {name: np.asarray(found.opened.encoded["test"].columns[name])[:5] for name in program.inputs}
    columns["history"][1, 5:9], columns["start"][2] = np.nan, UNKNOWN
    session = onnxruntime.InferenceSession(to_onnx(program, columns), providers=["CPUExecutionProvider"])
    for rows in (1, 5):
        asked = rectangular({name: array[:rows] for name, array in columns.items()})
        with torch.inference_mode():
            expected = program.module(*(torch.from_numpy(asked[name]) for name in program.inputs))
        for ours, theirs in zip(expected, session.run(None, asked), strict=True):
            np.testing.assert_allclose(theirs, ours.numpy(), rtol=1e-4, atol=1e-4)


def test_it_learns_what_is_known_in_advance_and_how_sure_it_is():
    found = gathered({"known": ["plan"], "values": ["ice"]})
    task, columns = found.spec.task, found.opened.encoded["train"].columns
    settings = spec(train={"steps": 400, "batch": 64, "optimizer": {"kind": "adamw", "learning_rate": 0.01}}).train
    state = begin(task, found.codec, settings)
    for _ in steps(task, state, columns, settings):
        pass
    test = found.opened.encoded["test"].columns
    program = task.programs(state.model, found.codec)["predict"]
    with torch.inference_mode():
        answers = program.module(*(torch.from_numpy(np.array(test[name])) for name in program.inputs))
    arrays = {name: answer.numpy() for name, answer in zip(program.outputs, answers, strict=True)}
    outputs = task.outputs(found.codec, test, arrays, found.opened.sources["test"])
    assert METRICS["scaled_mse"].value(outputs) < 0.1  # the plan alone is a seventh of the variance
    assert 0.7 < METRICS["coverage"].value(outputs) < 0.9
    rival = task.baseline(found.codec, Part(found.opened.sources["train"], columns), Part(found.opened.sources["test"], test), 0)
    assert METRICS["scaled_mse"].value(Outputs(outputs.target, rival.outputs)) > 2 * METRICS["scaled_mse"].value(outputs)
    pictures = charts(found.codec, np.asarray(test["history"]), outputs, found.opened.sources["test"].ids)
    assert [p.title for p in pictures][3:] == ["Error by step", "Coverage by step"]
    assert pictures[0].title.startswith("Forecast of 2026-")


def test_baselines_are_what_they_say():
    rng = np.random.default_rng(0)
    wave = np.tile([1.0, 5.0, 2.0], 40) + 0.01 * rng.normal(size=120)
    cut = np.lib.stride_tricks.sliding_window_view(wave, 12)
    columns = {"history": cut[:, :9].astype(np.float32), "future": cut[:, 9:].astype(np.float32), "start": np.arange(len(cut))}
    columns |= {name: np.ones(len(cut), np.float32) for name in ("unit", "naive")}
    last, season = (baseline.answered(columns, columns, 3, f"the last {what} repeated")["value"] for what in ("value", "season"))
    np.testing.assert_allclose(last, np.repeat(cut[:, 8:9], 3, axis=1), rtol=1e-5)
    np.testing.assert_allclose(season, cut[:, 6:9], rtol=1e-5)
    assert baseline.fit(columns, columns, 3).name != "the last value repeated"
    scores = baseline.all_scores(columns, columns, 3)
    assert min(scores, key=scores.get).startswith("ridge regression")
    np.testing.assert_array_equal(baseline.carried(np.array([[np.nan, 1, np.nan, 3, np.nan]])), [[1, 1, 1, 3, 3]])


def test_choices_have_reasons_and_leave_the_horizon_to_a_budget():
    task = Forecast(time="when")
    free, timed = (task.choices(codec(), Facts(57_000, 2, "cpu", budget)) for budget in (None, 60.0))
    assert (free["train.batch"].value, free["train.steps"].value) == (256, 445)
    assert free["train.steps"].reason == "2 passes over 57000 windows, from 400 to 4000 steps"
    assert "train.steps" not in timed


def test_from_a_table_to_a_served_forecast(tmp_path):
    rows = sales(24 * 25)
    rows["tea"][100] = None
    run = train(spec({"known": ["plan"]}, train={"steps": 60, "batch": 64}), data=rows, root=tmp_path)
    scores = evaluate(run, data=rows)
    assert scores.metrics["coverage"].low < scores.metrics["coverage"].high
    assert scores.groups >= 20
    assert "Coverage by step" in (run.path / "report.html").read_text("utf-8")
    artifact = export(run, data=rows)
    asked = {"history": [[float(v) for v in rows["ice"][-48:]]], "start": ["2026-01-26T00:00:00"], "plan": [[0.0] * 60]}
    answer = Predictor(artifact).predict(asked)
    assert [len(answer[name][0]) for name in ("forecast", "low", "high")] == [12, 12, 12]
    assert answer["low"][0] < answer["forecast"][0] < answer["high"][0]
    assert count(run.codec().encode(asked)) == 1


def test_the_codec_needs_no_torch():
    code = "import sys, thuja.apps.forecast.codec; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("model", SOME, ids=lambda m: m["kind"])
def test_a_series_that_never_changed_is_forecast_by_numbers_around_its_value(model):
    rows = sales() | {"tea": [7.0] * (24 * 40)}
    found = gathered({"values": ["tea", "ice"], "model": model}, rows)
    torch.manual_seed(0)
    programs = found.spec.task.programs(found.spec.task.build(found.codec).eval(), found.codec)
    answer = found.codec.decode(look.answers(programs, found.codec.encode({"history": [[7.0] * 48], "start": [None], "series": ["tea"]})))
    assert np.isfinite([answer["low"], answer["forecast"], answer["high"]]).all()
    np.testing.assert_allclose(answer["forecast"][0], 7.0, atol=0.5)
