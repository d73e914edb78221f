import numpy as np
import synthetic

from thuja.metrics import Outputs
from thuja.report.plots import hardest, learning_curve, pictures


def test_the_hardest_classes_come_first_and_are_few():
    outputs = synthetic.digits().outputs
    spoiled = outputs.arrays["probability"].copy()
    spoiled[:, 7] = np.random.default_rng(0).random(600)
    assert hardest(outputs._replace(arrays={"probability": spoiled}))[0] == (7, "7")
    assert len(hardest(outputs)) == 6


def test_two_classes_have_one_curve_and_the_baseline_beside_it():
    material = synthetic.messages()
    assert hardest(material.outputs) == [(1, "spam")]
    roc = pictures(material.outputs, material.answered.baseline, [])[0]
    assert ">network<" in roc.svg
    assert ">baseline<" in roc.svg


def test_nothing_logged_is_no_picture():
    assert learning_curve([]) is None
    assert learning_curve([{"event": "look", "step": 1, "value": 0.5}]) is None


def test_a_log_without_looks_still_shows_the_loss():
    picture = learning_curve([r for r in synthetic.RECORDS if r["event"] != "look"])
    assert picture.alt == "Training over 199 steps. The loss goes from 2.23 to 0.301."
    assert "validation" not in picture.svg.split("aria-label")[1].split(">", 1)[1]


def test_the_end_of_the_curve_is_said_in_the_metrics_words():
    assert learning_curve(synthetic.RECORDS).alt == "Training over 199 steps. The loss goes from 2.23 to 0.301; Accuracy on validation rows ends at 94.5 %."
    losses = [{**r, "metric": "loss"} for r in synthetic.RECORDS if r["event"] == "step"] + [{"event": "look", "step": 9, "metric": "loss", "value": 0.25}]
    assert learning_curve(losses).alt.endswith("; loss on validation rows ends at 0.25.")


def test_rows_of_one_class_have_no_curves():
    outputs = Outputs(np.zeros(5, int), {"probability": np.tile([0.7, 0.3], (5, 1))}, names=("a", "b"))
    assert [p.title for p in pictures(outputs, None, [])] == ["Calibration"]


def test_text_stays_text_and_words_are_escaped():
    outputs = synthetic.messages().outputs._replace(names=("ham", 'a "<b>" & c'))
    roc = pictures(outputs, None, [])[0]
    assert "False positive rate</text>" in roc.svg
    assert 'aria-label="ROC curve of a &quot;&lt;b>&quot; &amp; c.' in roc.svg
    assert "<b>" not in roc.svg
