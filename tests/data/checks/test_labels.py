import numpy as np
import pytest
from check_toys import looked, only

from thuja.data.checks.labels import doubtful, logistic_regression, softmax

RNG = np.random.default_rng(0)


def blobs(rows=900):
    label = np.arange(rows) % 3
    a, b = (RNG.normal(size=rows) * 0.3 + 4 * np.cos(2 * np.pi * label / 3 + shift) for shift in (0, np.pi / 2))
    return a, b, label


def findings(a, b, label, check):
    made = {"train": {"a": a, "b": b, "y": label}, "test": {"a": a[:3] + 9, "b": b[:3], "y": label[:3]}}
    return only(looked(made, numbers=("a", "b")), check)


def test_planted_errors_are_found_and_named():
    a, b, label = blobs()
    wrong = [5, 200, 333, 700, 801]
    label[wrong] = (label[wrong] + 1) % 3
    ((severity, count, rows, message),) = findings(a, b, label, "suspected-labels")
    assert (severity, count, set(rows)) == ("warn", 5, {f"train:{i + 1}" for i in wrong})
    assert message.startswith("5 of 900 (0.56 %) training rows looked at have a label that a simple model doubts; the first is ")


def test_clean_labels_are_not_doubted():
    assert findings(*blobs(), "suspected-labels") == []


def test_a_model_without_skill_does_not_speak():
    a, b, _ = blobs()
    assert findings(a, b, RNG.integers(0, 3, 900), "suspected-labels") == []


def test_doubtful_is_by_class_and_by_margin():
    probability = np.array([[0.95, 0.05], [0.9, 0.1], [0.02, 0.98], [0.05, 0.95], [0.97, 0.03], [0.6, 0.4]])
    assert doubtful(probability, np.array([0, 0, 0, 1, 1, 1])).tolist() == [2, 4]


def test_equal_rows_with_different_labels():
    a, b, label = blobs()
    a[[3, 4, 8]], b[[3, 4, 8]], label[[3, 4, 8]] = 1.0, 1.0, [0, 1, 1]
    assert findings(a, b, label, "contradicting-labels") == [
        ("warn", 3, ["train:4", "train:5", "train:9"], "3 of 900 (0.33 %) training rows have equal inputs and different labels.")]


@pytest.mark.parametrize("classes", [2, 4])
def test_the_simple_model_is_scikit_learns(classes):
    from sklearn.linear_model import LogisticRegression

    rng = np.random.default_rng(1)
    inputs = rng.normal(size=(600, 20)).astype(np.float32)
    labels = (inputs @ rng.normal(size=(20, classes)) + rng.normal(size=(600, classes))).argmax(1)
    theirs = LogisticRegression(C=0.1, max_iter=1000, tol=1e-8).fit(inputs, labels).predict_proba(inputs)
    weights = logistic_regression(inputs, labels, classes, steps=1000, tolerance=1e-8)
    ours = softmax(inputs @ weights[:-1] + weights[-1])
    assert np.abs(ours - theirs).max() < 0.002
    assert (ours.argmax(1) == theirs.argmax(1)).mean() > 0.99


def test_checks_do_without_scikit_learn(tmp_path):
    import subprocess
    import sys

    code = ("import sys, numpy as np; from thuja.data.checks.labels import out_of_fold; "
            "out_of_fold(np.eye(9, dtype=np.float32), np.arange(9) % 3); sys.exit('sklearn' in sys.modules)")
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_large_pictures_are_looked_at_a_few_at_a_time(monkeypatch):
    from thuja.data.checks import labels, near

    pictures = RNG.integers(0, 255, (40, 30, 20, 3), dtype=np.uint8)
    whole = labels.features({"picture": pictures}, np.arange(40)), near.dhash(pictures, np.arange(40))
    monkeypatch.setattr(near, "PIXELS", 4 * 30 * 20 * 3)
    assert near.at_once(pictures) == 4
    parts = labels.features({"picture": pictures}, np.arange(40)), near.dhash(pictures, np.arange(40))
    for one, other in zip(whole, parts, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5)
