import math
from types import SimpleNamespace

import living
import pytest

from thuja.core.errors import DeploymentError
from thuja.life.challenge import Minute
from thuja.server import tending
from thuja.server.tending import Doing, Tending


def test_a_minute_is_what_was_done():
    doing = Doing()
    for ms in range(100):
        doing.answered(float(ms))
    doing.failed()
    doing.failed("raised Oops")
    doing.failed("another")
    minute = doing.minute()
    assert minute[:2] == (103, 3) and minute.p99 == pytest.approx(98.01) and minute.broken == "raised Oops"
    assert math.isnan(Doing().minute().p99)


def test_times_are_drawn_evenly_beyond_what_is_kept(monkeypatch):
    monkeypatch.setattr(tending, "TIMED", 1000)
    doing = Doing()
    for number in range(20_000):
        doing.answered(float(number))
    assert len(doing._ms) == 1000 and doing.minute().p99 == pytest.approx(19_800, rel=0.02)


def test_minutes_are_taken_once_and_told_of_later_where_the_ledger_refuses(tmp_path, monkeypatch):
    tend = Tending(living.deployed(tmp_path))
    tend.of("1").answered(1.0)
    assert tend.take("1", "") == [] == tend.take("1", "2")
    tend.of("2").answered(2.0)
    minutes = tend.take("1", "2")
    assert [(a.answers, b) for a, b in minutes] == [(0, Minute(1, 0, 2.0))]
    told, error = [], DeploymentError("shop", expected="a disk", found="none")

    def refuses(deployment, minutes):
        told.append(len(minutes))
        if len(told) == 1:
            raise error
        return SimpleNamespace()

    monkeypatch.setattr(tending, "tick", refuses)
    with pytest.raises(DeploymentError):
        tend.tick(minutes)
    tend.tick(minutes)
    tend.tick([])
    assert told == [1, 2, 0]
