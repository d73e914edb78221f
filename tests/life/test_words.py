"""The facts in words: each section is there when there is something to say, and says what the board says."""

import shops
from shops import begin, live, say, through

from thuja.life.board import board
from thuja.life.challenge import begun
from thuja.life.deployment import Deployment
from thuja.life.plan import Plan
from thuja.life.words import PLANNING, odds, sections


def facts(made):
    return {section.key: dict(section.facts) for section in sections(made)}


def test_a_life_in_words(tmp_path):
    deployment = begin(tmp_path / "shop", Plan(ends="2024-11-14"))
    live(deployment, 10)
    said = facts(board(deployment, waiting=1200))
    assert list(said) == ["vital", "alarms", "ahead", "labels", "calendar"]
    assert said["vital"]["Answers"] == "version 1 (CHAMPION) since 2023-11-14 00:00"
    assert said["vital"]["Requests"] == "40 in the window until 2023-11-24 00:00, none refused"
    assert said["vital"]["Without labels"] == "not shown: no window has been audited yet"
    assert said["vital"]["Faults"] == "none in the last window" and said["vital"]["Learning"] == "allowed"
    assert said["alarms"]["Raised"] == "0 in the last year, 0 in 0.0 years of service, for which the budget allows 0.0 false ones"
    assert said["alarms"]["Statistic"].endswith("an alarm is raised at 365.2")
    assert said["ahead"]["State"] == "forecast" and said["ahead"]["Note"] == PLANNING and said["ahead"]["Evidence"] == "tier 2 of 3: audited labels"
    assert said["labels"]["Audit queue"] == "1,200 questions wait for a person" and said["labels"]["Counted"] == "40 in the last window, 400 ever"
    assert said["calendar"]["Next training"] == "by the calendar: 2024-01-13 00:00" and said["calendar"]["Hard end"] == "2024-11-14 (357 days left)"


def test_what_is_not_known_says_so(tmp_path):
    said = facts(board(Deployment.create(tmp_path / "empty", Plan()), now=0.0))
    assert said["vital"] == {"Answers": "nobody"} and said["ahead"]["Why"] == "nobody answers yet"
    assert said["labels"]["Audit queue"] == "the plan keeps no rows to ask about (record.inputs: full would)"
    assert said["calendar"] == {"Next training": "by the calendar: none", "Hard end": "none known"}


def test_a_challenge_and_an_explanation(tmp_path):
    deployment = begin(tmp_path / "shop")
    say(deployment, "alarm", "1", statistic=400.0, streams={}, moved=[{"field": "size", "distance": 0.25, "noise": 0.1, "rows": 40}])
    through(deployment, shops.add(deployment), "TRAINED", "CANDIDATE", "SHADOW")
    body = {"trial": begun(deployment.plan.challenge).plain(), "verdict": "wait", "words": "3,599 s left at this share", "waits_for_a_person": False}
    say(deployment, "comparison", "2", **body, until=0.0, labels=0)
    said = facts(board(deployment))
    assert said["challenge"]["Share"] == "in the shade: it answers, and nobody sees it"
    assert said["challenge"]["Better"] == "1 to 1 on 0 labelled pairs; 20 to 1 is needed" and said["challenge"]["Now"] == "3,599 s left at this share"
    assert said["moved"] == {"Note": "An explanation of what happened on 2023-11-14 00:00, never an alarm.", "size": "distance 0.25; chance alone makes 0.10"}


def test_odds_are_read_at_a_glance():
    assert [odds(wealth) for wealth in (0.0, 1.0, 9.96, 57.3, 5e6)] == ["0 to 1", "1 to 1", "10 to 1", "57 to 1", "over 1,000,000 to 1"]
