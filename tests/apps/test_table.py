"""Tables: the codec, the statistics, the task, and the programs in onnxruntime."""

import math

import numpy as np
import pytest
import torch

from thuja.apps.table import boosting
from thuja.apps.table import codec as codec_module
from thuja.apps.table.codec import TableCodec, name_of
from thuja.apps.table.statistics import ColumnStatistics, learn
from thuja.apps.table.task import Table
from thuja.codec import load
from thuja.core.errors import BadRows, DataError, SpecError
from thuja.metrics import METRICS
from thuja.models.tabular import Tabular
from thuja.settings import Train
from thuja.task import Facts, Part
from thuja.testing import check_codec, check_task
from thuja.training.loop import begin, steps

SMALL = Tabular(members=4, width=32, embedding=4, bins=8, dropout=0.0)


class Rows:
    """Columns in memory as a source."""

    def __init__(self, columns):
        self.columns, self.names = columns, tuple(columns)

    def __len__(self):
        return len(self.columns[self.names[0]])

    def take(self, index):
        return {name: [values[i] for i in index] for name, values in self.columns.items()}

    def batches(self, size=1024):
        for start in range(0, len(self), size):
            yield {name: values[start : start + size] for name, values in self.columns.items()}

    def ids(self, index):
        return [str(i) for i in index]


def houses(rows=600, seed=0):
    """Rooms (some missing), a constant, a town (one very rare), free text, a price that needs all, whether it is dear, and one of three classes."""
    rng = np.random.default_rng(seed)
    rooms = rng.integers(1, 9, rows).astype(float)
    town = rng.choice(["Ash", "Elm", "Oak"], rows)
    age = rng.uniform(0, 90, rows)
    price = rooms * 10 + np.where(town == "Oak", 40, 0) - np.abs(age - 45) + rng.normal(0, 2, rows)
    columns = {
        "rooms": [None if i % 10 == 3 else float(r) for i, r in enumerate(rooms)],
        "age": age.tolist(),
        "one": [1.0] * rows,
        "town": ["Fir" if i == 5 else str(t) for i, t in enumerate(town)],
        "note": [f"seen on day {i}" for i in range(rows)],
        "price": price.tolist(),
    }
    columns["dear"] = ["yes" if p > 30 else "no" for p in price]
    columns["size"] = [1.0 if p < 10 else 2.0 if p < 40 else 10.0 for p in price]
    return columns


def prepared(target, **task):
    others = {"price", "dear", "size"} - {target}
    source = Rows({name: values for name, values in houses().items() if name not in others})
    return source, *Table(target=target, model=SMALL, **task).prepare(source)


def test_prepare_settles_every_auto():
    _, task, codec = prepared("dear")
    assert (task.problem, task.numbers, task.categories, task.metric) == ("binary", ("rooms", "age"), ("town",), "accuracy")
    assert codec.names == ("no", "yes")
    assert codec.shares == pytest.approx([houses()["dear"].count(name) / 600 for name in codec.names])
    assert codec.categories[0].names == ("Ash", "Elm", "Oak"), "a town seen once is an unknown one"
    assert [c.integer for c in codec.numbers] == [True, False]
    assert codec.numbers[0].missing == pytest.approx(0.1)
    assert codec.numbers[0].quantiles[0] == 1.0
    assert codec.numbers[0].quantiles[-1] == 8.0


@pytest.mark.parametrize(("target", "problem", "metric", "names"), [
    ("price", "regression", "rmse", ()), ("size", "classes", "accuracy", ("1", "2", "10"))])
def test_the_problem_is_seen_in_the_target(target, problem, metric, names):
    _, task, codec = prepared(target)
    assert (task.problem, task.metric, codec.names) == (problem, metric, names)
    assert set(task.metrics(codec)) <= set(METRICS)


def test_what_is_typed_is_never_overruled():
    _, task, codec = prepared("size", problem="regression", numbers=("age",), categories=("town", "rooms"), metric="mae")
    assert (task.problem, task.numbers, task.categories, task.metric) == ("regression", ("age",), ("town", "rooms"), "mae")
    assert codec.categories[1].names == tuple("12345678"), "numbers as names, without a point"
    _, task, codec = prepared("dear", exclude=("age",), positive="no")
    assert task.numbers == ("rooms",)
    assert codec.names == ("yes", "no")


def test_rare_positives_are_judged_by_average_precision():
    rows = {"x": list(range(200)), "fraud": [i % 40 == 0 for i in range(200)]}
    task, codec = Table(target="fraud").prepare(Rows(rows))
    assert (task.metric, task.goal, codec.names) == ("average_precision", ("average_precision", "max"), ("False", "True"))


@pytest.mark.parametrize(("columns", "task", "message"), [
    ({"x": [1.0, 2.0], "y": ["a", "b"]}, {"target": "z"}, "z: expected a column of this name, found 2 others. Choose from: x, y."),
    ({"x": [1.0, 2.0], "y": ["a", "b"]}, {"target": "y", "numbers": ("xx",)}, "xx: expected a column of this name, found 2 others. Did you mean 'x'?"),
    ({"x": [1.0, 2.0], "y": ["a", "a"]}, {"target": "y"},
     "y: expected at least two different values, found only 'a'. A target with one value cannot be learned: give rows with others."),
    ({"x": [1.0, 2.0], "y": [1.5, 1.5]}, {"target": "y"},
     "y: expected at least two different values, found only '1.5'. A target with one value cannot be learned: give rows with others."),
    ({"x": [1.0, 2.0], "y": [None, None]}, {"target": "y"},
     "y: expected at least two different values, found none. A target with one value cannot be learned: give rows with others."),
    ({"x": [1.0, 1.0, 1.0, 1.0], "y": ["a", "b", "a", "b"]}, {"target": "y"},
     "data: expected at least one column to learn from, found none that is usable. Name columns in task.numbers or task.categories."),
    ({"x": [1.0, 2.0, 3.0], "y": ["a", "b", "c"]}, {"target": "y"},
     "y: expected classes that repeat, or numbers, found 3 different texts in 3 rows. Choose another target, or clean this one."),
    ({"x": [1.0, 2.0, 3.0], "y": ["a", "b", "c"]}, {"target": "y", "problem": "binary"},
     "y: expected two different values, found 3. Set task.problem to classes, or to regression."),
    ({"x": [1.0, 2.0], "y": ["no", "yes"]}, {"target": "y", "problem": "binary", "positive": "yess"},
     "task.positive: expected a value of y, found 'yess'. Did you mean 'yes'?"),
    ({"x": [1.0, 2.0], "y": ["a", "b"]}, {"target": "y", "problem": "regression"},
     "y: expected numbers, found text. Set task.problem to classes, or choose another target."),
])
def test_what_cannot_be_learned_is_said(columns, task, message):
    with pytest.raises(DataError) as caught:
        Table(**task).prepare(Rows(columns))
    assert str(caught.value) == message


@pytest.mark.parametrize(("task", "message"), [
    ({"target": "y", "numbers": ("x",), "categories": ("x",)},
     "task.categories: expected each column named once, found 'x', which is also in task.numbers. Name it in one place."),
    ({"target": "y", "numbers": ("y",)}, "task.numbers: expected each column named once, found 'y', which is also in task.target. Name it in one place."),
    ({"target": "y", "metric": "accuracy"}, "task.metric: expected one of rmse, mae, r2, found accuracy. The problem is regression."),
])
def test_a_spec_that_contradicts_itself_is_refused(task, message):
    with pytest.raises(SpecError) as caught:
        Table(**task).prepare(Rows({"x": [1.0, 2.0], "y": [0.5, 1.5]}))
    assert str(caught.value) == message


def test_encode_shapes_types_and_what_missing_and_unknown_become():
    _, _, codec = prepared("dear")
    columns = codec.encode({"rooms": [3, None, np.float32(2)], "age": [1.5, math.nan, 7], "town": ["Oak", None, "Atlantis"], "dear": ["no", "yes", "no"]})
    shapes = {name: (c.dtype.name, c.shape) for name, c in columns.items()}
    assert shapes == {"numbers": ("float32", (3, 2)), "categories": ("int64", (3, 1)), "dear": ("int64", (3,))}
    np.testing.assert_array_equal(columns["numbers"], np.array([[3, 1.5], [np.nan, np.nan], [2, 7]], np.float32))
    assert columns["categories"].tolist() == [[3], [0], [0]]
    assert columns["dear"].tolist() == [0, 1, 0]
    assert "dear" not in codec.encode({"rooms": [1], "age": [1], "town": ["Oak"]})


def test_encode_is_row_by_row_independent_and_reads_arrays():
    source, _, codec = prepared("price")
    whole = codec.encode(source.columns)
    for i in (0, 3, 5, 77):
        one = codec.encode(source.take([i]))
        for name, column in whole.items():
            np.testing.assert_array_equal(one[name][0], column[i])
    arrays = codec.encode({"rooms": np.array([1, 2]), "age": np.array([1.0, np.nan]), "town": np.array(["Oak", "Elm"])})
    assert arrays["categories"].tolist() == [[3], [2]]


def test_whole_numbers_are_one_category_however_written():
    assert [name_of(v) for v in (1, 1.0, "1", "1.0", -2.0, "v1.0", True, "1.50")] == ["1", "1", "1", "1", "-2", "v1.0", "True", "1.50"]


@pytest.mark.parametrize(("column", "value", "message"), [
    ("rooms", "three", "rows[1].rooms: expected a number, found 'three'. Send a plain number such as 3.5."),
    ("rooms", "3", "rows[1].rooms: expected a number, found '3'. Send a plain number such as 3.5."),
    ("rooms", True, "rows[1].rooms: expected a number, found True. Send a plain number such as 3.5."),
    ("age", math.inf, "rows[1].age: expected a finite number, found inf. Send a finite number below 3e38, or null where the value is missing."),
    ("age", 1e39, "rows[1].age: expected a finite number, found 1e+39. Send a finite number below 3e38, or null where the value is missing."),
    ("town", ["Oak"], "rows[1].town: expected a name, found list. Send plain text."),
    ("town", b"Oak", "rows[1].town: expected a name, found bytes. Send plain text."),
    ("dear", "yess", "rows[1].dear: expected a known class, found 'yess'. Did you mean 'yes'?"),
    ("dear", None, "rows[1].dear: expected a known class, found nothing. Fill the target in, or leave the row out."),
])
def test_bad_cells_are_named(column, value, message):
    _, _, codec = prepared("dear")
    rows = {"rooms": [1.0, 2.0], "age": [1.0, 2.0], "town": ["Oak", "Elm"], "dear": ["no", "yes"]}
    rows[column] = [rows[column][0], value]
    with pytest.raises(BadRows) as caught:
        codec.encode(rows)
    assert list(caught.value.rows) == [1]
    assert str(caught.value) == message


def test_a_missing_number_to_learn_is_a_bad_row_and_an_absent_column_is_an_error():
    _, _, codec = prepared("price")
    with pytest.raises(BadRows) as bad:
        codec.encode({"rooms": [1.0], "age": [1.0], "town": ["Oak"], "price": [None]})
    assert str(bad.value) == "rows[0].price: expected a number, found nothing. Fill the target in, or leave the row out."
    with pytest.raises(DataError) as absent:
        codec.encode({"rooms": [1.0], "age": [1.0], "towns": ["Oak"]})
    assert str(absent.value) == "town: expected a column of this name, found 3 others. Did you mean 'towns'?"


def test_the_codec_survives_json_and_decodes():
    _, _, codec = prepared("size")
    again = load(codec.model_dump(mode="json"), {"table": "thuja.apps.table.codec:TableCodec"})
    assert again == codec
    assert again.digest() == codec.digest()
    decoded = codec.decode({"probability": np.array([[0.25, 0.75, 0.0]], np.float32)})
    assert decoded == {"label": ["2"], "probability": [0.75], "probabilities": [{"1": 0.25, "2": 0.75, "10": 0.0}]}
    assert TableCodec(target="y", problem="regression").decode({"value": np.array([1.5], np.float32)}) == {"value": [1.5]}


@pytest.mark.parametrize("target", ["price", "dear"])
def test_whatever_the_fields_make_up_can_be_encoded_and_every_answer_is_one_of_its_field(target):
    _, task, codec = prepared(target)
    schema = codec.schema()
    rng = np.random.default_rng(0)
    rows = {name: [field.from_json(field.to_json(v), name) for v in field.fake(rng, 20)] for name, field in schema.inputs.items()}
    torch.manual_seed(0)
    program = task.programs(task.build(codec), codec)["predict"]
    columns = codec.encode(rows)
    with torch.inference_mode():
        output = program.module(*[torch.from_numpy(columns[name]) for name in program.inputs])
    decoded = codec.decode({program.outputs[0]: output.numpy()})
    assert set(decoded) == set(schema.outputs)
    for name, field in schema.outputs.items():
        for value in decoded[name]:
            field.check(value, name)


def test_statistics_take_a_bounded_sample_and_give_the_same_twice(monkeypatch):
    monkeypatch.setattr("thuja.apps.table.statistics.SAMPLE", 500)
    source = Rows({"x": np.arange(5000, dtype=float)})
    one, two = (learn(source.batches(700), ("x",), ())["x"] for _ in range(2))
    assert len(one.sample) == 500
    assert one.quantiles == two.quantiles
    assert one.quantiles[64] == pytest.approx(2500, abs=300)
    assert not one.names, "numbers are only counted where they are names"


def test_statistics_forget_the_rarest_names_of_a_crowded_column(monkeypatch):
    monkeypatch.setattr("thuja.apps.table.statistics.MOST_NAMES", 100)
    column = ColumnStatistics("id")
    column.add(["often"] * 10 + [f"id{i}" for i in range(200)])
    assert column.crowded
    assert len(column.names) == 50
    assert column.names["often"] == 10


def trained(target):
    source, task, codec = prepared(target)
    columns = codec.encode(source.columns)
    known = task.choices(codec, Facts(len(source), 2, "cpu", None))
    train = Train(steps=known["train.steps"].value, batch=known["train.batch"].value, optimizer=known["train.optimizer"].value)
    state = begin(task, codec, train)
    for _ in steps(task, state, columns, train):
        pass
    return source, task, codec, columns, state.best_model


@pytest.mark.parametrize(("target", "metric", "at_least"), [("price", "r2", 0.9), ("dear", "accuracy", 0.93), ("size", "accuracy", 0.85)])
def test_it_learns(target, metric, at_least):
    from thuja.metrics import Outputs

    source, task, codec, _, model = trained(target)
    unseen = codec.encode({name: values for name, values in houses(seed=1).items() if name in source.names})
    program = task.programs(model, codec)["predict"]
    with torch.inference_mode():
        answers = program.module(*[torch.from_numpy(unseen[name]) for name in program.inputs]).numpy()
    baseline = task.baseline(codec, Part(source, codec.encode(source.columns)), Part(source, unseen), 0)
    assert baseline.outputs[program.outputs[0]].shape == answers.shape
    assert METRICS[metric].value(Outputs(unseen[target], {program.outputs[0]: answers})) >= at_least
    assert METRICS[metric].value(Outputs(unseen[target], baseline.outputs)) >= at_least - 0.05


@pytest.mark.parametrize("target", ["price", "size"])
def test_the_baseline_is_there_without_lightgbm(target, monkeypatch):
    monkeypatch.setattr(boosting.importlib.util, "find_spec", lambda name: None)
    source, task, codec = prepared(target)
    columns = codec.encode(source.columns)
    found = task.baseline(codec, Part(source, columns), Part(source, columns), 0)
    assert found.name.startswith("gradient boosting (scikit-learn, ")
    assert {name: a.shape for name, a in found.outputs.items()} == ({"value": (600,)} if target == "price" else {"probability": (600, 3)})


@pytest.mark.parametrize(("target", "drop"), [("price", ()), ("size", ("town",)), ("dear", ("rooms", "age"))])
def test_the_programs_answer_alike_in_onnxruntime(target, drop):
    import onnxruntime

    from thuja.graph.onnxwrite import to_onnx

    source, task, codec = prepared(target, exclude=drop)
    torch.manual_seed(0)
    model = task.build(codec)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.1)
    program = task.programs(model, codec)["predict"]
    assert len(program.inputs) == (1 if drop else 2)
    columns = codec.encode(source.columns)
    session = onnxruntime.InferenceSession(to_onnx(program, {name: columns[name][:8] for name in program.inputs}))
    for rows in (1, 7, 50):
        inputs = {name: columns[name][:rows] for name in program.inputs}
        with torch.inference_mode():
            expected = program.module(*map(torch.from_numpy, inputs.values())).numpy()
        np.testing.assert_allclose(session.run(None, inputs)[0], expected, rtol=1e-5, atol=2e-5)


def test_answers_stay_within_what_training_saw():
    _, task, codec = prepared("price")
    torch.manual_seed(0)
    model = task.build(codec)
    with torch.no_grad():
        model.head_bias.fill_(1e6)
    rows = codec.encode({"rooms": [1e30], "age": [-1e30], "town": ["Oak"]})
    program = task.programs(model, codec)["predict"]
    assert program.module(torch.from_numpy(rows["numbers"]), torch.from_numpy(rows["categories"])).item() == pytest.approx(max(houses()["price"]), rel=1e-6)


def test_choices_leave_the_horizon_to_a_budget():
    _, task, codec = prepared("dear")
    free = task.choices(codec, Facts(30_000, 2, "cpu", None))
    bound = task.choices(codec, Facts(30_000, 2, "cpu", 60.0))
    assert "train.steps" in free
    assert "train.steps" not in bound
    assert free["train.batch"] == bound["train.batch"]
    assert all(choice.reason for choice in free.values())


@pytest.mark.parametrize("target", ["price", "dear", "size"])
def test_it_keeps_the_contract(target):
    others = {"price", "dear", "size"} - {target}
    rows = {name: values for name, values in houses(200).items() if name not in others}
    check_codec(Table(target=target).prepare(Rows(rows))[1], {name: values[:8] for name, values in rows.items()})
    check_task(Table(target=target, model=SMALL), rows | {"rooms": [0.0 if r is None else r for r in rows["rooms"]]})


@pytest.mark.parametrize("columns", [
    [[1, 2.5, None], [0, -1, 3]], [[1.0], [None]], [[1e300], [0.0]], [[True], [1.0]], [["x"], [1.0]], [[float("nan")], [2]], [[float("inf")], [2]],
])
def test_plain_numbers_at_once_are_those_of_one_column_at_a_time(columns):
    bad = {}
    slowly = np.stack([codec_module._numbers(values, "c", bad) for values in columns], axis=1)
    at_once = codec_module._plain_numbers(columns)
    assert (at_once is None) == bool(bad)
    if at_once is not None:
        assert at_once.dtype == np.float32 and at_once.flags.c_contiguous
        np.testing.assert_array_equal(at_once, slowly)
