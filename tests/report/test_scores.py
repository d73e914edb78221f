import json

import numpy as np
import pytest
import synthetic

from thuja.metrics import METRICS, Outputs
from thuja.report.outputs import Answered
from thuja.report.scores import Asked, Figure, Rival, recommend, score, sliced
from thuja.settings import Evaluate


def figure(value, low, high):
    return Figure(value=value, low=low, high=high)


RIVAL = Rival(name="gradient boosting (300 trees)", seconds=3.24, metrics={})


@pytest.mark.parametrize(("metric", "gap", "verdict", "text"), [
    ("accuracy", figure(0.012, 0.004, 0.02), "network",
     "Use the network: on the same rows it is better than gradient boosting (300 trees) by 1.2 points of accuracy (95 % interval 0.4 to 2.0 points). "
     "Gradient boosting (300 trees) trains in 3.2 s, the network in 60 s."),
    ("accuracy", figure(-0.012, -0.02, -0.004), "baseline",
     "Do not use deep learning here: on the same rows gradient boosting (300 trees) is better by 1.2 points of accuracy (95 % interval 0.4 to 2.0 points). "
     "Gradient boosting (300 trees) trains in 3.2 s, the network in 60 s."),
    ("rmse", figure(0.03, 0.01, 0.05), "baseline",
     "Do not use deep learning here: on the same rows gradient boosting (300 trees) is better by 0.030 in RMSE (95 % interval 0.010 to 0.050). "
     "Gradient boosting (300 trees) trains in 3.2 s, the network in 60 s."),
    ("rmse", figure(-0.03, -0.05, -0.01), "network",
     "Use the network: on the same rows it is better than gradient boosting (300 trees) by 0.030 in RMSE (95 % interval 0.010 to 0.050). "
     "Gradient boosting (300 trees) trains in 3.2 s, the network in 60 s."),
    ("rmse", figure(0.01, -0.02, 0.04), "no difference",
     "No difference between the network and gradient boosting (300 trees) can be shown on these rows (95 % interval of the network's lead in RMSE: "
     "−0.040 to 0.020). Gradient boosting (300 trees) trains in 3.2 s, the network in 60 s: take the one that is easier to keep."),
    ("roc_auc", Figure(value=None, low=None, high=None, note="needs rows of every class and of another"), "unknown",
     "Whether the network or gradient boosting (300 trees) is better cannot be told from these rows (needs rows of every class and of another). "
     "Gradient boosting (300 trees) trains in 3.2 s, the network in 60 s."),
])
def test_the_recommendation_follows_the_paired_interval(metric, gap, verdict, text):
    advice = recommend(METRICS[metric], RIVAL, {metric: gap}, 60.0, 0.95)
    assert (advice.verdict, str(advice)) == (verdict, text)


def test_without_a_baseline_nothing_is_claimed():
    advice = recommend(METRICS["accuracy"], None, {}, 60.0, 0.95)
    assert (advice.verdict, advice.text) == ("unknown", "No classical baseline stands beside it, so nothing shows that a network is needed here.")


def test_scores_json_has_the_documented_shape():
    plain = json.loads(json.dumps(synthetic.messages().scores.plain(), allow_nan=False))
    assert set(plain["test"]["accuracy"]) == {"value", "low", "high", "method", "note"}
    assert plain["test"].keys() == plain["baseline"].keys() == plain["difference"].keys()
    assert plain["baseline_name"] == "logistic regression on word pairs"
    assert plain["recommendation"]["verdict"] == "network"
    assert {s["column"] for s in plain["slices"]} == {"language", "length"}
    assert (plain["count"], plain["groups"], plain["goal"]) == (900, 300, "accuracy")


def test_lines_hold_the_pair_and_its_difference():
    assert synthetic.messages().scores.rows()[0] == ("Accuracy", "96.7 %", "95.2 to 97.8 %", "88.9 %", "7.8 points (6.3 to 9.6 points)")


def test_what_cannot_be_computed_is_null_with_a_note():
    ones = Outputs(np.ones(30, int), {"probability": np.tile([0.2, 0.8], (30, 1))}, names=("a", "b"))
    answered = Answered([str(i) for i in range(30)], "y", ones, None, {}, {"part": "test", "weights": ""})
    scores = score(answered, Asked(("accuracy", "roc_auc"), "roc_auc", Evaluate(resamples=50)))
    assert scores.metrics["roc_auc"].model_dump() == {
        "value": None, "low": None, "high": None, "method": "bootstrap of rows, 50 draws", "note": "needs rows of every class and of another"}
    assert scores.rows()[1] == ("ROC AUC", "unknown", "needs rows of every class and of another", "", "")


def test_the_goal_is_scored_even_if_not_listed_and_a_loss_is_no_metric():
    outputs = Outputs(np.array([0, 1] * 20), {"probability": np.tile([0.4, 0.6], (40, 1))})
    answered = Answered([], "y", outputs, None, {}, {"part": "test", "weights": ""})
    assert list(score(answered, Asked(("log_loss",), "accuracy", Evaluate(resamples=20))).metrics) == ["log_loss", "accuracy"]
    assert list(score(answered, Asked(("log_loss",), "loss", Evaluate(resamples=20))).metrics) == ["log_loss"]


def test_equal_files_give_equal_scores():
    assert synthetic.messages().scores == synthetic.messages().scores


def test_numbers_are_cut_into_quarters_and_missing_ones_stand_apart():
    values = [*map(float, range(100)), None, float("nan")]
    found = dict(sliced(values))
    assert list(found) == ["0 to under 24.75", "24.75 to under 49.5", "49.5 to under 74.25", "74.25 to 99", "(missing)"]
    assert [int(mask.sum()) for mask in found.values()] == [25, 25, 25, 25, 2]
    assert np.stack(list(found.values())).sum(axis=0).tolist() == [1] * 102


def test_words_are_slices_the_commonest_first():
    found = dict(sliced(["b", "a", "b", None, "c"]))
    assert list(found) == ["b", "a", "c", "(missing)"]
    assert found["b"].tolist() == [True, False, True, False, False]


def test_few_distinct_numbers_are_values():
    assert [name for name, _ in sliced([0, 1, 1, 0])] == ["0", "1"]
    assert [name for name, _ in sliced([True, False, True])] == ["True", "False"]


def test_only_the_commonest_words_are_shown():
    assert len(list(sliced([f"w{i}" for i in range(50)]))) == 12
