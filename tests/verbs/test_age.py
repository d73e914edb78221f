"""The ageing test finds decay where the world changes, none where it does not, and says what it needs."""

import numpy as np
import pytest

from thuja.core.errors import DataError
from thuja.spec import parse
from thuja.verbs.age import Asked, age

ASKED = Asked(cuts=3, windows=8, margin=0.15, cost=0.02)


def rows(drift, count=1600, target="up"):
    """Two numbers and a class that depends on them along a direction which turns by `drift` radians in all."""
    rng = np.random.default_rng(0)
    x, angle = rng.normal(size=(count, 2)), drift * np.arange(count) / count
    score = x[:, 0] * np.cos(angle) + x[:, 1] * np.sin(angle)
    dates = np.datetime64("2020-01-01") + np.arange(count)
    truth = np.where(score > 0, "yes", "no").tolist() if target == "up" else score.tolist()
    return {"a": x[:, 0].tolist(), "b": x[:, 1].tolist(), "date": [str(date) for date in dates], target: truth}


def spec(target="up", **data):
    problem = "binary" if target == "up" else "regression"
    return parse({"task": {"kind": "table", "target": target, "problem": problem, "numbers": ["a", "b"], "categories": []}, "data": data,
                  "train": {"steps": 60, "batch": 64, "threads": 1}})


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("THUJA_CACHE", str(tmp_path / "cache"))


def test_a_world_that_turns_wears_models_out():
    told = []
    found = age(spec(), rows(2.5), asked=ASKED, on_cut=lambda number, cut: told.append((number, len(cut.losses))))
    assert told == [(0, 8), (1, 6), (2, 3)] and found.dated and found.steps == 60
    assert found.window == pytest.approx(0.7 * 1600 / 8 * 86400, rel=0.01)
    first = found.cuts[0].losses
    assert first[-1] > first[0] + 0.2 and found.curve.excess()[-1] > 0
    assert found.lives[0].ended and found.lives[0].length < 8
    assert found.calendar.every < 8


def test_a_world_that_stands_still_does_not():
    found = age(spec("score"), rows(0.0, target="score"), asked=ASKED)
    assert not any(life.ended for life in found.lives) and found.calendar.every == np.inf
    assert np.nanmax(found.cuts[0].losses) < 0.8


def test_rows_in_the_order_of_time_need_no_dates():
    found = age(spec(split={"kind": "order"}), rows(2.5), asked=ASKED)
    assert not found.dated and found.window == pytest.approx(0.7 * 1600 / 8, rel=0.01)


@pytest.mark.parametrize(("data", "split", "message"), [
    (lambda: rows(0.0), {"kind": "hash"}, r"expected rows with dates or in their order, found a split by hash"),
    (lambda: {"train": rows(0.0), "test": rows(0.0)}, "auto", "expected all rows in one table"),
    (lambda: rows(0.0, count=60), "auto", "expected at least 80 rows with a date, ten a window, found 60"),
])
def test_what_it_needs(data, split, message):
    with pytest.raises(DataError, match=message):
        age(spec(split=split), data(), asked=ASKED)


def test_a_run_keeps_what_was_found_of_it(tmp_path):
    from thuja.run import Run
    from thuja.verbs.train import train

    data = rows(2.5, 600)
    run = train(spec(), data=data, root=tmp_path / "runs")
    found = age(run.path, data, ["train.steps=20"], asked=ASKED)
    kept = Run.open(run.path).read("ageing.json")
    assert kept == found.plain() and found.steps == 20
    assert kept["lives"] == [[life.length, life.ended] for life in found.lives] and kept["dated"] and len(kept["cuts"]) == 3
    assert kept["window"] == pytest.approx(found.window) and kept["margin"] == ASKED.margin
