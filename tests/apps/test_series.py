"""Whole series: the codec, the task, bad rows, the program in onnxruntime, and the whole way for classes and for remaining life."""

import subprocess
import sys

import numpy as np
import pytest
import torch

from thuja.apps import CODECS
from thuja.apps.series.baseline import fit
from thuja.apps.series.codec import Channel, SeriesCodec
from thuja.apps.series.task import Moments, WholeSeries
from thuja.artifact.runtime import Predictor
from thuja.codec import load, rectangular
from thuja.core.errors import BadRows, DataError, SpecError
from thuja.data.objects import from_object
from thuja.graph.onnxwrite import to_onnx
from thuja.models.series_convnet import SeriesConvNet
from thuja.spec import parse
from thuja.task import Facts
from thuja.testing import check_codec, check_task
from thuja.training import look
from thuja.training.prepare import gather
from thuja.verbs.evaluate import evaluate
from thuja.verbs.export import export
from thuja.verbs.train import train

SMALL = {"kind": "series-convnet", "widths": [8, 8], "kernels": [5, 3]}


@pytest.fixture(autouse=True)
def cache_folder(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("THUJA_CACHE", str(tmp_path_factory.mktemp("cache")))


def moves(rows=120, seed=0):
    """Two channels of 12 to 30 steps; the class is the direction of the second, which has gaps."""
    rng = np.random.default_rng(seed)
    labels = ["up" if i % 2 else "down" for i in range(rows)]
    lengths = rng.integers(12, 31, rows)
    first = [rng.normal(size=n).tolist() for n in lengths]
    second = [((1 if label == "up" else -1) * np.linspace(-2, 2, n) + rng.normal(size=n)).tolist() for n, label in zip(lengths, labels, strict=True)]
    for row in second[::5]:
        row[3] = None
    return {"x": first, "y": second, "label": labels}


def engines(count=24, seed=0):
    """A row a cycle; heat rises before the end."""
    rng = np.random.default_rng(seed)
    lengths = rng.integers(30, 50, count)
    left = [n - 1 - c for n in lengths for c in range(n)]
    return {"unit": [f"e{i}" for i, n in enumerate(lengths) for _ in range(n)], "cycle": [c + 1.0 for n in lengths for c in range(n)],
            "heat": [-min(v, 25) + rng.normal() for v in left], "noise": rng.normal(size=len(left)).tolist(), "left": [float(v) for v in left]}


def codec(**changes):
    channels = (Channel(name="x", mean=1.0, std=2.0), Channel(name="y", mean=0.0, std=1.0))
    return SeriesCodec(**{"channels": channels, "target": "label", "problem": "classes", "longest": 3, "names": ("down", "up"), **changes})


def prepared(task, source):
    return task.prepare(task.arrange({"train": source})["train"])


RUN_DOWN = {"kind": "series", "unit": "unit", "time": "cycle", "target": "left", "window": 12, "cap": 25, "model": SMALL}


def test_the_contract_for_classes():
    check_task(WholeSeries(model=SeriesConvNet(**SMALL)), moves(24))


def test_the_contract_for_remaining_life():
    task = WholeSeries.model_validate(RUN_DOWN)
    source = task.arrange({"train": from_object(engines(6))})["train"]
    rows = source.take(np.arange(0, len(source), 6))
    check_task(task, {name: rows[name] for name in ("heat", "noise", "left")})


def test_encode_lays_steps_end_to_end_with_a_mark():
    columns = codec().encode({"x": [[1, 2], [3.5]], "y": [[None, 4], np.array([5.0])], "label": ["up", "down"]})
    np.testing.assert_array_equal(columns["steps"].values, np.array([[1, np.nan, 1], [2, 4, 1], [3.5, 5, 1]], np.float32))
    assert columns["steps"].offsets.tolist() == [0, 2, 3]
    assert columns["label"].tolist() == [1, 0]
    assert len(codec(window=1).encode({"x": [[1, 2]], "y": [[3, 4]]})["steps"].values) == 1
    amounts = codec(problem="regression", names=(), cap=10.0).encode({"x": [[1], [1]], "y": [[1], [1]], "label": [3, 99]})["label"]
    assert (amounts.tolist(), amounts.dtype) == ([3, 10], np.float32)


@pytest.mark.parametrize(("row", "message"), [
    ({"x": [1, 2], "y": [1]}, "rows[0].y: expected 2 values, as in 'x', found 1. Give all series of a row the same length; a gap is null."),
    ({"x": [], "y": [1]}, "rows[0].x: expected 1 to 12 values, found 0. Send more of the past: this is shorter than the window that is read."),
    ({"x": [1] * 13, "y": [1] * 13}, "rows[0].x: expected 1 to 12 values, found 13. Send the latest ones."),
    ({"x": [1e39], "y": [1]}, "rows[0]: expected numbers below 3e38, found 1e+39. Choose another unit."),
    ({"x": [1], "y": [float("inf")]}, "rows[0].y: expected finite numbers, found inf at place 0. Send null where nothing was measured."),
    ({"x": [1], "y": [1], "label": "upp"}, "rows[0].label: expected a known class, found 'upp'. Did you mean 'up'?"),
    ({"x": [1], "y": [1], "label": None}, "rows[0].label: expected a known class, found nothing. Choose from: down, up."),
])
def test_bad_rows_are_named(row, message):
    with pytest.raises(BadRows) as caught:
        codec().encode({name: [value] for name, value in row.items()})
    assert str(caught.value) == message


def test_the_codec_promises_and_reads_back():
    _, made = WholeSeries().prepare(from_object(moves()))
    check_codec(made, moves(12))
    assert load(made.model_dump(mode="json"), CODECS) == made
    assert list(made.schema().inputs) == ["x", "y"]


def test_moments_are_numpys_and_a_constant_channel_says_nothing():
    rng, seen = np.random.default_rng(0), Moments()
    batches = [[rng.normal(1e6, 2, int(n)) for n in rng.integers(1, 9, 5)] for _ in range(4)]
    for batch in batches:
        seen.add(batch)
    together = np.concatenate([v for batch in batches for v in batch])
    made = seen.channel("x")
    assert (made.mean, made.std) == pytest.approx((together.mean(), together.std()))
    flat = Moments()
    flat.add([[7.0] * 5])
    assert flat.channel("x").std == 1e30


def test_prepare_tells_classes_from_amounts():
    series = [[1.0, 2.0, i] for i in range(60)]
    for target, problem in (([i % 3 for i in range(60)], "classes"), (list(range(60)), "regression"), ([i % 3 / 2 for i in range(60)], "regression")):
        task, made = WholeSeries().prepare(from_object({"s": series, "label": target}))
        assert task.problem == made.problem == problem
    assert WholeSeries(problem="regression").prepare(from_object({"s": series, "label": [i % 3 for i in range(60)]}))[1].upper == 2


@pytest.mark.parametrize(("columns", "task", "error", "message"), [
    ({"s": [[1.0, 2.0]] * 4, "lable": ["a", "b"] * 2}, {}, DataError, "label: expected a column of this name, found 2 others. Did you mean 'lable'?"),
    ({"s": [1.0, 2.0] * 2, "label": ["a", "b"] * 2}, {}, DataError,
     "task.inputs: expected columns of series, found none. Give a list of numbers in each row, or set task.unit and time."),
    ({"s": [[1.0, 2.0]] * 4, "label": ["a"] * 4}, {}, DataError,
     "label: expected at least two different values, found only 'a'. A target with one value cannot be learned: give others."),
    ({"s": [[1.0, 2.0]] * 4, "label": ["a", "b"] * 2}, {"inputs": ["t"]}, DataError, "t: expected a column of this name, found 2 others. "),
    ({"s": [[1.0, 2.0]] * 4, "label": ["a", "b"] * 2}, {"unit": "u"}, SpecError,
     "task.time: expected the column that orders the steps of a unit, found nothing. Name it."),
])
def test_data_that_do_not_fit(columns, task, error, message):
    with pytest.raises(error) as caught:
        prepared(WholeSeries.model_validate(task), from_object(columns))
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize("problem", ["classes", pytest.param("regression", marks=pytest.mark.slow)])
def test_the_exported_program_agrees_at_other_lengths(problem):
    import onnxruntime

    rows = moves(20) | ({} if problem == "classes" else {"label": np.arange(20.0).tolist()})
    task, made = WholeSeries(model=SeriesConvNet(**SMALL), problem=problem).prepare(from_object(rows))
    torch.manual_seed(0)
    net = task.build(made).eval()
    program = task.programs(net, made)["predict"]
    session = onnxruntime.InferenceSession(to_onnx(program, rectangular(made.encode({n: v[:3] for n, v in rows.items()}))), providers=["CPUExecutionProvider"])
    for some in ({"x": [[1.0]], "y": [[2.0]]}, {"x": rows["x"][:7], "y": rows["y"][:7]}):
        asked = rectangular(made.encode(some))
        with torch.inference_mode():
            expected = program.module(torch.from_numpy(asked["steps"])).numpy()
        np.testing.assert_allclose(session.run(None, asked)[0], expected, rtol=1e-4, atol=1e-5)


def test_the_baseline_learns_the_same_rows():
    task, made = WholeSeries().prepare(from_object(moves()))
    known, asked = made.encode(moves()), made.encode(moves(60, seed=1))
    found = fit(known, asked, "label", regression=False, seed=0)
    assert (found.outputs["probability"].argmax(1) == asked["label"]).mean() > 0.9
    np.testing.assert_allclose(found.outputs["probability"].sum(1), 1, rtol=1e-5)
    assert task.choices(made, Facts(270, 2, "cpu", None))["train.steps"].reason == "60 passes over 270 rows, from 1000 to 4000 steps"


def test_from_series_to_a_served_class(tmp_path):
    rows = moves(200)
    run = train(parse({"task": {"kind": "series", "model": SMALL}, "train": {"steps": 150, "batch": 32}}), data=rows, root=tmp_path)
    assert evaluate(run, data=rows).metrics["accuracy"].value > 0.9
    answer = Predictor(export(run, data=rows)).predict({"x": [[0.0] * 20], "y": [np.linspace(-2, 2, 20)]})
    assert answer["label"] == ["up"]


def test_from_engines_to_their_remaining_life(tmp_path):
    rows = engines(40)
    spec = parse({"task": RUN_DOWN, "data": {"group": "unit"}, "train": {"steps": 200, "batch": 64}})
    run = train(spec, data=rows, root=tmp_path)
    scores = evaluate(run, part="validation", data=rows)
    assert scores.count > 40  # they ran until they failed: a row a step
    found = gather(spec, rows, check=True)
    assert {f.check for f in found.findings if f.severity == "block"} == set()
    last = gather(parse({"task": {**RUN_DOWN, "judged_at": "last"}, "data": {"group": "unit"}}), rows, check=False)
    assert len(found.opened.sources["test"]) > 5 * len(last.opened.sources["test"])
    program = found.spec.task.programs(found.spec.task.build(found.codec), found.codec)["predict"]
    assert program.outputs == ("value",)


def test_the_codec_needs_no_torch():
    code = "import sys, thuja.apps.series.codec; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_series_that_never_changes_and_one_of_a_single_step_are_answered():
    task, made = WholeSeries().prepare(from_object(moves()))
    torch.manual_seed(0)
    programs = task.programs(task.build(made).eval(), made)
    answer = made.decode(look.answers(programs, made.encode({"x": [[5.0] * 12, [5.0]], "y": [[0.0] * 12, [0.0]]})))
    assert set(answer["label"]) <= set(made.names) and np.isfinite(answer["probability"]).all()
