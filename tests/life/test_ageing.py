"""The ageing test's arithmetic: curves, lives and calendars from cuts whose truth is known."""

import json
import math

import numpy as np
import pytest

from thuja.life.ageing import Cut, Decay, calendar, decay, lives
from thuja.life.lifetime import Life


def cuts(count=12, windows=40, slope=0.005, noise=0.01, seed=0):
    """Models whose loss starts at 0.1 and grows by `slope` a window; later cuts have fewer windows after them."""
    rng = np.random.default_rng(seed)
    return [Cut(1e9 + 86400 * i, 0.1 + slope * np.arange(windows - i) + rng.normal(0, noise, windows - i)) for i in range(count)]


def test_the_curve_is_the_mean_over_cuts_as_far_as_three_of_them_go():
    curve = decay(cuts())
    assert len(curve.loss) == 38 and curve.cuts[0] == 12 and curve.cuts[-1] == 3
    np.testing.assert_allclose(curve.loss, 0.1 + 0.005 * np.arange(38), atol=0.02)
    assert ((curve.low <= curve.loss) & (curve.loss <= curve.high)).all()
    assert curve.high[0] - curve.low[0] < curve.high[-1] - curve.low[-1] + 0.02
    assert curve.fresh == pytest.approx(0.1, abs=0.01)
    assert (np.diff(curve.excess()) >= 0).all()
    again = Decay.parse(json.loads(json.dumps(curve.plain(), allow_nan=False)))
    assert calendar(again, 0.5).every == calendar(curve, 0.5).every
    with pytest.raises(ValueError, match="at least 3 cuts, not 2"):
        decay(cuts(2))


def test_empty_windows_are_no_zeros():
    holes = [cut._replace(losses=np.where(np.arange(len(cut.losses)) % 5 == 2, math.nan, cut.losses)) for cut in cuts()]
    curve = decay(holes)
    assert math.isnan(curve.loss[2]) and curve.loss[3] == pytest.approx(0.115, abs=0.01)
    assert calendar(curve, 0.5).every < math.inf


def test_lives_end_when_the_margin_is_passed_for_good():
    found = lives(cuts(noise=0.0), margin=0.05)
    assert found[0] == Life(13, True)  # 0.1 + 0.005 x 11 is the first beyond, the third of them ends it; counted from the window after the first
    assert all(life.ended for life in found)
    assert not any(life.ended for life in lives(cuts(slope=0.0), margin=0.05))


def test_the_calendar_weighs_decay_against_the_cost_of_training():
    """Loss that grows by s a window, a training of cost c: the best rhythm is about the root of 2 c / s."""
    curve = decay(cuts(noise=0.0, windows=80))
    for cost in (0.05, 0.2, 0.8):
        assert calendar(curve, cost).every == pytest.approx(math.sqrt(2 * cost / 0.005), abs=1.5)
    still = calendar(decay(cuts(slope=0.0, noise=0.0)), 0.1)
    assert still.every == math.inf and still.cost == still.never == pytest.approx(0, abs=1e-9)
