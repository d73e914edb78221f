"""The audit: as many as asked for, the same ones again, unbiased means, and doubtful answers more often."""

import math

import numpy as np
import pytest

from thuja.life.audit import draw, mean_loss
from thuja.life.calls import Call
from thuja.life.plan import Audit


def calls(count, rng):
    return [Call(f"c{i}", float(i), "1", None, {}, 0.1, float(rng.integers(1, 4))) for i in range(count)]


def test_means_are_right_for_all_answers_though_doubtful_ones_are_asked_about_more_often():
    rng = np.random.default_rng(0)
    some, scores = calls(3000, rng), rng.uniform(0, 1, 3000)
    loss = (rng.random(3000) > scores).astype(float)
    stands = np.array([call.stands_for for call in some])
    true, found, counts, doubtful = loss @ stands / stands.sum(), [], [], []
    for seed in range(300):
        asked = draw(Audit(per_window=60, uncertain=0.5), some, scores, seed)
        places = np.array([int(one.call[1:]) for one in asked])
        counts.append(len(asked))
        doubtful.append(np.mean(scores[places]))
        found.append(mean_loss(loss[places], np.array([one.weight for one in asked])))
    assert np.mean(counts) == pytest.approx(60, abs=2) and np.mean(doubtful) < 0.4
    assert np.mean(found) == pytest.approx(true, abs=0.012)
    even = [one for one in asked if one.evenly]
    assert 15 <= len(even) <= 48


def test_the_draw_is_repeatable_and_takes_what_there_is():
    rng = np.random.default_rng(0)
    some, scores = calls(50, rng), rng.uniform(0, 1, 50)
    assert draw(Audit(), some, scores, 3) == draw(Audit(), some, scores, 3) != draw(Audit(), some, scores, 4)
    assert draw(Audit(per_window=0), some, scores, 0) == [] == draw(Audit(), [], np.zeros(0), 0)
    assert len(draw(Audit(per_window=10_000), some, scores, 0)) == 50
    unknown = draw(Audit(per_window=20, uncertain=0.0), some, np.full(50, math.nan), 0)
    assert unknown and all(one.evenly for one in unknown)
    assert math.isnan(mean_loss(np.zeros(0), np.zeros(0)))
