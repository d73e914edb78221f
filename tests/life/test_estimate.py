"""Estimates without labels: right where confidence means something, and shown to nobody where it does not."""

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from thuja.life.estimate import Expected, Gate, learn


def confident(rows, rng, *, low=0.5, bias=0.0):
    """Scores, and losses that are as rare as the scores say (but for the bias)."""
    score = rng.uniform(low, 1, rows)
    return score, (rng.random(rows) < np.clip(1 - score + bias, 0, 1)).astype(float)


def test_a_harder_window_is_seen_without_its_labels():
    rng = np.random.default_rng(0)
    expected = learn(*confident(20_000, rng))
    assert expected.constant == pytest.approx(0.25, abs=0.01)
    for low, high in ((0.5, 0.7), (0.6, 0.8), (0.9, 1.0)):
        score = rng.uniform(low, high, 20_000)
        assert expected.confidence(score) == pytest.approx(1 - (low + high) / 2, abs=0.02)
    same, loss = confident(20_000, rng)
    assert expected.share_below(same) == pytest.approx(loss.mean(), abs=0.01)


def test_overconfidence_is_calibrated_away():
    rng = np.random.default_rng(0)
    score, _ = confident(20_000, rng)
    loss = (rng.random(20_000) < 0.5 * (1 - score) + 0.2).astype(float)
    expected = learn(score, loss)
    assert expected.confidence(score) == pytest.approx(loss.mean(), abs=0.005)
    assert (np.diff(expected.loss) <= 1e-12).all()  # more confidence never promises more loss


def test_amounts_have_losses_that_need_not_fall():
    rng = np.random.default_rng(0)
    value = rng.uniform(0, 10, 5000)
    loss = np.abs(value - 5) / 10
    expected = learn(value, loss, falling=False)
    assert math.isnan(expected.threshold) and math.isnan(expected.share_below(value))
    assert expected.confidence(np.full(10, 5.0)) < 0.05 < 0.4 < expected.confidence(np.full(10, 9.9))


@given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), max_size=80))
def test_anything_can_be_learned_from_and_read_back(rows):
    score, loss = np.array([s for s, _ in rows]), np.array([float(w) for _, w in rows])
    expected = learn(score, loss)
    assert Expected.parse(json.loads(json.dumps(expected.plain(), allow_nan=False))) == expected or math.isnan(expected.threshold)
    assert len(rows) == 0 or 0 <= expected.confidence(score) <= 1
    assert math.isnan(expected.confidence(np.zeros(0)))


def lived(estimates, truth, constant, *, rows=200, seed=0):
    """The gate after each window, audited on some rows."""
    rng, gate, found = np.random.default_rng(seed), Gate(), []
    for estimate, true in zip(estimates, truth, strict=True):
        gate = gate.after(float(estimate), constant, float(rng.binomial(rows, true) / rows))
        found.append(gate.trusted)
    return np.array(found), gate


def test_an_estimate_that_follows_the_truth_is_trusted_and_one_that_drifts_off_no_longer():
    truth = 0.2 + 0.1 * np.sin(np.arange(120) / 3)
    good, gate = lived(truth + 0.02, truth, 0.2)
    assert good[40:].all() and "nearer to the truth" in gate.why()
    spoilt, gate = lived(np.where(np.arange(120) < 60, truth, 0.05), truth, 0.2)
    assert spoilt[50] and not spoilt[100:].any()


def test_one_that_is_no_better_than_a_constant_is_hardly_ever_trusted():
    ever = []
    for seed in range(100):
        noise = np.random.default_rng(1000 + seed).normal(0, 0.03, 100)
        trusted, gate = lived(0.2 + noise, np.full(100, 0.2), 0.2, seed=seed)
        ever.append(trusted.any())
    assert np.mean(ever) <= 0.05
    assert "no evidence" in gate.why() and Gate().why() == "no window has been audited yet"


def test_one_that_is_far_off_is_not_excused_by_a_constant_that_is_farther():
    gate = Gate()
    for _ in range(60):
        gate = gate.after(0.2, 0.3, 0.2)
    assert gate.trusted
    windows = 0
    while gate.trusted and windows < 40:  # the rule changes: half of the answers are wrong, and neither of the two says so
        gate, windows = gate.after(0.3, 0.2, 0.9), windows + 1
    assert not gate.trusted and windows <= 20


def test_unknown_windows_change_nothing():
    assert Gate().after(math.nan, 0.1, 0.2) == Gate() == Gate().after(0.1, 0.2, math.nan)
