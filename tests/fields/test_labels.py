"""Several names at once: what is taken, what is refused, and how summaries differ."""

import pytest

from thuja.core.errors import DataError
from thuja.fields import Labels
from thuja.testing import check_field


@pytest.mark.parametrize("field", [Labels(names=("a", "b", "c")), Labels(names=("a", "b"), threshold=0.5), Labels()], ids=repr)
def test_the_contract(field: Labels) -> None:
    check_field(field)


@pytest.mark.parametrize(("value", "message"), [
    ("a", 'x: expected a list of names, found str. Give a list such as ["cat", "dog"]; an empty one is allowed.'),
    (["a", "z"], "x[1]: expected a known name, found 'z'. Choose from: a, b."),
    (["a", "a"], "x: expected each name once, found 'a' twice. Leave one of them out."),
    ([["a"]], "x[0]: expected a known name, found ['a']. Choose from: a, b.")])
def test_what_are_no_labels_is_refused(value: object, message: str) -> None:
    with pytest.raises(DataError) as caught:
        Labels(names=("a", "b")).from_json(value, "x")
    assert str(caught.value) == message


def test_other_names_and_none_are_seen_in_the_summary() -> None:
    field = Labels(names=("a", "b"))
    old, new, none = (field.summarise([value] * 5) for value in (["a"], ["b"], []))
    assert (field.distance(old, old), field.distance(old, new), field.distance(old, none)) == (0.0, 1.0, 1.0)
    assert old == {"rows": 5, "none": 0, "counts": {"a": 5, "b": 0}}
