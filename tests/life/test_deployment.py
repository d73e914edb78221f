"""A deployment lives: versions come and go by their gates, days pass on an injected clock, harm is found, a fault freezes learning, and back is one step."""

import json

import numpy as np
import pytest
import toys

from thuja.artifact import folder
from thuja.artifact.folder import Artifact
from thuja.core.errors import ArtifactError, DeploymentError
from thuja.life.calls import Call
from thuja.life.deployment import Deployment
from thuja.life.drift import summarised
from thuja.life.estimate import learn
from thuja.life.labels import Label
from thuja.life.lifetime import Life
from thuja.life.loss import Judged, losses, scale_of
from thuja.life.plan import Plan, Renew
from thuja.life.states import GATES, Gate
from thuja.life.watch import Reference

DAY = 86400.0
BEGIN = 1.7e9 // DAY * DAY
OPEN = Gate(True, "as it should be")


class Clock:
    now = BEGIN

    def __call__(self):
        return self.now


def day(seed, rows=40, shift=0.0, sizes=None):
    """Rows, the toy's answers (twice the size), and what was true."""
    rng = np.random.default_rng(seed)
    size = rng.uniform(100, 800, rows) if sizes is None else sizes
    inputs = [{"size": float(s), "shop": "north" if i % 2 else "south"} for i, s in enumerate(size)]
    truths = 2.0 * size + rng.normal(0, 50, rows) + shift
    return inputs, [{"value": 2.0 * float(s)} for s in size], [{"value": float(truth)} for truth in truths]


def reference(schema):
    inputs, answers, truths = day(999, 4000)
    scale = scale_of(schema.outputs["value"], [a["value"] for a in answers], [t["value"] for t in truths])
    judged = Judged("value", scale)
    lost = losses(schema, judged, answers, truths)
    summary = summarised(schema, {name: [row[name] for row in inputs] for name in schema.inputs})
    return Reference(summary, float(lost.mean()), len(lost), False, learn(np.array([a["value"] for a in answers]), lost, falling=False), {},
                     tuple(Life(length, True) for length in range(100, 180, 10)), DAY / 40, judged, 60.0)


@pytest.fixture
def deployment(tmp_path):
    clock = Clock()
    made = Deployment.create(tmp_path / "shop", Plan(renew=Renew(cool_down=5 * DAY)), clock)
    made.kinds = toys.KINDS
    for number, weight in ((1, 2.0), (2, 2.1)):
        folder.write(tmp_path / f"a{number}", toys.plain_files(weight=weight), kind="toy-table", clock=clock)
        artifact = Artifact.open(tmp_path / f"a{number}", toys.KINDS)
        name = made.add(artifact, {"reference": made.evidence.keep_data(reference(artifact.codec.schema()).plain()), "trained": BEGIN})
        assert name == str(number)
    return made


def through(deployment, version, *standings):
    for to in standings:
        now = deployment.standings()
        deployment.step(version, to, dict.fromkeys(GATES[now.of(version).standing, to], OPEN))


def champion(deployment, version="1"):
    through(deployment, version, "TRAINED", "CANDIDATE", "SHADOW", "CANARY")
    deployment.hand_over(version, dict.fromkeys(GATES["CANARY", "CHAMPION"], OPEN))


def live(deployment, days, *, first=0, labelled=True, **how):
    """So many days of traffic, labels a day late, and a look at the end of each."""
    looks, waiting = [], []
    for number in range(first, first + days):
        inputs, answers, truths = day(number, **{name: value(number) if callable(value) else value for name, value in how.items()})
        times = BEGIN + number * DAY + np.linspace(0, DAY - 120, len(inputs))
        who = deployment.standings().champion
        calls = [Call(deployment.calls.new_id(at), float(at), who, row, answer, 0.4, 1.0) for at, row, answer in zip(times, inputs, answers, strict=True)]
        assert deployment.calls.add(calls)
        deployment.clock.now = BEGIN + (number + 1) * DAY
        if labelled and waiting:
            deployment.labels.add(waiting, came=deployment.clock.now - 60)
        waiting = [Label(call.id, call.at + DAY / 2, truth) for call, truth in zip(calls, truths, strict=True)]
        deployment.clock.now += 1
        looks.append(deployment.look())
    return looks


def test_versions_are_whole_copies_and_known_by_their_content(deployment, tmp_path):
    assert [version.standing for version in deployment.standings().versions.values()] == ["DRAFT", "DRAFT"]
    assert deployment.artifact("2").digest == Artifact.open(tmp_path / "a2", toys.KINDS).digest
    for file in (deployment.place("1")).iterdir():
        file.unlink()
    for file in (deployment.place("2")).iterdir():
        (deployment.place("1") / file.name).write_bytes(file.read_bytes())
    with pytest.raises(ArtifactError, match="Put back the one that was deployed"):
        deployment.artifact("1")
    with pytest.raises(DeploymentError, match="expected a version of this deployment, found '7'"):
        deployment.artifact("7")
    with pytest.raises(DeploymentError, match="expected an empty or absent folder"):
        Deployment.create(deployment.path, Plan())
    with pytest.raises(DeploymentError, match="Make one with `thuja deploy ARTEFACT`"):
        Deployment.open(tmp_path)


def test_calm_weeks_are_looked_at_and_nothing_is_done(deployment):
    assert deployment.look() is None  # nobody answers yet
    champion(deployment)
    looks = live(deployment, 30)
    assert not any(looked.look.alarm or looked.look.faults or looked.decision.retrain for looked in looks)
    assert looks[-1].look.labels == 40 and looks[-1].look.loss == pytest.approx(0.3, abs=0.1)
    again = Deployment.open(deployment.path, deployment.clock)
    assert again.standings() == deployment.standings() and again.standings().champion == "1"
    assert [event.kind for event in again.ledger.events()].count("look") == 30


def test_harm_raises_an_alarm_and_the_wish_for_a_new_model(deployment):
    champion(deployment)
    looks = live(deployment, 40, shift=lambda number: 40.0 if number >= 20 else 0.0)
    first = next(place for place, looked in enumerate(looks) if looked.look.alarm)
    assert 20 <= first <= 32
    assert looks[first].decision.retrain and looks[first].decision.reason == "alarm"
    assert deployment.standings().of("1").standing == "WATCH"
    alarm = next(event for event in deployment.ledger.events() if event.kind == "alarm")
    assert alarm.body["statistic"] >= deployment.plan.threshold
    through(deployment, "2", "TRAINED", "CANDIDATE", "SHADOW")
    assert live(deployment, 1, first=40)[0].decision.reason == "challenge"


def test_a_stuck_sensor_freezes_learning_until_it_is_mended(deployment):
    champion(deployment)
    live(deployment, 10)
    stuck = live(deployment, 2, first=10, rows=60, sizes=np.full(60, 400.0), shift=300.0)
    assert [fault.rule for fault in stuck[0].look.faults] == ["stuck"] and not stuck[1].look.alarm
    assert "size" in deployment.standings().frozen and stuck[1].decision.reason == "frozen"
    live(deployment, 1, first=12)
    assert deployment.standings().frozen
    live(deployment, 1, first=13)
    assert not deployment.standings().frozen
    kinds = [event.kind for event in deployment.ledger.events()]
    assert kinds.count("frozen") == kinds.count("thawed") == 1 and kinds.count("fault") == 2


def test_handing_over_and_going_back_are_one_step_each(deployment):
    champion(deployment)
    with pytest.raises(DeploymentError, match="before it none"):
        deployment.go_back("nothing to go back to")
    through(deployment, "2", "TRAINED", "CANDIDATE", "SHADOW", "CANARY")
    before = len(deployment.ledger.events())
    deployment.hand_over("2", dict.fromkeys(GATES["CANARY", "CHAMPION"], OPEN), by="ada")
    now = deployment.standings()
    assert (now.champion, now.previous) == ("2", "1") and {event.by for event in deployment.ledger.events()[before:]} == {"ada"}
    deployment.go_back("errors")
    now = deployment.standings()
    assert (now.champion, now.of("2").standing, now.of("1").standing) == ("1", "ROLLED_BACK", "CHAMPION")


def test_labels_that_cannot_count_are_told_of_and_do_no_harm(deployment):
    champion(deployment)
    live(deployment, 2)
    (call, *_), at = list(deployment.calls.between(BEGIN + DAY, BEGIN + 2 * DAY)), deployment.clock.now
    deployment.labels.add([Label(call.id, at, {"value": 1.0}), Label(call.id, at, {"value": 1.0}), Label(call.id, at, {"value": 2.0}),
                           Label("nobody", at, {"value": 1.0}), Label(call.id, 5.0, {"value": 1.0})], came=at)
    other = list(deployment.calls.between(BEGIN + DAY, BEGIN + 2 * DAY))[1]
    deployment.labels.add([Label(other.id, at, {"prize": 1.0})], came=at)
    deployment.clock.now += DAY
    looked = deployment.look()
    assert looked.look.labels == 1
    body = next(event.body for event in reversed(deployment.ledger.events()) if event.kind == "look")
    assert [body[f"{name}_labels"] for name in ("unknown", "repeated", "contradicted", "early")] == [1, 1, 1, 1]


def test_two_that_look_at_once_leave_a_whole_ledger(deployment):
    champion(deployment)
    live(deployment, 1)
    twin = Deployment.open(deployment.path, deployment.clock)
    twin.kinds = toys.KINDS
    twin.say(lambda now: [])
    deployment.clock.now += DAY
    first, second = deployment.look(), twin.look()
    assert first is not None and second is not None and second.look.labels == 0
    assert json.dumps([event.plain() for event in twin.ledger.events()], allow_nan=False)


def test_rows_that_a_challenger_answers_have_not_stopped_coming(deployment):
    champion(deployment)
    live(deployment, 3)
    at = deployment.clock.now
    inputs, answers, _ = day(3)
    deployment.calls.add([Call(deployment.calls.new_id(at + i * 2160), at + i * 2160, "2", row, answer, 0.4, 1.0)
                          for i, (row, answer) in enumerate(zip(inputs, answers, strict=True))])
    deployment.clock.now = at + DAY
    assert deployment.look().look.faults == ()
    deployment.clock.now += DAY
    assert [fault.rule for fault in deployment.look().look.faults] == ["late"]
