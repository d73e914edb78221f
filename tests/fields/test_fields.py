"""What every field promises, and the messages of numbers, categories and texts."""

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from thuja.core.errors import DataError
from thuja.fields import Audio, Category, Field, Image, Number, Scores, Text

FIELDS: list[Field] = [
    Number(), Number(missing=True, lower=0, upper=9, integer=True), Number(edges=(0.0, 1.0, 2.0)), Category(names=("a", "b")),
    Category(names=("a", "b"), missing=True, unknown=True), Text(), Scores(names=("a", "b", "c")), Image(), Image(channels=1),
    Audio(rate=8000),
]


@pytest.mark.parametrize("field", FIELDS, ids=repr)
def test_fake_values_pass_the_check_and_survive_json(field: Field) -> None:
    values = field.fake(np.random.default_rng(0), 24)
    assert len(values) == 24
    for value in values:
        field.check(value, "x")
        text = json.dumps(field.to_json(value), allow_nan=False)
        again = field.from_json(json.loads(text), "x")
        if not isinstance(field, Image):
            assert again == value or (again is None and value in ("", None))


@pytest.mark.parametrize("field", FIELDS, ids=repr)
def test_fake_values_depend_on_the_seed_alone(field: Field) -> None:
    first, same, other = (field.fake(np.random.default_rng(s), 12) for s in (1, 1, 2))
    assert first == same
    assert first != other


@pytest.mark.parametrize("field", FIELDS, ids=repr)
def test_summaries_are_plain_and_their_distance_is_from_zero_to_one(field: Field) -> None:
    old, new = (field.summarise(field.fake(np.random.default_rng(s), 60)) for s in (1, 2))
    json.dumps(old, allow_nan=False)
    assert field.distance(old, old) == 0
    assert 0 <= field.distance(old, new) <= 1
    assert math.isclose(field.distance(old, new), field.distance(new, old))


def test_a_shift_is_seen() -> None:
    rng = np.random.default_rng(0)
    field = Number(edges=tuple(np.linspace(-2, 2, 9)))
    here, there = field.summarise(list(rng.normal(0, 1, 2000))), field.summarise(list(rng.normal(2, 1, 2000)))
    assert field.distance(here, there) > 0.5
    assert field.distance(here, field.summarise(list(rng.normal(0, 1, 2000)))) < 0.1


@pytest.mark.parametrize("field", FIELDS, ids=repr)
@given(value=st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=30) | st.binary(max_size=30) | st.lists(st.integers(), max_size=3))
def test_any_json_is_taken_or_refused_with_four_parts(field: Field, value: object) -> None:
    try:
        field.from_json(value, "rows[3].x")
    except DataError as error:
        assert error.where == "rows[3].x"
        assert all((error.expected, error.found, error.fix))


@pytest.mark.parametrize(("field", "value", "message"), [
    (Number(), None, "x: expected a number, found nothing. Give a value, or allow missing values in the spec and train again."),
    (Number(), math.nan, "x: expected a number, found nothing. Give a value, or allow missing values in the spec and train again."),
    (Number(missing=True), math.inf, "x: expected a finite number, found inf. Send a finite number, or null where missing values are allowed."),
    (Number(), "3,5", "x: expected a number, found '3,5'. Send a plain number such as 3.5."),
    (Number(), True, "x: expected a number, found True. Send a plain number such as 3.5."),
    (Number(lower=0), -1, "x: expected at least 0, found -1. Check the unit and the sign."),
    (Number(upper=1), 2.5, "x: expected at most 1, found 2.5. Check the unit."),
    (Category(names=("red", "green")), "gren", "x: expected a known name, found 'gren'. Did you mean 'green'?"),
    (Category(names=("red",)), None, "x: expected a name, found nothing. Give a value, or allow missing values in the spec and train again."),
    (Category(names=("red",)), ["red"], "x: expected a name, found list. Send plain text."),
    (Text(), b"\xff\xd8\xff\xe0", "x: expected text, found a picture. Send a string; to classify pictures, train an image-classification task."),
    (Text(), 5, "x: expected text, found int. Send a string; to classify pictures, train an image-classification task."),
    (Text(max_characters=3), "long", "x: expected at most 3 characters, found 4. Send a shorter text, or raise max_characters."),
    (Text(), "\ud83d", "x: expected valid Unicode, found half a surrogate pair. Encode the text as UTF-8."),
])
def test_whole_messages(field: Field, value: object, message: str) -> None:
    with pytest.raises(DataError) as caught:
        field.from_json(value, "x")
    assert str(caught.value) == message
