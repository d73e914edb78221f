import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as reference

from thuja.metrics import METRICS, Outputs
from thuja.metrics.classification import confusion, decision, per_class


@st.composite
def decided(draw, classes):
    """Targets and probabilities in tenths: ties, absent classes and single rows are common."""
    count, rows = draw(classes), draw(st.integers(1, 30))
    cells = st.lists(st.integers(0, 10), min_size=count, max_size=count)
    weights = np.array(draw(st.lists(cells, min_size=rows, max_size=rows)), float) + 1e-3
    target = np.array(draw(st.lists(st.integers(0, count - 1), min_size=rows, max_size=rows)))
    return Outputs(target, {"probability": weights / weights.sum(axis=1, keepdims=True)})


@settings(max_examples=150, deadline=None)
@given(decided(classes=st.integers(2, 5)))
@pytest.mark.filterwarnings("ignore")
def test_decisions_agree_with_scikit_learn(outputs):
    target, chosen = outputs.target, decision(outputs)
    assert METRICS["accuracy"].value(outputs) == pytest.approx(reference.accuracy_score(target, chosen), abs=1e-12)
    assert METRICS["balanced_accuracy"].value(outputs) == pytest.approx(reference.balanced_accuracy_score(target, chosen), abs=1e-12)
    macro = reference.precision_recall_fscore_support(target, chosen, average="macro", zero_division=0)
    for name, expected in zip(("precision_macro", "recall_macro", "f1_macro"), macro[:3], strict=True):
        assert METRICS[name].value(outputs) == pytest.approx(expected, abs=1e-12), name


@settings(max_examples=100, deadline=None)
@given(decided(classes=st.just(2)))
@pytest.mark.filterwarnings("ignore")
def test_positive_class_is_the_last_of_two(outputs):
    expected = reference.precision_recall_fscore_support(outputs.target, decision(outputs), average="binary", pos_label=1, zero_division=0)
    for name, value in zip(("precision", "recall", "f1"), expected[:3], strict=True):
        assert METRICS[name].value(outputs) == pytest.approx(value, abs=1e-12), name


def test_positive_class_metrics_are_undefined_for_three_classes():
    outputs = Outputs(np.array([0, 1, 2]), {"probability": np.eye(3)})
    assert np.isnan([METRICS[n].value(outputs) for n in ("precision", "recall", "f1")]).all()


def test_confusion_and_the_table_per_class():
    probability = np.eye(3)[[0, 0, 1, 1, 1, 2]]
    outputs = Outputs(np.array([0, 0, 0, 1, 1, 2]), {"probability": probability}, names=("cat", "dog", "owl"))
    assert confusion(outputs, np.ones((1, 6)))[0].tolist() == [[2, 0 + 1, 0], [0, 2, 0], [0, 0, 1]]
    table = per_class(outputs)
    assert [line.name for line in table] == ["cat", "dog", "owl"]
    assert [line.support for line in table] == [3, 2, 1]
    assert table[0].precision == 1.0
    assert table[0].recall == pytest.approx(2 / 3)
    assert table[1].precision == pytest.approx(2 / 3)
    assert table[1].f1 == pytest.approx(0.8)


def test_equal_probabilities_choose_the_first_class():
    assert decision(Outputs(np.array([1]), {"probability": np.array([[0.5, 0.5]])})).tolist() == [0]
