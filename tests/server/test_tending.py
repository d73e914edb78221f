import math
from types import SimpleNamespace

import living
import pytest

from thuja.core.errors import DeploymentError
from thuja.life.challenge import Minute
from thuja.life.conduct import Ticked
from thuja.server import tending
from thuja.server.metrics import Metrics
from thuja.server.tending import Tending


def doing(release, *times):
    return SimpleNamespace(release=release, times=list(times))


def test_a_minute_is_what_was_done(tmp_path):
    tend, champion, beside = Tending(living.deployed(tmp_path)), doing("1", 1.0), doing("2", *map(float, range(100)))
    tend.failed("2")
    tend.failed("2", "raised Oops")
    tend.failed("2", "another")
    ((theirs, ours),) = tend.take(champion, beside)
    assert theirs == Minute(1, 0, 1.0) and ours[:2] == (103, 3) and ours.p99 == pytest.approx(98.01) and ours.broken == "raised Oops"
    assert not beside.times and tend.take(champion, beside) == [] == tend.take(doing("1", 1.0), None)
    ((theirs, ours),) = tend.take(doing("1"), doing("2", 5.0))
    assert math.isnan(theirs.p99) and ours == Minute(1, 0, 5.0)


def test_the_metrics_know_of_every_answer_once(tmp_path):
    tend, metrics, model = Tending(living.deployed(tmp_path)), Metrics(), doing("1", 1.0, 2.0)
    life = metrics.life()
    tend.count(model, life)
    model.times.append(3.0)
    tend.count(model, life)
    tend.take(model, None)
    model.times.append(4.0)
    tend.count(model, life)
    assert b'thuja_version_answers_total{version="1"} 4.0' in metrics.render()


def test_minutes_are_told_of_later_where_the_ledger_refuses(tmp_path, monkeypatch):
    tend, told = Tending(living.deployed(tmp_path)), []
    minutes, error = [(Minute(1, 0, 2.0), Minute(1, 0, 2.0))], DeploymentError("shop", expected="a disk", found="none")

    def refuses(deployment, minutes):
        told.append(len(minutes))
        if len(told) == 1:
            raise error
        return Ticked(None, None, False, kept=len(told) != 2)

    monkeypatch.setattr(tending, "tick", refuses)
    with pytest.raises(DeploymentError):
        tend.tick(minutes)
    tend.tick(minutes)  # nothing but good is said of them: they are not written down yet
    tend.tick([])
    tend.tick([])
    assert told == [1, 2, 2, 0]
