"""Series and moments: what they promise, and their messages."""

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from thuja.core.errors import DataError
from thuja.fields import Moment, Series
from thuja.testing import check_field

FIELDS = [Series(), Series(least=3, most=3, gaps=False), Series(missing=True, edges=(0.0, 1.0)), Moment(), Moment(missing=False)]


@pytest.mark.parametrize("field", FIELDS, ids=repr)
def test_the_contract(field):
    check_field(field)


@pytest.mark.parametrize("field", FIELDS, ids=repr)
@given(value=st.none() | st.floats() | st.text(max_size=20) | st.lists(st.none() | st.floats() | st.text(max_size=3), max_size=5))
def test_any_json_is_taken_or_refused_with_four_parts(field, value):
    try:
        field.from_json(value, "rows[3].x")
    except DataError as error:
        assert error.where == "rows[3].x"
        assert all((error.expected, error.found, error.fix))


@pytest.mark.parametrize(("field", "value", "message"), [
    (Series(), None, "x: expected a list of numbers, found nothing. Send the values in the order of time, the latest last."),
    (Series(), 3, "x: expected a list of numbers, found int. Send the values in the order of time, the latest last."),
    (Series(least=4), [1, 2, 3], "x: expected 4 to 4096 values, found 3. Send more of the past: this is shorter than the window that is read."),
    (Series(most=2), [1, 2, 3], "x: expected 1 to 2 values, found 3. Send the latest ones."),
    (Series(least=2, most=2), [1], "x: expected 2 values, found 1. Send more of the past: this is shorter than the window that is read."),
    (Series(), [1, "2"], "x: expected a list of numbers, found '2' at place 1. Send plain numbers, and null for gaps."),
    (Series(), [True], "x: expected a list of numbers, found True at place 0. Send plain numbers, and null for gaps."),
    (Series(), [1.0, math.inf], "x: expected finite numbers, found inf at place 1. Send null where nothing was measured."),
    (Series(), [10**400], "x: expected finite numbers, found one beyond a double at place 0. Check the unit."),
    (Series(), [None, None], "x: expected at least one number, found 2 gaps. Send what was measured."),
    (Series(gaps=False), [1.0, None], "x: expected a number at every step, found a gap at place 1. Fill the gaps."),
    (Moment(missing=False), None, "x: expected a time, found nothing. Write it as 2026-01-31T12:00."),
    (Moment(), "yesterday", "x: expected a time, found 'yesterday'. Write it as 2026-01-31T12:00."),
    (Moment(), 20260131, "x: expected a time, found int. Write it as 2026-01-31T12:00."),
])
def test_whole_messages(field, value, message):
    with pytest.raises(DataError) as caught:
        field.from_json(value, "x")
    assert str(caught.value) == message


def test_arrays_and_lists_are_one_series():
    field = Series()
    for value in ([1, None, 2.5], np.array([1, np.nan, 2.5]), np.array([1, np.nan, 2.5], np.float32)):
        assert field.to_json(value) == [1.0, None, 2.5]
        np.testing.assert_array_equal(field.array(value, "x"), [1, np.nan, 2.5])
    assert Series(most=7).most_values == 7
    assert Moment().most_values == 1


def test_a_shift_is_seen():
    field, rng = Series(edges=tuple(np.linspace(-2, 2, 9))), np.random.default_rng(0)
    here, again, there = (field.summarise([rng.normal(m, 1, 50) for _ in range(40)]) for m in (0, 0, 2))
    json.dumps(here, allow_nan=False)
    assert field.distance(here, there) > 0.5
    assert field.distance(here, again) < 0.1
    assert here["lengths"][5] == 40


def test_moments_are_seconds_since_1970():
    assert Moment().seconds("1970-01-02T00:00", "x") == 86400
    assert Moment().seconds("1970-01-02", "x") == 86400
    assert Moment().seconds("1970-01-02T02:00:00+02:00", "x") == 86400
    assert Moment().seconds(None, "x") is None
