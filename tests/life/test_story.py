"""The history in words: a line for each thing worth telling, once, and nothing that is not."""

import pytest

from thuja.life.ledger import BEGINNING, Event
from thuja.life.story import story

GATE = {"passed": True, "found": "", "waived": ""}


def events(*said):
    return [Event(number, float(number * 100), kind, version, body, (), "policy", BEGINNING, "") for number, (kind, version, body) in enumerate(said, 1)]


def words(*said):
    return [one.words for one in story(events(*said))]


def step(version, start, to, gates=(), **more):
    return "moved", version, {"from": start, "to": to, "gates": dict(gates), **more}


def cause(found):
    return [("cause", GATE | {"found": found})]


@pytest.mark.parametrize(("said", "told"), [
    (("version", "2", {"why": "the calendar."}), "Version 2 was added: the calendar."),
    (step("2", "DRAFT", "TRAINED"), None),
    (step("2", "SHADOW", "CANARY", share=0.01), "Version 2 answers 1 % of the requests."),
    (step("2", "SHADOW", "CANDIDATE", cause("slow")), "Version 2 was sent back: slow."),
    (step("2", "CANARY", "CHAMPION", [("errors", GATE | {"waived": "ada knows"})]), "Version 2 answers from now on. Waived: errors (ada knows)."),
    (step("1", "RETIRING", "CHAMPION", cause("errors")), "Version 1 answers again: errors."),
    (step("2", "CHAMPION", "ROLLED_BACK", cause("one class")), "Version 2 was rolled back: one class."),
    (step("2", "CANDIDATE", "QUARANTINED", cause("poisoned")), "Version 2 was quarantined: poisoned."),
    (("share", "2", {"share": 0.5}), "Version 2 answers 50 % of the requests."),
    (("look", "1", {"decision": {"retrain": False, "reason": "nothing", "words": "no reason"}}), None),
    (("look", "1", {"decision": {"retrain": True, "reason": "calendar", "words": "60 days"}}), "A new model is wished for: 60 days."),
    (("fault", "1", {"faults": [{"field": "size", "rule": "stuck", "expected": "values", "found": "one"}]}),
     "Something is broken. size: expected values, found one."),
    (("alarm", "1", {"statistic": 1234.5, "moved": [{"field": "size"}]}), "Alarm: version 1 has become worse (statistic 1,234). What has moved: size."),
    (("comparison", "2", {"verdict": "wait", "words": "3 rows"}), None),
    (("comparison", "2", {"verdict": "promote", "words": "better", "waits_for_a_person": True}),
     "Challenge of version 2: promote (better). It waits for a person."),
    (("told", "1", {"about": 7, "failed": []}), None),
    (("told", "1", {"about": 7, "failed": ["mail: refused"]}), "News of event 7 could not be delivered: mail: refused."),
    (("training", "3", {"outcome": "trained", "words": "", "seconds": 90.0}), "A training gave version 3 (1.5 min)."),
    (("training", "", {"outcome": "failed", "words": "no rows"}), "A training came to nothing: no rows."),
    (("drill", "", {"words": "rolled back in 0.2 s"}), "Drill: rolled back in 0.2 s."),
    (("unheard", "4", {}), "Unheard of version 4.")])
def test_each_kind_of_event(said, told):
    assert words(said) == ([told] if told else [])


def test_what_is_said_over_and_over_is_told_once_from_when_it_began():
    wish = ("look", "1", {"decision": {"retrain": True, "reason": "alarm", "words": "an alarm"}})
    told = story(events(wish, wish, wish, ("share", "2", {"share": 1.0}), wish))
    assert [(one.number, one.words[:5]) for one in told] == [(5, "A new"), (4, "Versi"), (1, "A new")]


def test_steps_of_one_decision_are_one_line():
    first, second = events(step("1", "CANDIDATE", "SHADOW"), step("1", "SHADOW", "CANARY"))
    assert [one.words for one in story([first, second._replace(at=first.at)])] == ["Version 1 answers a share of the requests."]


def test_the_newest_come_first_and_only_so_many():
    told = story(events(*[("share", str(n), {"share": 1.0}) for n in range(100)]), most=3)
    assert [one.version for one in told] == ["99", "98", "97"]


def test_long_and_broken_reasons_stay_on_a_line():
    line = words(step("2", "CHAMPION", "ROLLED_BACK", cause("a\nb\t" + "x" * 500)))[0]
    assert "\n" not in line and line.startswith("Version 2 was rolled back: a b xxx") and len(line) < 200
