"""A replay of months in seconds: drift is met by an alarm, a new model, a challenge and a promotion; a bad model is refused; equal seeds live alike."""

import numpy as np
import pytest
import toys

from thuja.artifact import folder
from thuja.artifact.folder import Artifact
from thuja.life.conduct import promote
from thuja.life.deployment import Deployment
from thuja.life.drift import summarised
from thuja.life.lifetime import Life
from thuja.life.loss import Judged, losses, scale_of
from thuja.life.plan import Challenge, Harm, Plan, Record, Renew
from thuja.life.replay import Hasty, Replay, ReplayClock, Row
from thuja.life.states import GATES, Gate
from thuja.life.watch import Reference

DAY = 86400.0
BEGIN = 1.7e9 // DAY * DAY
OPEN = Gate(True, "as it should be")
ALONE = ("retrain", "shadow", "canary", "promote", "rollback")


def slope(at):
    """What the world multiplies sizes with: 2, and from day 60 on more and more, to 2.6."""
    return 2.0 + 0.6 * np.clip(((at - BEGIN) / DAY - 60) / 30, 0, 1)


def world(start, end, per_day=30):
    """Rows of each day by its own seed, so that any cut of time gives the same rows."""
    found = []
    for day in range(int((start - BEGIN) // DAY), int(np.ceil((end - BEGIN) / DAY))):
        rng = np.random.default_rng(day + 1000)
        times = BEGIN + day * DAY + np.sort(rng.uniform(0, DAY - 1, per_day))
        for at, size, noise in zip(times, rng.uniform(100, 800, per_day), rng.normal(0, 40, per_day), strict=True):
            if start <= at < end:
                found.append(Row(float(at), {"size": float(size), "shop": "north"}, {"value": float(slope(at) * size + noise)}))
    return found


class Workshop:
    """Trains the toy by least squares through the origin, on the rows of the last days."""

    def __init__(self, tmp_path, factor=1.0):
        self.place, self.factor, self.made = tmp_path, factor, []

    def __call__(self, deployment, now):
        rows = world(now - 20 * DAY, now)
        size, value = (np.array(column) for column in zip(*[(row.inputs["size"], row.truth["value"]) for row in rows], strict=True))
        weight = float(size @ value / (size @ size)) * self.factor
        self.made.append(weight)
        place = self.place / f"made{now:.0f}-{self.factor}"
        folder.write(place, toys.plain_files(weight=weight), kind="toy-table", clock=lambda: now)
        artifact = Artifact.open(place, toys.KINDS)
        reference = self.reference(artifact.codec.schema(), rows, weight)
        name = deployment.add(artifact, {"reference": deployment.evidence.keep_data(reference.plain()), "trained": now})
        for to in ("TRAINED", "CANDIDATE", "SHADOW"):
            deployment.step(name, to, dict.fromkeys(GATES[deployment.standings().of(name).standing, to], OPEN))
        return name

    @staticmethod
    def reference(schema, rows, weight):
        answers = [{"value": weight * row.inputs["size"]} for row in rows]
        scale = scale_of(schema.outputs["value"], [a["value"] for a in answers], [row.truth["value"] for row in rows])
        lost = losses(schema, Judged("value", scale), answers, [row.truth for row in rows])
        inputs = summarised(schema, {name: [row.inputs[name] for row in rows] for name in schema.inputs})
        return Reference(inputs, float(lost.mean()), 4000, False, None, {}, tuple(Life(n, True) for n in range(150, 220, 10)), 0.0, Judged("value", scale))


def begin(tmp_path, *, alone=ALONE, **how):
    clock = ReplayClock(BEGIN)
    plan = Plan(harm=Harm(window=DAY), record=Record(file=DAY), renew=Renew(calendar="never", cool_down=5 * DAY, on_forecast=False), alone=alone,
                challenge=Challenge(step=DAY, fewest=60, margin=0.02, canary=(0.1, 0.5, 1)))
    deployment = Deployment.create(tmp_path / "shop", plan, clock, Hasty())
    deployment.kinds = toys.KINDS
    first = Workshop(tmp_path)
    name = first(deployment, BEGIN)
    deployment.step(name, "CANARY", dict.fromkeys(GATES["SHADOW", "CANARY"], OPEN))
    deployment.hand_over(name, dict.fromkeys(GATES["CANARY", "CHAMPION"], OPEN))
    return Replay(deployment, clock, world, Workshop(tmp_path, how.pop("factor", 1.0)), delay=DAY / 2, **how)


def days(events, kind):
    return [(event.at - BEGIN) / DAY for event in events if event.kind == kind]


def test_drift_is_met_by_alarm_training_challenge_and_promotion(tmp_path):
    replay = begin(tmp_path)
    lived = list(replay.live(BEGIN + 120 * DAY, DAY))
    events = replay.deployment.ledger.events()
    alarms = days(events, "alarm")
    assert alarms and 62 <= alarms[0] <= 80
    assert replay.renew.made and lived[-1].standings.champion != "1"
    reached = [(event.version, event.body["to"]) for event in events if event.kind == "moved"]
    assert [to for version, to in reached if version == "2"][:5] == ["TRAINED", "CANDIDATE", "SHADOW", "CANARY", "CHAMPION"]
    shares = [event.body["share"] for event in events if event.kind == "share" and event.version == "2"]
    assert shares[:2] == [0.5, 1]
    last = [float(np.nan_to_num(one.ticked.looked.look.loss)) for one in lived[-20:] if one.ticked.looked]
    before = [one.ticked.looked.look.loss for one in lived[30:55] if one.ticked.looked]
    assert np.mean(last) < np.mean(before) * 1.5  # as good as it was before the world changed


def test_a_bad_model_never_answers_alone(tmp_path):
    replay = begin(tmp_path, factor=1.5)
    lived = list(replay.live(BEGIN + 110 * DAY, DAY))
    standings = lived[-1].standings
    assert standings.champion == "1" and replay.renew.made
    assert {version.standing for name, version in standings.versions.items() if name != "1"} <= {"CANDIDATE", "ROLLED_BACK", "SHADOW", "CANARY"}
    assert any(event.kind == "comparison" and event.body["verdict"] in ("roll back", "send back") for event in replay.deployment.ledger.events())


def test_what_the_plan_leaves_to_a_person_waits_for_one(tmp_path):
    replay = begin(tmp_path, alone=("retrain", "shadow", "canary", "rollback"))
    lived = list(replay.live(BEGIN + 120 * DAY, DAY))
    assert lived[-1].standings.champion == "1" and lived[-1].standings.beside
    body = [event.body for event in replay.deployment.ledger.events() if event.kind == "comparison"][-1]
    assert body["verdict"] == "promote" and body["waits_for_a_person"]
    promote(replay.deployment, by="ada")
    assert replay.deployment.standings().champion == lived[-1].standings.beside
    assert replay.deployment.ledger.events()[-1].by == "ada"


def test_equal_seeds_live_alike_but_for_the_names_of_calls(tmp_path):
    def story(place):
        replay = begin(tmp_path / place, labelled=0.5)
        list(replay.live(BEGIN + 70 * DAY, DAY))
        return [(event.at, event.kind, event.version, event.body.get("loss"), event.body.get("statistic")) for event in replay.deployment.ledger.events()]

    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    assert story("a") == story("b")


@pytest.mark.parametrize("drop", ["champion", "rows"])
def test_a_stream_with_nothing_in_it_is_lived_through(tmp_path, drop):
    replay = begin(tmp_path)
    if drop == "champion":
        replay.deployment.step("1", "QUARANTINED", {"cause": Gate(True, "poisoned")})
    else:
        replay.rows = lambda start, end: []
    lived = list(replay.live(BEGIN + 5 * DAY, DAY))
    assert len(lived) == 5 and (lived[-1].ticked.looked is None) == (drop == "champion")
