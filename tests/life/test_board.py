"""The board: everything that people see of a deployment, from the ledger alone, for every state it can be in."""

import json

import pytest
import shops
from shops import DAY, begin, live, say, through

from thuja.core.errors import StorageError
from thuja.life.board import Board, board
from thuja.life.calls import Call, Gap
from thuja.life.challenge import Minute, begun
from thuja.life.deployment import Deployment
from thuja.life.lifetime import Life
from thuja.life.plan import Harm, Plan, Record


def plain(made: Board):
    return json.loads(json.dumps(made.plain(), allow_nan=False))


def test_a_calm_month(tmp_path):
    deployment = begin(tmp_path / "shop", Plan(owner="ada", ends="2024-06-30"))
    live(deployment, 12)
    made = board(deployment, waiting=3)
    assert (made.name, made.owner, made.tone) == ("shop", "ada", "good")
    assert made.status == "Version 1 answers, and nothing says that it has become worse."
    assert (made.vital.champion, made.vital.standing, made.vital.since) == ("1", "CHAMPION", shops.BEGIN)
    assert len(made.windows) == 12 and made.windows[-1].labels == 40 and made.windows[-1].requests == 40
    assert made.vital.window == made.windows[-1] and made.vital.claim > made.vital.reference
    assert made.vital.floor == pytest.approx(made.vital.reference + 0.05)
    assert made.labels.counted == 480 and made.labels.waiting == 3
    assert made.labels.delay < 3600 and made.labels.slow < 3600  # they came a minute after the answer; a file is an hour
    assert made.ahead.state == "forecast" and made.ahead.tier == 2 and made.ahead.days[0] < made.ahead.days[1] < made.ahead.days[2]
    assert made.due == shops.BEGIN + 60 * DAY
    assert made.days_left == pytest.approx(230 - 12)
    assert made.alarms.threshold == 365.25 and not made.alarms.ever and made.alarms.years == pytest.approx(12 / 365.25)
    assert [member.loss is not None for member in made.versions] == [True]
    assert plain(made)["windows"][0]["version"] == "1" and plain(made)["vital"]["window"]["labels"] == 40


def test_harm_a_wish_a_training_and_a_challenge(tmp_path):
    deployment = begin(tmp_path / "shop")
    live(deployment, 10)
    live(deployment, 10, shift=45.0)
    made = board(deployment)
    assert made.tone == "bad" and made.status.startswith("Version 1 has become worse, and no new model has been trained since the alarm of 2023-1")
    assert made.vital.standing == "WATCH" and made.vital.since == shops.BEGIN, "it has answered all the time"
    assert made.alarms.ever >= 1 and made.alarms.unanswered and any(seen.alarm for seen in made.windows)
    assert made.moved_at == made.alarms.last
    say(deployment, "training", outcome="began", words="an alarm of harm has not been answered")
    assert board(deployment).training == deployment.clock()
    version = shops.add(deployment)
    say(deployment, "training", version, outcome="trained", words="", seconds=90.0)
    through(deployment, version, "TRAINED", "CANDIDATE", "SHADOW")
    made = board(deployment)
    assert made.training is None and made.challenge.version == "2" and made.challenge.words == "nothing has been compared yet"
    assert made.status == "Version 1 answers and is watched: it has raised an alarm."
    assert made.versions[0].name == "2" and made.history[0].words == "Version 2 answers in the shade: nobody sees it."


def test_a_challenge_in_figures(tmp_path):
    deployment = begin(tmp_path / "shop")
    through(deployment, shops.add(deployment), "TRAINED", "CANDIDATE", "SHADOW", "CANARY")
    trial = begun(deployment.plan.challenge)
    for _ in range(2):
        trial = trial.after_minute(deployment.plan.challenge, Minute(100, 0, 10.0), Minute(100, 1, 12.0))
    trial = trial.after_labels(*(shops.np.full(300, loss) for loss in (0.5, 0.3)))
    body = {"trial": trial.plain(), "verdict": "promote", "words": "better", "until": 0.0, "labels": 0, "waits_for_a_person": True}
    say(deployment, "comparison", "2", **body)
    tried = board(deployment).challenge
    assert (tried.standing, tried.rows, tried.answers, tried.failures, tried.bad_minutes) == ("CANARY", 300, 200, 2, 0)
    assert tried.slower == pytest.approx(1.2) and tried.better_by == pytest.approx(0.2)
    assert tried.better > tried.needed == 20 and tried.worse < 1 and tried.waits
    assert board(deployment).status == "The challenge of version 2 waits for a person."


def test_a_fault_and_its_end(tmp_path):
    deployment = begin(tmp_path / "shop")
    live(deployment, 3)
    live(deployment, 1, count=60, stuck=True)
    made = board(deployment)
    assert made.tone == "bad" and made.status.startswith("Something is broken: size: expected values that differ")
    assert made.vital.faults and made.vital.frozen and made.windows[-1].fault
    live(deployment, 1)
    assert board(deployment).status == "A fault is over, but not for long enough: nothing is learned yet."
    live(deployment, 1)
    assert board(deployment).tone == "good" and not board(deployment).vital.frozen


def test_what_has_moved_is_that_of_the_last_alarm_or_fault(tmp_path):
    deployment = begin(tmp_path / "shop")
    for distance in (0.5, 0.25):
        say(deployment, "alarm", "1", statistic=400.0, streams={}, moved=[{"field": "size", "distance": distance, "noise": 0.1, "rows": 40}])
    made = board(deployment)
    assert made.moved == (("size", 0.25, 0.1),) and made.moved_at == deployment.clock()


@pytest.mark.parametrize(("known", "state"), [((), "abstain"), ((Life(50.0, False),) * 8, "no end in sight"),
                                              ((*((Life(50.0, False),) * 6), Life(9.0, True), Life(20.0, True)), "hazard only"), (shops.LIVES, "forecast")])
def test_every_state_of_the_forecast_with_its_reason(tmp_path, known, state):
    deployment = begin(tmp_path / "shop", lives=known)
    before = board(deployment).ahead
    assert (before.state, before.tier, before.evidence) == (state, 0, "history of similar models") and before.reason
    assert (before.days is not None) == (state == "forecast")
    live(deployment, 1)
    after = board(deployment).ahead
    assert after.state == state and after.at == deployment.clock() and plain(board(deployment))["ahead"]["state"] == state


def test_days_are_windows_times_their_length(tmp_path):
    week, day = (board(begin(tmp_path / str(size), Plan(harm=Harm(window=size * DAY)))).ahead.days for size in (7, 1))
    assert week == pytest.approx([7 * days for days in day])


def test_nothing_yet(tmp_path):
    empty = Deployment.create(tmp_path / "empty", Plan())
    made = board(empty, now=5.0)
    assert (made.status, made.tone, made.now, made.ahead.reason) == ("Nothing has been deployed yet.", "look", 5.0, "nobody answers yet")
    waiting = board(begin(tmp_path / "shop", champion=False))
    assert (waiting.status, waiting.tone) == ("Nobody answers.", "bad") and waiting.versions[0].standing == "DRAFT"
    fresh = board(begin(tmp_path / "fresh"))
    assert fresh.status == "Version 1 answers; nobody has looked yet." and fresh.vital.claim > fresh.vital.reference


def test_without_labels_nobody_knows(tmp_path):
    deployment = begin(tmp_path / "shop")
    live(deployment, 2, labelled=False)
    made = board(deployment)
    assert made.status == "Version 1 answers; without labels nobody knows how well." and made.windows[-1].loss is None
    assert made.vital.estimate_why == "no window has been audited yet" and made.labels.delay is None


@pytest.mark.parametrize(("ends", "tone", "words"), [("2023-11-20", "look", "ends on 2023-11-20, in 7 days"), ("2023-11-13", "bad", "must no longer answer"),
                                                      ("2024-11-13", "good", "nobody has looked yet")])
def test_the_hard_end_is_told_of_in_time(tmp_path, ends, tone, words):
    made = board(begin(tmp_path / "shop", Plan(ends=ends)))
    assert made.tone == tone and words in made.status


def test_a_damaged_ledger_is_told_of_and_where(tmp_path):
    deployment = begin(tmp_path / "shop")
    path = deployment.path / "ledger.log"
    data = bytearray(path.read_bytes())
    data[300] ^= 1
    path.write_bytes(bytes(data))
    made = board(Deployment.open(deployment.path))
    assert made.tone == "bad" and "ledger.log:" in made.trouble[0] and made.name == "shop"
    plain(made)


def test_a_lost_reference_leaves_the_rest(tmp_path):
    deployment = begin(tmp_path / "shop")
    live(deployment, 2)
    deployment.evidence.erase(deployment.standings().of("1").facts["reference"])
    made = board(deployment)
    assert made.tone == "bad" and "evidence" in made.trouble[0] and made.vital.reference is None
    assert len(made.windows) == 2 and made.vital.champion == "1"


def test_a_plan_that_makes_no_sense_is_told_of(tmp_path):
    deployment = begin(tmp_path / "shop")
    (deployment.path / "plan.json").write_text('{"harm": 7}')
    made = board(Deployment.open(deployment.path))
    assert made.tone == "bad" and "plan.json" in made.trouble[0]


def test_gaps_are_found_without_reading_every_answer(tmp_path):
    deployment = begin(tmp_path / "shop", Plan(record=Record(file=3600.0)))
    live(deployment, 1, labelled=False)
    assert board(deployment).gaps == ()

    class Full(type(deployment.disk)):
        def append(self, path, data):
            raise StorageError(str(path), expected="room", found="a full disk", fix="Make room.")

    at = deployment.clock()
    good, deployment.calls.segments.disk = deployment.calls.segments.disk, Full()
    call = Call(deployment.calls.new_id(at), at, "1", {"size": '{"gap": 1}'}, {"value": 1.0}, 1.0, 1.0)
    assert not deployment.calls.add([call])
    deployment.calls.segments.disk = good
    assert deployment.calls.add([call._replace(at=at + 10)])
    assert board(deployment).gaps == (Gap(at, at, 1, "a full disk"),)
