"""The history in plain words, and the place at which a changed log stops being one."""

import lives
import numpy as np
import pytest
import toys

from thuja.core.errors import DeploymentError
from thuja.life.calls import Call
from thuja.life.deployment import Deployment
from thuja.life.ledger import Event, Said
from thuja.life.plan import Plan
from thuja.verbs.challenge import challenge, end, rollback
from thuja.verbs.deploy import deploy
from thuja.verbs.drill import drill
from thuja.verbs.timeline import timeline, words


@pytest.fixture
def shop(tmp_path):
    deployment = deploy(lives.artifact(tmp_path / "a"), lives.empty(tmp_path / "shop"), by="ada")
    deploy(lives.artifact(tmp_path / "b", weight=2.1), deployment, by="ada")
    return deployment


def test_every_event_is_told_in_words(shop):
    challenge(shop, "2", by="ada")
    rollback(shop, why="too early", by="ada")
    shop.calls.add([Call(shop.calls.new_id(lives.BEGIN + i), lives.BEGIN + i, "1", {"size": size, "shop": "north"}, {"value": 1.0}, 1.0, 1.0)
                    for i, size in enumerate(np.random.default_rng(0).uniform(100, 800, 200).tolist())])
    shop.clock.now += lives.DAY
    shop.look()
    drill(shop, by="ada")
    end(shop, why="nobody asks", by="ada")
    found = timeline(shop)
    said = [line.words for line in found.lines]
    assert said[0] == "version 1 added (toy-table), by ada" and "version 1: CANARY -> CHAMPION, by ada (nobody answers yet)" in said
    assert "version 2: SHADOW -> CANDIDATE, by ada (too early)" in said
    assert any(text.startswith("version 1 looked at: 200 requests, no labels; wait (") for text in said)
    assert any(text.startswith("drill, by ada: a copy of version 1 was promoted and rolled back in a copy in 0.") for text in said)
    assert said[-1] == "the deployment has ended, by ada: nobody asks"
    assert found.lines[0].when == "2023-11-14 00:00" and found.damage == "" and found.events == len(said) == shop.ledger.events()[-1].number
    assert {line.event.version for line in timeline(shop, "2").lines} == {"2"} and timeline(shop, "2").events == found.events
    with pytest.raises(DeploymentError, match="expected a version of this deployment, found '3'"):
        timeline(shop, "3")


@pytest.mark.parametrize(("kind", "body", "expected"), [
    ("share", {"share": 0.1}, "version 1 answers 10% of the requests"),
    ("alarm", {"statistic": 400.2, "moved": [{"field": "size"}]}, "ALARM: version 1 has become worse (evidence 400); moved: size"),
    ("fault", {"faults": [{"field": "", "expected": "rows", "found": "none"}]}, "FAULT: requests: expected rows, found none"),
    ("frozen", {"why": "size is stuck"}, "learning is frozen: size is stuck"), ("thawed", {"why": "2 windows"}, "learning goes on: 2 windows"),
    ("comparison", {"verdict": "promote", "words": "better", "waits_for_a_person": True}, "version 1 compared: promote (waits for a person), better"),
    ("told", {"about": 7, "receivers": ["mail"], "failed": ["mail: no route"]}, "event 7 told to mail; failed: mail: no route"),
    ("labels", {"kept": 1200, "file": "a.csv", "unknown": 3, "wrong": 0}, "1,200 labels from a.csv; 3 about answers not kept, 0 lines wrong"),
    ("weather", {"rain": True, "mm": 3, "more": [1]}, "weather of version 1: rain True, mm 3")])
def test_words_of_what_the_service_writes(kind, body, expected):
    assert words(Event(1, 0.0, kind, "1", body, (), "policy", "", "")) == expected


def test_a_changed_log_is_told_of_with_its_place(shop):
    whole = timeline(shop)
    assert timeline(shop).last == shop.ledger.events()[-1].hash and whole.plain()["whole"]
    path = shop.path / "ledger.log"
    lines = path.read_bytes().split(b"\n")
    path.write_bytes(b"\n".join([*lines[:3], lines[3].replace(b"ada", b"eve"), *lines[4:]]))
    broken = timeline(Deployment.open(shop.path, shop.clock))
    assert [line.number for line in broken.lines] == [1, 2, 3] and broken.events == 3 and "ledger.log:4" in broken.damage
    assert broken.plain()["whole"] is False


def test_an_event_taken_out_and_framed_anew_breaks_the_chain(shop):
    from thuja.core import log

    path = shop.path / "ledger.log"
    log.rewrite(path, [record for record in log.read(path).records if record["number"] != 5])
    broken = timeline(Deployment.open(shop.path, shop.clock))
    assert broken.events == 4 and "event 5: expected the event that follows from the one before it" in broken.damage


def test_it_warns_of_the_end(tmp_path):
    deployment = deploy(lives.artifact(tmp_path / "a"), lives.empty(tmp_path / "shop"), plan=Plan(ends="2023-12-01"))
    assert timeline(deployment).ending == "it must not answer any more in 18.0 days, after 2023-12-01"
    deployment.ledger.append([Said("weather")])
    deployment.clock.now += lives.DAY
    deployment.kinds = toys.KINDS
    deployment.look()
    assert "in 17.0 days" in timeline(deployment).lines[-1].words or any("in 17.0 days" in line.words for line in timeline(deployment).lines)
