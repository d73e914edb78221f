import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as reference

from thuja.metrics import METRICS, Outputs

numbers = st.floats(-1e6, 1e6)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(numbers, numbers), min_size=2, max_size=30).filter(lambda rows: np.ptp([t for t, _ in rows]) > 1e-3))
def test_agrees_with_scikit_learn(rows):
    target, value = np.array(rows).T
    outputs = Outputs(target, {"value": value})
    assert METRICS["rmse"].value(outputs) == pytest.approx(reference.root_mean_squared_error(target, value), rel=1e-9)
    assert METRICS["mae"].value(outputs) == pytest.approx(reference.mean_absolute_error(target, value), rel=1e-9)
    assert METRICS["r2"].value(outputs) == pytest.approx(reference.r2_score(target, value), rel=1e-6, abs=1e-6)


def test_r2_keeps_its_digits_far_from_zero():
    target = 1e8 + np.arange(50.0)
    value = target + np.sin(np.arange(50.0))
    assert METRICS["r2"].value(Outputs(target, {"value": value})) == pytest.approx(reference.r2_score(target, value), rel=1e-9)


def test_r2_of_a_constant_target_is_undefined():
    assert np.isnan(METRICS["r2"].value(Outputs(np.full(5, 3.0), {"value": np.arange(5.0)})))


def test_values_may_come_as_a_column():
    assert METRICS["mae"].value(Outputs(np.array([1.0, 2.0]), {"value": np.array([[2.0], [4.0]], np.float32)})) == 1.5
