import numpy as np
import pytest
from sklearn import metrics as reference

from thuja.metrics import METRICS, Outputs
from thuja.metrics.probability import BINS, reliability


def some(classes, rows=200, seed=0, dtype=np.float64):
    rng = np.random.default_rng(seed)
    probability = rng.dirichlet(np.ones(classes), rows)
    return Outputs(rng.integers(0, classes, rows), {"probability": probability.astype(dtype)})


@pytest.mark.parametrize("classes", [2, 5])
def test_log_loss_and_brier_agree_with_scikit_learn(classes):
    outputs = some(classes)
    probability, labels = outputs.arrays["probability"], range(classes)
    assert METRICS["log_loss"].value(outputs) == pytest.approx(reference.log_loss(outputs.target, probability, labels=labels), abs=1e-12)
    expected = reference.brier_score_loss(outputs.target, probability, labels=list(labels))
    assert METRICS["brier"].value(outputs) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_log_loss_of_a_sure_mistake_is_finite(dtype):
    outputs = Outputs(np.array([0]), {"probability": np.array([[0.0, 1.0]], dtype)})
    assert METRICS["log_loss"].value(outputs) == pytest.approx(-np.log(np.finfo(dtype).eps), rel=1e-6)


def plain_ece(probability, target):
    confidence, right = probability.max(axis=1), probability.argmax(axis=1) == target
    total = 0.0
    for b in range(BINS):
        inside = (confidence > b / BINS) & (confidence <= (b + 1) / BINS)
        if inside.any():
            total += inside.mean() * abs(confidence[inside].mean() - right[inside].mean())
    return total


@pytest.mark.parametrize("classes", [2, 5])
def test_ece_agrees_with_the_paper_written_out(classes):
    outputs = some(classes)
    assert METRICS["ece"].value(outputs) == pytest.approx(plain_ece(outputs.arrays["probability"], outputs.target), abs=1e-12)


def test_ece_of_a_sure_and_wrong_model_is_one():
    assert METRICS["ece"].value(Outputs(np.zeros(4, int), {"probability": np.tile([0.0, 1.0], (4, 1))})) == 1.0


def test_reliability_sums_to_the_ece():
    outputs = some(3)
    bins = reliability(outputs)
    assert bins.rows.sum() == 200
    assert np.average(np.abs(bins.confidence - bins.accuracy), weights=bins.rows) == pytest.approx(METRICS["ece"].value(outputs), abs=1e-12)
