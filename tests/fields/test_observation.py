"""Observations: the contract of a field, and what is refused."""

import numpy as np
import pytest

from thuja.core.errors import DataError
from thuja.fields import Observation
from thuja.testing import check_field

FIELD = Observation(size=3, low=(-1.0, 0.0, 5.0), high=(1.0, 0.5, 5.0))


@pytest.mark.parametrize("field", [FIELD, Observation(), Observation(size=40)])
def test_the_contract(field: Observation) -> None:
    check_field(field)


@pytest.mark.parametrize(("value", "said"), [
    ([1.0, 2.0], "here: expected 3 numbers, found 2. Send one observation, whole, in the order of the environment."),
    (None, "here: expected a list of 3 numbers, found nothing. Send the numbers in the order in which the environment gives them."),
    ("1 2 3", "here: expected a list of 3 numbers, found str. Send the numbers in the order in which the environment gives them."),
    ([1.0, float("nan"), 2.0], "here[1]: expected a finite number, found nan. Send what was measured."),
    ([1.0, 2.0, 1e39], "here[2]: expected a finite number, found 1e+39. Send what was measured."),
    ([1.0, "2", 3.0], "here[1]: expected a number, found 2. Send plain numbers such as 0.25."),
    ([1.0, True, 3.0], "here[1]: expected a number, found True. Send plain numbers such as 0.25."),
    ([1.0, None, 3.0], "here[1]: expected a number, found None. Send plain numbers such as 0.25."),
])
def test_what_is_refused(value: object, said: str) -> None:
    with pytest.raises(DataError) as error:
        FIELD.from_json(value, "here")
    assert str(error.value) == said


def test_an_array_is_an_observation() -> None:
    np.testing.assert_array_equal(FIELD.array(np.array([1, 2, 3], np.float32), "here"), [1.0, 2.0, 3.0])


def test_summaries_tell_another_range() -> None:
    rng = np.random.default_rng(0)
    usual = rng.uniform([-1, 0, 5], [1, 0.5, 5], (400, 3))
    shifted = usual + np.array([0.0, 0.4, 0.0])
    old, same, new = (FIELD.summarise(values.tolist()) for values in (usual, usual[::-1], shifted))
    assert FIELD.distance(old, same) == 0
    assert FIELD.distance(old, new) > 0.5
