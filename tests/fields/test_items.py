import numpy as np
import pytest

from thuja.core.errors import DataError
from thuja.fields import Items, Ranking
from thuja.testing import check_field


@pytest.mark.parametrize("field", [Items(), Items(missing=True, examples=("a", "b")), Items(longest=3), Ranking(), Ranking(most=2, examples=("x", "y", "z"))],
                         ids=repr)
def test_the_contract(field):
    check_field(field)


def test_a_list_of_names_comes_in_several_forms():
    field = Items(missing=True, longest=3)
    assert field.from_json(["a", 17, 3.0], "x") == ["a", "17", "3"]
    assert field.from_json("first\n\n second \n", "x") == ["first", "second"]
    assert field.from_json(None, "x") == field.from_json([], "x") == []
    assert field.json_schema() == {"type": ["array", "null"], "items": {"type": ["string", "integer"], "minLength": 1, "maxLength": 1000},
                                   "maxItems": 3}
    assert (Items(longest=30).most_values, Ranking(most=5).most_values) == (30, 5)


@pytest.mark.parametrize(("value", "message"), [
    (None, 'x: expected a list of names, found nothing. Send a list such as ["first", "second"], the latest last.'),
    ({"a": 1}, 'x: expected a list of names, found dict. Send a list such as ["first", "second"], the latest last.'),
    ([], "x: expected at least one name, found an empty list. Send what was taken so far, the latest last."),
    (["a"] * 4, "x: expected at most 3 names, found 4. Send the latest ones."),
    (["a", None], "x[1]: expected a name of 1 to 1000 characters, found nothing. Send names of items as text."),
    (["a", True], "x[1]: expected a name of 1 to 1000 characters, found bool. Send names of items as text."),
    ([""], "x[0]: expected a name of 1 to 1000 characters, found 0 characters. Send names of items as text."),
])
def test_what_is_no_list_of_names_is_refused(value, message):
    with pytest.raises(DataError) as caught:
        Items(longest=3).from_json(value, "x")
    assert str(caught.value) == message


@pytest.mark.parametrize("value", [[{"item": "a"}], [{"item": "a", "score": float("nan")}], [{"item": "a", "score": 1.0}, {"item": "b", "score": 2.0}], ["a"]])
def test_what_is_no_ranking_is_refused(value):
    with pytest.raises(DataError, match="expected an item and its score, not above the one before"):
        Ranking().check(value, "x")


def test_other_items_are_seen_in_the_summary():
    field = Items(examples=("a", "b"))
    old, new, stranger = (field.summarise([[name] * 3] * 10) for name in ("a", "b", "zzz"))
    assert (field.distance(old, old), field.distance(old, new), field.distance(old, stranger)) == (0.0, 1.0, 1.0)
    rng = np.random.default_rng(0)
    assert Ranking().distance(Ranking(examples=("a",)).summarise([[{"item": "a", "score": 1.0}]]), Ranking(examples=("b",)).summarise([])) == 0.0
    assert len(field.fake(rng, 9)) == 9
