"""A history is lived through by the verbs of production: only what was known is learned from, a world that turns is met, what cannot be lived is refused."""

import json
import math

import numpy as np
import pytest

from thuja.core.errors import DataError, DeploymentError
from thuja.life.deployment import Deployment
from thuja.spec import parse
from thuja.verbs.against import against, plain
from thuja.verbs.replay import DAY, Asked, history_of, live_through, moment, opened, written

BEGIN = moment("2020-01-01")
SMALL = {"kind": "tabular", "members": 1, "width": 16, "embedding": 4, "bins": 8, "dropout": 0.0}
PLAN = {"harm": {"window": 10 * DAY, "margin": 0.1}, "renew": {"cost": 0.3, "cool_down": 5 * DAY, "rows": 160}, "record": {"file": 10 * DAY},
        "challenge": {"step": DAY, "fewest": 40, "margin": 0.05}, "alone": ["retrain", "shadow", "canary", "promote", "rollback"]}


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("THUJA_CACHE", str(tmp_path / "cache"))


def rows(days=200, a_day=8, turns=120):
    """Whether a sum is high; from day `turns` on it is the other way about."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(days * a_day, 2))
    day = np.repeat(np.arange(days), a_day)
    up = (x[:, 0] + x[:, 1] > 0) ^ (day >= turns)
    return {"a": x[:, 0].tolist(), "b": x[:, 1].tolist(), "at": [written(BEGIN + DAY * (place / a_day)) for place in range(len(day))],
            "up": np.where(up, "yes", "no").tolist()}


def spec(split=None, **task):
    return parse({"task": {"kind": "table", "target": "up", "problem": "binary", "numbers": ["a", "b"], "categories": [], "model": SMALL, **task},
                  "data": {"split": split or {"kind": "time", "column": "at"}}, "train": {"steps": 30, "batch": 128, "threads": 1},
                  "check": {"enabled": True}, "evaluate": {"baseline": False, "resamples": 50}, "life": PLAN})


def history(asked, data=None, **how):
    from pathlib import Path

    return opened(spec(**how), Path(), data or rows(), asked)


def test_nothing_is_known_before_its_time():
    known = history(Asked(delay=5 * DAY, labelled=0.5, seed=1))
    start = BEGIN + 100 * DAY
    then = known.known(start)
    assert max(then["at"]) <= written(start - 5 * DAY) and 0.4 < len(then["at"]) / (95 * 8) < 0.6
    assert len(known.before(start)["at"]) == 800  # the truth of old rows is known
    assert [at for at, _ in known.between(start, start + DAY)] == pytest.approx([start + place * DAY / 8 for place in range(8)])
    assert math.isinf(known.known_after.max())
    assert known.known(start) == history(Asked(delay=5 * DAY, labelled=0.5, seed=1)).known(start)


def test_rows_with_an_order_are_given_times():
    known = history(Asked(pace=DAY, end=BEGIN), split={"kind": "order"})
    assert known.times[-1] == BEGIN - DAY and np.allclose(np.diff(known.times), DAY)
    assert known.before(BEGIN)["replayed at"][-1] == written(BEGIN - DAY)


@pytest.mark.parametrize(("asked", "split", "message"), [
    (Asked(), {"kind": "hash"}, "expected rows with dates or in their order, found a split by hash"),
    (Asked(start=BEGIN - DAY), None, "expected rows before the start"),
    (Asked(start=BEGIN + 9000 * DAY), None, "expected rows before the start"),
    (Asked(end=-9000 * DAY), {"kind": "order"}, "a start in 1970 or later"),
])
def test_what_cannot_be_lived_is_refused(asked, split, message, tmp_path):
    with pytest.raises(DataError, match=message):
        live_through(spec(split), history(asked, split=split), tmp_path / "out", asked)
    assert not (tmp_path / "out").exists()


def test_parts_and_taken_folders_are_refused(tmp_path):
    with pytest.raises(DataError, match="expected all rows in one table"):
        history_of(spec(), {"train": None, "test": None}, Asked())
    Deployment.create(tmp_path / "taken", spec().life)
    with pytest.raises(DeploymentError, match="Name another folder"):
        live_through(spec(), history(Asked()), tmp_path / "taken", Asked())


def test_a_world_that_turns_is_met_by_a_new_model(tmp_path):
    asked = Asked(start=BEGIN + 80 * DAY, delay=DAY, step=2 * DAY, cuts=0)
    known, told = history(asked), []
    found = live_through(spec(), known, tmp_path / "shop", asked, lambda one, life: told.extend(life.news))
    events = found.events()
    assert told == events
    alarms = [(event.at - BEGIN) / DAY for event in events if event.kind == "alarm"]
    refused = [event.body["words"] for event in events if event.kind == "training"]
    assert all("validation" in words for words in refused)  # half of what is known contradicts the other half: the watch of training says so
    assert alarms and 120 <= alarms[0] <= 141  # a look every ten days
    assert found.trainings >= 1 and found.deployment.standings().champion != "1"
    made = found.deployment.standings().of("2").facts
    assert made["trained"] >= BEGIN + 120 * DAY and made["parent"] == "1" and made["why"].startswith("alarm")
    early, turned, late = (np.nanmean([one.loss for one in found.lived if low <= (one.start - BEGIN) / DAY < high])
                           for low, high in ((80, 120), (120, 130), (180, 200)))
    assert early < 0.15 and turned > 0.8 and late < 0.4
    waived = next(event for event in events if event.kind == "moved" and event.body["to"] == "CANDIDATE").body["gates"]["ageing"]
    assert waived["waived"] == "the replay was asked to leave it out"
    again = Deployment.open(tmp_path / "shop")
    assert again.standings() == found.deployment.standings() and json.dumps([event.plain() for event in again.ledger.events()])
    rivals = {rival.name.split(",")[0]: rival for rival in against(found, spec(), known, dates=4)}
    assert rivals["as lived"].loss == found.loss and rivals["never"].trainings == 0 and rivals["at all 4 dates"].trainings == 3
    assert rivals["never"].loss > 0.5 > rivals["at all 4 dates"].loss
    best = list(rivals.values())[-1]
    assert best.cost <= rivals["at all 4 dates"].cost and plain([best])[best.name]["trainings"] == best.trainings


def test_moments_that_are_none_are_refused():
    with pytest.raises(DataError, match="expected a date such as 2026-01-31, found 'soon'"):
        moment("soon")
    assert moment("2020-01-01T01:00+01:00") == BEGIN
