"""Decisions of a person: a candidate beside the champion, promotion with waivers, back again, and the end of a version and of all of them."""

import json

import lives
import pytest
import toys

from thuja.core.digest import canonical
from thuja.core.errors import DeploymentError
from thuja.fields import Category, Number, Schema, Text
from thuja.life.calls import Call
from thuja.life.states import Gate
from thuja.verbs.challenge import challenge, end, promote, retire, rollback
from thuja.verbs.deploy import deploy
from thuja.verbs.gates import unlike

WAIVED = dict.fromkeys(("errors", "latency", "comparison"), "tried by hand")


@pytest.fixture
def shop(tmp_path):
    deployment = deploy(lives.artifact(tmp_path / "a"), lives.empty(tmp_path / "shop"), by="ada")
    return deploy(lives.artifact(tmp_path / "b", weight=2.1), deployment, by="ada")


def promoted(shop):
    challenge(shop, "2", by="ada")
    return promote(shop, by="ada", waive=WAIVED)


def test_a_candidate_is_put_beside_promoted_and_taken_back(shop):
    (event,) = challenge(shop, "2", by="ada")
    assert event.body["gates"]["loads"]["found"] == "2 probes of its certificate answered here, 4.5e-08 off at most"
    assert event.body["gates"]["schema"]["found"] == "as the champion's" and shop.standings().beside == "2"
    with pytest.raises(DeploymentError, match="version 2: comparison: expected passed before CHAMPION"):
        promote(shop, by="ada")
    with pytest.raises(DeploymentError, match=r"--waive latnecy: .*Did you mean 'latency'"):
        promote(shop, waive={"latnecy": "x"})
    events = promote(shop, by="ada", waive=WAIVED)
    assert events[-1].body["gates"]["comparison"]["waived"] == "tried by hand" and shop.standings().champion == "2"
    rollback(shop, why="it was worse", by="ada")
    assert shop.standings().champion == "1" and shop.ledger.events()[-1].body["gates"]["cause"]["found"] == "it was worse"


def test_what_would_break_those_who_ask():
    old = Schema(inputs={"size": Number(), "shop": Category(names=("a",))}, outputs={"value": Number()})
    new = Schema(inputs={"size": Text(), "age": Number(), "colour": Category(missing=True)}, outputs={"label": Category()})
    assert unlike(old, new) == ["needs 'age', which the champion is not sent", "does not answer 'value'", "'size' is of kind text, not number"]
    newer = Schema(inputs={"shop": Category(names=("a", "b"))}, outputs={"value": Number(), "why": Text()})
    assert unlike(old, newer) == []


def test_a_rollback_needs_a_reason_and_ends_a_challenge_in_the_shade(shop):
    with pytest.raises(DeploymentError, match="rollback: expected a reason, found nothing"):
        rollback(shop, why=" ")
    challenge(shop, "2")
    rollback(shop, why="not now")
    assert shop.standings().beside == "" and shop.standings().of("2").standing == "CANDIDATE"


def test_a_version_is_retired_when_it_has_answered_nobody_for_days(shop):
    promoted(shop)
    with pytest.raises(DeploymentError, match="version 2: expected one that does not answer, found CHAMPION"):
        retire(shop, "2")
    with pytest.raises(DeploymentError, match=r"unused: expected passed before RETIRED, found no answer is kept of the last 0.0 days \(of 7\)"):
        retire(shop, "1")
    shop.clock.now += 6 * lives.DAY
    shop.calls.add([Call(shop.calls.new_id(shop.clock.now), shop.clock.now, "1", None, {"value": 1.0}, 1.0, 1.0)])
    shop.clock.now += 2 * lives.DAY
    with pytest.raises(DeploymentError, match=r"found 1 kept answers in the last 7 days, the last one 2.0 days ago"):
        retire(shop, "1")
    retire(shop, "1", days=1.5)
    assert shop.standings().of("1").standing == "RETIRED" and shop.standings().previous == ""


def test_the_wait_can_be_waived(shop):
    promoted(shop)
    retire(shop, "1", by="ada", waive={"unused": "the disk is full"})
    assert shop.standings().of("1").standing == "RETIRED"


def test_the_end_retires_all_and_says_how_long_each_lived(shop, tmp_path):
    shop.clock.now += 3 * lives.DAY
    promoted(shop)
    shop.clock.now += 4 * lives.DAY
    deploy(lives.artifact(tmp_path / "c", weight=2.2), shop)
    challenge(shop, "3")
    with pytest.raises(DeploymentError, match="retire --end: expected a reason"):
        end(shop, why="")
    event = end(shop, why="nobody asks any more", by="ada")[-1]
    assert {version.standing for version in shop.standings().versions.values()} == {"RETIRED"} and shop.standings().champion == ""
    assert [(life["version"], life["windows"], life["harmed"]) for life in event.body["lives"]] == [("1", 3.0, False), ("2", 4.0, False)]
    with pytest.raises(DeploymentError, match="expected a deployment that has not ended, found one that has"):
        deploy(lives.artifact(tmp_path / "d", weight=2.3), shop)


def test_drafts_and_what_is_in_quarantine_end_as_well(shop):
    shop.step("2", "QUARANTINED", {"cause": Gate(True, "poisoned")})
    shop.ledger.append([])
    shop.add(shop.artifact("1"), {})
    end(shop, why="over")
    assert [version.standing for version in shop.standings().versions.values()] == ["RETIRED", "QUARANTINED", "QUARANTINED"]


def test_what_does_not_load_here_is_not_put_beside(tmp_path, shop):
    certificate = json.loads(toys.plain_files(weight=2.5)["certificate.json"]) | {"measured": lives.MEASURED}
    made = lives.artifact(tmp_path / "c", weight=2.4, changed={"certificate.json": canonical(certificate)})
    deploy(made, shop)
    with pytest.raises(DeploymentError, match="version 3: loads: expected passed before SHADOW, found artifact: made-up 0, value"):
        challenge(shop, "3")
    with pytest.raises(DeploymentError, match="expected a version of this deployment, found '9'"):
        challenge(shop, "9")
