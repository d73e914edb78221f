import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as reference

from thuja.metrics import METRICS, Outputs
from thuja.metrics.ranking import precision_recall_curve, roc_curve


def binary(score, target):
    score = np.asarray(score, float)
    return Outputs(np.asarray(target), {"probability": np.stack([1 - score, score], axis=1)})


scored = st.lists(st.tuples(st.integers(0, 8), st.booleans()), min_size=2, max_size=40).filter(lambda rows: len({t for _, t in rows}) == 2)


@settings(max_examples=150, deadline=None)
@given(scored)
def test_tied_scores_agree_with_scikit_learn(rows):
    score, target = np.array([s for s, _ in rows]) / 8, np.array([t for _, t in rows], int)
    outputs = binary(score, target)
    assert METRICS["roc_auc"].value(outputs) == pytest.approx(reference.roc_auc_score(target, score), abs=1e-12)
    assert METRICS["average_precision"].value(outputs) == pytest.approx(reference.average_precision_score(target, score), abs=1e-12)


@settings(max_examples=50, deadline=None)
@given(scored, st.data())
def test_weights_agree_with_scikit_learn(rows, data):
    score, target = np.array([s for s, _ in rows]) / 8, np.array([t for _, t in rows], int)
    weight = np.array(data.draw(st.lists(st.integers(1, 4), min_size=len(rows), max_size=len(rows))))
    outputs = binary(score, target)
    assert METRICS["roc_auc"].value(outputs, weight) == pytest.approx(reference.roc_auc_score(target, score, sample_weight=weight), abs=1e-12)
    expected = reference.average_precision_score(target, score, sample_weight=weight)
    assert METRICS["average_precision"].value(outputs, weight) == pytest.approx(expected, abs=1e-12)


def test_untied_and_many_classes_agree_with_scikit_learn():
    rng = np.random.default_rng(0)
    probability, target = rng.dirichlet(np.ones(4), 300), rng.integers(0, 4, 300)
    outputs = Outputs(target, {"probability": probability})
    expected = reference.roc_auc_score(target, probability, multi_class="ovr", average="macro")
    assert METRICS["roc_auc"].value(outputs) == pytest.approx(expected, abs=1e-12)
    expected = reference.average_precision_score(np.eye(4)[target], probability, average="macro")
    assert METRICS["average_precision"].value(outputs) == pytest.approx(expected, abs=1e-12)


def test_one_class_is_undefined():
    assert np.isnan(METRICS["roc_auc"].value(binary([0.1, 0.9], [1, 1])))
    assert np.isnan(METRICS["average_precision"].value(binary([0.1, 0.9], [0, 0])))


def test_curves_agree_with_scikit_learn():
    rng = np.random.default_rng(1)
    score, target = rng.integers(0, 20, 200) / 20, rng.integers(0, 2, 200)
    false, true, _ = reference.roc_curve(target, score, drop_intermediate=False)
    np.testing.assert_allclose(roc_curve(score, target == 1), [false, true], atol=1e-12)
    precision, recall, _ = reference.precision_recall_curve(target, score)
    ours = precision_recall_curve(score, target == 1)
    np.testing.assert_allclose(ours.x, recall[::-1][1:], atol=1e-12)
    np.testing.assert_allclose(ours.y, precision[::-1][1:], atol=1e-12)
