"""A rehearsal leaves things as they were: the champion, its standing, the way back, the files; only the ledger knows."""

import lives
import pytest
import toys

from thuja.core.errors import DeploymentError
from thuja.life.states import GATES, Gate
from thuja.verbs import drill as drills
from thuja.verbs.challenge import challenge
from thuja.verbs.deploy import deploy
from thuja.verbs.drill import drill


@pytest.fixture
def shop(tmp_path):
    return deploy(lives.artifact(tmp_path / "a"), lives.empty(tmp_path / "shop"), by="ada")


def second(deployment, tmp_path):
    deploy(lives.artifact(tmp_path / "b", weight=2.1), deployment)
    challenge(deployment, "2")


def files(deployment):
    return sorted(str(path.relative_to(deployment.path)) for path in deployment.path.rglob("*") if path.is_file() and "evidence" not in str(path))


def test_a_copy_is_promoted_and_taken_back(shop, tmp_path):
    second(shop, tmp_path)  # a challenge that goes on is not disturbed
    before, there = shop.standings(), files(shop)
    found = drill(shop, by="ada")
    assert found[:5] == ("1", False, True, True, 2) and found.seconds_back < 5
    assert found.steps == ["2: SHADOW -> CANDIDATE", "3: DRAFT -> TRAINED", "3: TRAINED -> CANDIDATE", "3: CANDIDATE -> SHADOW", "3: SHADOW -> CANARY",
                           "1: CHAMPION -> RETIRING", "3: CANARY -> CHAMPION", "3: CHAMPION -> ROLLED_BACK", "1: RETIRING -> CHAMPION",
                           "3: ROLLED_BACK -> RETIRED"]
    assert shop.standings() == before and files(shop) == there
    event = shop.ledger.events()[-1]
    assert (event.kind, event.version, event.by) == ("drill", "1", "ada") and shop.evidence.get_data(event.evidence[0]) == event.body


def test_a_live_drill_waits_while_the_copy_answers_and_takes_its_files_away(shop):
    shop.step("1", "WATCH", {"cause": Gate(True, "an alarm")})
    seen = []
    found = drill(shop, live=True, hold=3.0, wait=lambda seconds: seen.append((seconds, shop.standings().champion)))
    now = shop.standings()
    assert seen == [(3.0, "2")] and found.promoted and found.same_bits
    assert (now.champion, now.of("1").standing, now.of("2").standing, now.previous) == ("1", "WATCH", "RETIRED", "")
    assert not shop.place("2").exists() and shop.artifact("1").digest == now.of("1").digest


def test_a_live_drill_leaves_the_way_back_to_an_earlier_champion_open(shop, tmp_path):
    second(shop, tmp_path)
    with pytest.raises(DeploymentError, match="no challenge going on, found version 2 in SHADOW"):
        drill(shop, live=True)
    open_gate = Gate(True, "as it should be")
    shop.step("2", "CANARY", dict.fromkeys(GATES["SHADOW", "CANARY"], open_gate))
    shop.hand_over("2", dict.fromkeys(GATES["CANARY", "CHAMPION"], open_gate))
    seen = []
    found = drill(shop, live=True, wait=lambda seconds: seen.append((shop.standings().champion, shop.standings().beside, shop.standings().share)))
    assert seen == [("2", "3", 1.0)] and not found.promoted and found.same_bits
    now = shop.standings()
    assert (now.champion, now.previous, now.beside) == ("2", "1", "")


def test_other_answers_are_found(shop, monkeypatch):
    asked = []

    def answered(artifact, rows, kinds):
        asked.append(artifact)
        return str(min(len(asked), 2))

    monkeypatch.setattr(drills, "answered", answered)
    assert not drill(shop).same_bits


def test_a_drill_that_goes_wrong_is_undone(shop, monkeypatch):
    def broken(seconds):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        drill(shop, live=True, wait=broken)
    now = shop.standings()
    assert now.champion == "1" and now.of("2").standing == "RETIRED" and not shop.place("2").exists()


def test_it_needs_a_champion(tmp_path):
    from thuja.life.deployment import Deployment
    from thuja.life.plan import Plan

    deployment = Deployment.create(tmp_path / "shop", Plan(), lives.Clock())
    deployment.kinds = toys.KINDS
    with pytest.raises(DeploymentError, match="expected a champion to rehearse with, found nobody answers"):
        drill(deployment)
