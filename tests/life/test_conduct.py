"""Ticks of two processes on one deployment: nothing is counted twice, and whoever comes second thinks again."""

import math

import pytest
import toys

from thuja.artifact import folder
from thuja.artifact.folder import Artifact
from thuja.life import conduct
from thuja.life import deployment as module
from thuja.life.calls import Call, Counts
from thuja.life.challenge import Minute, begun
from thuja.life.conduct import carry_on, tick, trial_of
from thuja.life.deployment import Deployment
from thuja.life.drift import summarised
from thuja.life.labels import Label
from thuja.life.ledger import Said
from thuja.life.loss import Judged
from thuja.life.plan import Plan
from thuja.life.states import GATES, Gate
from thuja.life.watch import Reference

DAY = 86400.0
OPEN = Gate(True, "as it should be")
GOOD, BAD = Minute(100, 0, 2.0), Minute(100, 50, 2.0)


class Clock:
    now = 1.7e9

    def __call__(self):
        return self.now


@pytest.fixture
def deployment(tmp_path):
    """Two versions, the first of them champion."""
    clock = Clock()
    made = Deployment.create(tmp_path / "shop", Plan(), clock)
    made.kinds = toys.KINDS
    for number, weight in ((1, 2.0), (2, 2.1)):
        folder.write(tmp_path / f"a{number}", toys.plain_files(weight=weight), kind="toy-table", clock=clock)
        artifact = Artifact.open(tmp_path / f"a{number}", toys.KINDS)
        schema = artifact.codec.schema()
        summary = summarised(schema, {"size": [100.0, 200.0] * 20, "shop": ["north", "south"] * 20})
        known = Reference(summary, 0.3, 1000, False, None, judged=Judged("value", 100.0))
        made.add(artifact, {"reference": made.evidence.keep_data(known.plain()), "trained": clock.now})
    through(made, "1", "TRAINED", "CANDIDATE", "SHADOW", "CANARY")
    made.hand_over("1", dict.fromkeys(GATES["CANARY", "CHAMPION"], OPEN))
    return made


def through(deployment, version, *standings):
    for to in standings:
        deployment.step(version, to, dict.fromkeys(GATES[deployment.standings().of(version).standing, to], OPEN))


def twin_of(deployment):
    twin = Deployment.open(deployment.path, deployment.clock)
    twin.kinds = toys.KINDS
    return twin


def canary(deployment, share=0.1):
    through(deployment, "2", "TRAINED", "CANDIDATE", "SHADOW")
    deployment.step("2", "CANARY", dict.fromkeys(GATES["SHADOW", "CANARY"], OPEN), share=share)


def paired(deployment, rows=30):
    """Answers of both versions to the same questions, and their labels."""
    calls, at = deployment.calls, deployment.clock.now
    names = [calls.new_id(at) for _ in range(rows)]
    for version, shade in (("1", False), ("2", True)):
        calls.add([Call(name, at, version, None, {"value": 100.0}, 1.0, 1.0, shade=shade) for name in names])
    deployment.labels.add([Label(name, at + 1, {"value": 100.0}) for name in names], came=at + 1)
    deployment.clock.now += 60


def test_labels_count_once_whoever_ticks(deployment):
    canary(deployment)
    paired(deployment)
    twin = twin_of(deployment)
    for one in (deployment, twin, deployment):
        assert carry_on(one, [(GOOD, GOOD)]).verdict == "wait"
        deployment.clock.now += 60
    trial = trial_of(deployment.ledger.events(), "2")
    assert trial.better.rows == 30 and trial.answers == 100  # labels once; of good minutes alone nothing is written yet


def test_good_minutes_are_written_down_together_and_bad_ones_at_once(deployment):
    canary(deployment)
    kept = [tick(deployment, [(GOOD, GOOD)]).kept]
    waiting = []
    for _ in range(12):
        deployment.clock.now += 60
        waiting.append((GOOD, GOOD))
        kept.append(tick(deployment, waiting).kept)
        waiting = [] if kept[-1] else waiting
    assert kept == [True, *[False] * 9, True, False, False]
    assert trial_of(deployment.ledger.events(), "2").answers == 1100
    deployment.clock.now += 60
    assert tick(deployment, [*waiting, (GOOD, BAD)]).kept and trial_of(deployment.ledger.events(), "2").bad == 1


def test_who_comes_second_thinks_again(deployment, monkeypatch):
    canary(deployment)
    paired(deployment)
    twin, real, once = twin_of(deployment), conduct._labelled, []

    def meanwhile(*arguments):
        if not once:
            once.append(carry_on(twin, [(GOOD, GOOD)]))
        return real(*arguments)

    monkeypatch.setattr(conduct, "_labelled", lambda *a: real(*a) if a[0] is twin else meanwhile(*a))
    carry_on(deployment, [(GOOD, GOOD)])
    comparisons = [event for event in deployment.ledger.events() if event.kind == "comparison"]
    assert [event.body["labels"] for event in comparisons] == [30]
    assert trial_of(deployment.ledger.events(), "2").better.rows == 30


def test_a_look_on_old_news_is_left_to_the_other(deployment, monkeypatch):
    twin, real = twin_of(deployment), Deployment.window
    monkeypatch.setattr(Deployment, "window", lambda self, *a: twin.ledger.append([Said("note")]) and real(self, *a))
    deployment.clock.now += DAY
    assert deployment.look() is None
    monkeypatch.setattr(Deployment, "window", real)
    assert tick(deployment).looked is not None


@pytest.mark.parametrize(("share", "place"), [(0.01, 0), (0.1, 1), (0.3, 1), (0.5, 2), (1.0, 3)])
def test_a_canary_that_a_person_began_is_judged_as_one(deployment, share, place):
    canary(deployment, share)
    for _ in range(2):
        carry_on(deployment, [(GOOD, BAD)])
    assert trial_of(deployment.ledger.events(), "2").place == place
    assert carry_on(deployment, [(GOOD, BAD)]).verdict == "roll back" and deployment.standings().of("2").standing == "ROLLED_BACK"


def test_what_is_broken_ends_a_canary_at_once(deployment):
    canary(deployment)
    carry_on(deployment, [(GOOD, Minute(1, 1, math.nan, "raised Oops"))])
    assert deployment.standings().of("2").standing == "ROLLED_BACK" and deployment.standings().champion == "1"


def test_a_version_that_comes_again_begins_its_challenge_anew(deployment):
    through(deployment, "2", "TRAINED", "CANDIDATE", "SHADOW")
    carry_on(deployment, [(GOOD, Minute(1, 1, math.nan, "raised Oops"))])
    assert deployment.standings().of("2").standing == "CANDIDATE"
    through(deployment, "2", "SHADOW")
    assert trial_of(deployment.ledger.events(), "2") is None
    assert carry_on(deployment, [(GOOD, GOOD)]).verdict == "wait"


def test_a_trial_stays_small_however_long_it_takes(deployment):
    trial = begun(deployment.plan.challenge)
    for _ in range(500):
        trial = trial.after_minute(deployment.plan.challenge, GOOD, GOOD)
    assert len(trial.plain()["slow"]) == 60 and trial.answers == 50_000


def test_the_summary_of_a_window_is_made_of_rows_where_they_are_and_of_counts_elsewhere(deployment):
    schema = deployment.artifact("1").codec.schema()
    one = Call("a", 1.0, "1", {"shop": "north"}, {"value": 1.0}, 1.0, 1.0)
    counts = [Counts(0.0, 1.0, 5, 0, {name: field.summarise([]) for name, field in schema.inputs.items()})]
    found = module._summaries(schema, [one, one._replace(inputs={"shop": "south"})], [count.inputs for count in counts])
    assert found["shop"]["rows"] == 2 and found["size"]["rows"] == 0
    assert module._summaries(schema, [one._replace(inputs={"shop": "north", "size": "a text"})], [])["size"]["rows"] == 0


def test_a_window_of_very_many_answers_is_drawn_from_evenly(deployment, monkeypatch):
    monkeypatch.setattr(module, "MOST", 50)
    at = deployment.clock.now
    deployment.calls.add([Call(f"c{i}", at + i, "1", None, {"value": float(i)}, 1.0, 1.0) for i in range(2000)])
    calls, count, last = deployment._drawn("1", at, at + 5000)
    assert (len(calls), count, last) == (50, 2000, at + 1999) and 600 < sum(call.answer["value"] for call in calls) / 50 < 1400
    assert deployment._drawn("1", at, at + 5000)[0] == calls
