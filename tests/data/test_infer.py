import numpy as np
import pytest

from thuja.core.errors import DataError
from thuja.data.infer import infer
from thuja.data.objects import from_object
from thuja.data.source import open_source
from thuja.settings import Data

RNG = np.random.default_rng(0)
ROWS = 400


def table(**columns):
    return {"all": from_object({"id": list(range(ROWS)), "size": RNG.normal(size=ROWS), "colour": ["red", "blue"] * (ROWS // 2), **columns})}


def refused(*arguments):
    with pytest.raises(DataError) as caught:
        infer(*arguments)
    return str(caught.value)


@pytest.mark.parametrize(("target", "problem", "why"), [
    (["yes", "no"] * 200, "binary", "'y' has two values"),
    (["a", "b", "c", "d"] * 100, "classes", "'y' has 4 values"),
    ([0.0, 1.0, 2.0, 3.0] * 100, "classes", "'y' has 4 values"),
    (np.arange(400.0) / 7, "regression", "'y' has 400 different numbers"),
    (np.arange(400) % 30, "regression", "'y' has 30 different numbers"),
])
def test_problem(target, problem, why):
    guess = infer(table(y=target))
    assert guess.task == {"kind": "table", "target": "y", "problem": problem, "numbers": ["size"], "categories": ["colour"]}
    assert f"Problem: {problem}, because {why}." in guess.notes


def test_every_decision_is_said():
    guess = infer(table(
        when=[f"2026-01-{1 + i % 28:02d}" for i in range(ROWS)], empty=[None] * ROWS, same=["x"] * ROWS, name=[f"n{i * 7919}" for i in range(ROWS)],
        customer_id=[i % 40 for i in range(ROWS)], remark=[f"a long remark on item {i}" for i in range(ROWS)],
        weight=[*(f"{i}.5" for i in range(ROWS - 1)), "heavy"], price=np.arange(ROWS) * 1.5))
    assert guess.task == {"kind": "table", "target": "price", "problem": "regression", "numbers": ["size"], "categories": ["colour"]}
    assert guess.notes == [
        "400 rows with 11 columns.",
        "Target: 'price', the last column; name another with --target.",
        "Problem: regression, because 'price' has 400 different numbers.",
        "Left out: 'id', 400 different values in 400 rows name a row rather than describe it.",
        "Left out: 'when', a time; it orders the rows.",
        "Left out: 'empty', every cell is missing.",
        "Left out: 'same', it is the same in every row.",
        "Left out: 'name', 400 different values in 400 rows name a row rather than describe it.",
        "Left out: 'customer_id', an id that comes again; if rows with the same one belong together, set data.group to it.",
        "Left out: 'remark', a free text.",
        "Left out: 'weight', it is numbers but for cells such as 'heavy'; if these mean nothing is there, add them to data.missing.",
        "1 columns of numbers, 1 of categories.",
        "Split: time, because the rows have times ('when'), and a model is used on what comes later.",
    ]


def test_a_few_odd_cells_in_a_small_set_of_numbers_make_categories():
    guess = infer(table(grade=[*([str(i % 5) for i in range(ROWS - 2)]), "absent", "ill"], y=["a", "b"] * 200))
    assert guess.task["categories"] == ["colour", "grade"]
    assert "'grade' is taken as categories because of cells such as 'absent', 'ill'; if these mean nothing is there, add them to data.missing." in guess.notes


def test_text_with_classes():
    guess = infer(table(message=[f"some words and the number {i}" for i in range(ROWS)], label=["ham", "spam"] * 200))
    assert guess.task == {"kind": "text-classification", "text": "message", "target": "label"}
    assert guess.notes[1:4] == ["Target: 'label', by its name.", "Text: 'message', 6 words on average.", "Not used: 'id', 'size', 'colour'."]


def test_pictures():
    guess = infer({"all": from_object({"photo": np.zeros((4, 5, 5), np.uint8), "kind": ["a", "b", "a", "b"]})})
    assert guess.task == {"kind": "image-classification", "image": "photo", "target": "kind"}


def test_names_of_picture_files():
    guess = infer(table(photo=[f"photos/{i}.JPG" for i in range(ROWS)], label=["a", "b"] * 200))
    assert (guess.task, guess.data) == ({"kind": "image-classification", "image": "photo", "target": "label"}, {"files": ["photo"]})


def test_target_absent():
    assert refused(table(price=np.arange(ROWS)), "prize") == "target: expected the name of a column, found 'prize'. Did you mean 'price'?"


@pytest.mark.parametrize(("values", "message"), [
    ([None] * ROWS, "data: y: expected values to learn, found nothing but missing cells. Name another target with --target."),
    (["a"] * ROWS, "data: y: expected at least two different values, found one. Add rows of what it is to be told apart from."),
])
def test_target_without_content(values, message):
    assert refused(table(y=values)) == message


def test_nothing_to_learn_from():
    assert refused({"all": from_object({"a": [1, 2]})}) == (
        "data: expected a column to predict and one to predict it from, found one column, 'a'. Add one."
    )
    assert refused({"all": from_object({"id": list(range(40)), "y": [0, 1] * 20})}) == (
        "data: expected a column to learn from, found none besides the target. Name another target with --target, or add columns."
    )


@pytest.mark.parametrize(("name", "target", "task"), [
    ("sms_spam/smsspamcollection.tsv", None, {"kind": "text-classification", "text": "message", "target": "label"}),
    ("mnist", None, {"kind": "image-classification", "image": "image", "target": "label"}),
    ("noaa_weather", None, {"kind": "table", "target": "target", "problem": "binary", "numbers": [f"feat_{i}" for i in range(1, 9)], "categories": []}),
])
def test_real_sets(real, name, target, task):
    assert infer(open_source(Data(path=str(real(name)))), target).task == task
