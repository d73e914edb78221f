"""The steps of a version's life: which there are, what each needs, and who answers after them."""

import pytest

from thuja.core.errors import DeploymentError
from thuja.life.ledger import Ledger, Said
from thuja.life.states import GATES, OVER, SERVING, STANDINGS, Gate, Standings, fold, moved

OPEN = Gate(True, "as it should be")


def through(ledger: Ledger, name: str, *steps: str) -> Standings:
    """A version brought along the given standings, all gates open."""
    for to in steps:
        now = fold(ledger.events())
        gates = dict.fromkeys(GATES[now.of(name).standing, to], OPEN)
        ledger.append([moved(now, name, to, gates)])
    return fold(ledger.events())


@pytest.fixture
def ledger(tmp_path):
    ledger = Ledger(tmp_path / "ledger.log", clock=lambda: 1e9)
    ledger.append([Said("version", "1", {"digest": "a" * 64}), Said("version", "2", {"digest": "b" * 64})])
    return ledger


def test_the_usual_life(ledger):
    now = through(ledger, "1", "TRAINED", "CANDIDATE", "SHADOW", "CANARY", "CHAMPION", "WATCH", "CHAMPION")
    assert (now.champion, now.beside, now.share, now.previous) == ("1", "", 0.0, "")
    now = through(ledger, "2", "TRAINED", "CANDIDATE", "SHADOW", "CANARY")
    assert (now.champion, now.beside) == ("1", "2")
    handover = [moved(now, "1", "RETIRING", {"successor": OPEN})]
    stepped_down = fold(handed(ledger, handover))
    ledger.append([*handover, moved(stepped_down, "2", "CHAMPION", dict.fromkeys(GATES["CANARY", "CHAMPION"], OPEN))])
    now = fold(ledger.events())
    assert (now.champion, now.previous, now.beside) == ("2", "1", "")


def handed(ledger, said):
    """The events as they would be after `said`, on a copy."""
    copy = Ledger(ledger.path.with_name("copy.log"), ledger.clock)
    copy.append([Said(e.kind, e.version, e.body, e.evidence, e.by) for e in ledger.events()] + said)
    return copy.events()


def test_back_to_the_one_before(ledger):
    test_the_usual_life(ledger)
    now = fold(ledger.events())
    back = [moved(now, "2", "ROLLED_BACK", {"cause": Gate(True, "errors")})]
    without = fold(handed(ledger, back))
    assert (without.champion, without.previous) == ("", "1")
    ledger.append([*back, moved(without, "1", "CHAMPION", {"cause": OPEN, "schema": OPEN})])
    now = fold(ledger.events())
    assert (now.champion, now.previous, now.versions["2"].standing) == ("1", "", "ROLLED_BACK")


def test_a_shut_gate_names_itself_and_can_be_waived(ledger):
    now = fold(ledger.events())
    gates = {"finished": OPEN, "snapshot": Gate(False, "rows changed since")}
    with pytest.raises(DeploymentError) as error:
        moved(now, "1", "TRAINED", gates)
    assert str(error.value) == ("version 1: snapshot: expected passed before TRAINED, found rows changed since. Mend it, or waive it: --waive snapshot=why.")
    said = moved(now, "1", "TRAINED", gates | {"snapshot": Gate(False, "rows changed since", waived="a column was renamed")})
    assert said.body["gates"]["snapshot"]["waived"] == "a column was renamed"


def test_steps_that_are_not_there(ledger):
    now = fold(ledger.events())
    with pytest.raises(DeploymentError, match=r"expected a step from DRAFT \(TRAINED, QUARANTINED\), found CHAMPION"):
        moved(now, "1", "CHAMPION", {})
    with pytest.raises(DeploymentError, match="expected a version of this deployment, found '3'"):
        moved(now, "3", "TRAINED", {})
    over = through(ledger, "1", "QUARANTINED")
    with pytest.raises(DeploymentError, match="none: it is over"):
        moved(over, "1", "TRAINED", {})


def test_one_champion_and_one_challenger(ledger):
    through(ledger, "1", "TRAINED", "CANDIDATE", "SHADOW", "CANARY", "CHAMPION")
    now = through(ledger, "2", "TRAINED", "CANDIDATE", "SHADOW", "CANARY")
    with pytest.raises(DeploymentError, match="expected one champion at a time, found 1"):
        moved(now, "2", "CHAMPION", dict.fromkeys(GATES["CANARY", "CHAMPION"], OPEN))
    ledger.append([Said("version", "3")])
    now = through(ledger, "3", "TRAINED", "CANDIDATE")
    with pytest.raises(DeploymentError, match="expected one challenger at a time, found 2"):
        moved(now, "3", "SHADOW", {"loads": OPEN, "schema": OPEN})


def test_every_standing_can_be_reached_and_left():
    assert {b for _, b in GATES} | {"DRAFT"} == set(STANDINGS)
    assert {a for a, _ in GATES} == set(STANDINGS) - OVER
    assert all((s, "ROLLED_BACK") in GATES for s in SERVING)
