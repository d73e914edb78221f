"""A deployment behind a server: the champion answers, a version in CANARY gets its share and costs no answer, and trouble beside the answers stays there."""

import living
import numpy as np
import pytest
import serve_toys

from thuja.artifact.runtime import Predictor
from thuja.core.errors import ArtifactError, DeploymentError
from thuja.core.storage import Disk
from thuja.life.plan import Challenge, Plan

ASK = {"message": "a"}


def flush(client):
    client.app.service.life.recording.flush()


def test_the_champion_answers_and_every_answer_has_a_name(start, tmp_path):
    deployment = living.deployed(tmp_path)
    client = start(deployment)
    one = client.post("/predict", json=ASK)
    many = client.post("/predict", json={"rows": [ASK, {"message": "b"}]})
    assert one.status_code == many.status_code == 200 and one.headers["thuja-model"] == deployment.artifact("1").digest
    flush(client)
    names = [call.id for call in deployment.calls.between(0, 2e9)]
    base = many.headers["thuja-call"]
    assert names == [one.headers["thuja-call"], f"{base}.0", f"{base}.1"]


def test_an_answer_is_fresh_until_it_is_on_the_disk(start, tmp_path):
    client = start(living.deployed(tmp_path))
    name = client.post("/predict", json=ASK).headers["thuja-call"]
    assert client.app.service.life.recording.fresh <= {name}  # the thread may have been as quick
    flush(client)
    assert not client.app.service.life.recording.fresh


def test_after_its_hard_end_nothing_answers_and_the_dashboard_still_says_why(start, tmp_path):
    clock = living.Clock()
    client = start(living.deployed(tmp_path, plan=Plan(ends="2023-11-15"), clock=clock))  # the clock stands on the day before
    assert client.post("/predict", json=ASK).status_code == 200
    clock.now += 3 * 86400
    gone = client.post("/predict", json=ASK)
    assert gone.status_code == 410 and gone.json()["expected"] == "a question before the end of 2023-11-15"
    assert client.get("/live").status_code == 200 and client.get("/life").status_code == 200


def test_a_plain_artefact_has_no_life(start):
    client = start("text")
    answer = client.post("/predict", json=ASK)
    assert "thuja-call" not in answer.headers and client.app.service.life is None
    assert client.post("/feedback", json={"call": "x", "truth": {"label": "ham"}}).status_code == 404
    assert "thuja_calls" not in client.get("/metrics").text


def test_a_deployment_without_a_champion_says_so(start, tmp_path):
    deployment = living.deployed(tmp_path, shifts=())
    with pytest.raises(DeploymentError, match="expected a version that answers, found none yet"):
        start(deployment.path)
    with pytest.raises(ArtifactError, match="expected an artefact folder"):
        start(tmp_path / "nothing")


def test_a_stream_and_chat_are_named_and_kept(start, tmp_path):
    deployment = living.deployed(tmp_path, codec=serve_toys.ToyParrot(), plan=Plan.model_validate({"record": {"inputs": "full"}}))
    client = start(deployment)
    streamed = client.post("/predict", json={"prompt": "polly"}, headers={"Accept": "text/event-stream"})
    chat = {"model": "toy-parrot", "messages": [{"role": "user", "content": "cracker"}], "stop": "k"}
    said = client.post("/v1/chat/completions", json=chat)
    both = client.post("/v1/completions", json={"model": "toy-parrot", "prompt": ["one", "two"], "stream": True})
    assert [answer.status_code for answer in (streamed, said, both)] == [200] * 3
    flush(client)
    kept = {call.id: (call.inputs["prompt"], call.answer["text"]) for call in deployment.calls.between(0, 2e9)}
    base = both.headers["thuja-call"]
    assert kept == {streamed.headers["thuja-call"]: ("polly", "polly"), said.headers["thuja-call"]: ("cracker", "crac"),
                    f"{base}.0": ("one", "one"), f"{base}.1": ("two", "two")}


def with_canary(start, tmp_path, share, **more):
    deployment = living.deployed(tmp_path)
    living.canary(deployment, "2", share)
    client = start(deployment, **more)
    living.until(lambda: client.app.service.life.following.share == share)
    client.app.service.life._random.seed(1)
    return deployment, client


def test_a_canary_answers_its_share_and_the_header_tells(start, tmp_path):
    deployment, client = with_canary(start, tmp_path, 0.3)
    labels = {deployment.artifact(version).digest: word for version, word in (("1", "ham"), ("2", "spam"))}
    seen = [client.post("/predict", json={"rows": [ASK] * 2}) for _ in range(200)]
    assert all({row["label"] for row in answer.json()["rows"]} == {labels[answer.headers["thuja-model"]]} for answer in seen)
    assert 40 <= sum(answer.json()["rows"][0]["label"] == "spam" for answer in seen) <= 80


def ill(how):
    """A program that fails at messages of one letter's length only, so that it can be loaded."""
    def run(predictor, columns, program):
        if len(columns["message"].values) != 1:
            return Predictor.run(predictor, columns, program)
        return how(Predictor.run(predictor, columns, program))
    return run


def not_finite(outputs):
    from thuja.artifact.runtime import _refuse_non_finite

    _refuse_non_finite({name: np.full_like(array, np.nan) for name, array in outputs.items()})


def raises(outputs):
    raise ZeroDivisionError("planted")


@pytest.mark.parametrize(("how", "words"), [(not_finite, "a finite probability, found nan"), (raises, "raised ZeroDivisionError")])
def test_a_canary_that_cannot_answer_costs_no_answer_and_is_taken_back(start, tmp_path, monkeypatch, how, words):
    deployment = living.deployed(tmp_path)
    living.plant(monkeypatch, deployment.artifact("2").digest, ill(how))
    living.canary(deployment, "2", 1)
    client = start(deployment)
    living.until(lambda: client.app.service.life.following.beside)
    found = [client.post("/predict", json=ASK) for _ in range(5)]
    assert [(answer.status_code, answer.json()["label"]) for answer in found] == [(200, "ham")] * 5
    living.until(lambda: deployment.standings().of("2").standing == "ROLLED_BACK")
    event = next(event for event in reversed(deployment.ledger.events()) if event.kind == "moved")
    assert event.body["gates"]["cause"]["found"] == words and 'thuja_version_failures_total{version="2"}' in client.get("/metrics").text


def test_what_the_champion_cannot_answer_either_is_not_held_against_a_canary(start, tmp_path):
    _deployment, client = with_canary(start, tmp_path, 1.0)
    assert [client.post("/predict", json={"message": "unreadable"}).status_code for _ in range(3)] == [422] * 3
    assert client.post("/predict", content=b"{").status_code == 400
    life = client.app.service.life
    assert not life._tending.failures and not life.following.stopped
    assert (life.recording.requests, life.recording.refusals) == (4, 4)


def test_a_canary_that_takes_too_long_is_answered_for_in_time(start, tmp_path, monkeypatch):
    import time

    deployment = living.deployed(tmp_path)
    living.plant(monkeypatch, deployment.artifact("2").digest, ill(lambda outputs: time.sleep(1.0) or outputs))
    living.canary(deployment, "2", 1)
    client = start(deployment)
    living.until(lambda: client.app.service.life.following.beside)
    answer = client.post("/predict", json=ASK, headers={"Request-Timeout": "0.4"})
    assert (answer.status_code, answer.json()["label"]) == (200, "ham")
    life = client.app.service.life
    assert life._tending.failures["2"].count == 1 and not life.following.stopped  # slow is not broken


class ReadOnly(Disk):
    """A folder that may not be written, from some time on."""

    on = False

    def extend(self, path, data):
        if self.on:
            raise OSError(30, "Read-only file system")
        super().extend(path, data)

    def create(self, path):
        if self.on:
            raise OSError(30, "Read-only file system")
        super().create(path)


def test_a_folder_that_cannot_be_written_costs_no_answer(start, tmp_path):
    disk = ReadOnly()
    deployment = living.deployed(tmp_path, disk=disk)
    client = start(deployment)
    disk.on = True
    name = client.post("/predict", json=ASK).headers["thuja-call"]
    flush(client)
    life = client.app.service.life
    life._tick.wake()
    answer = client.post("/feedback", json={"call": name, "truth": {"label": "ham"}})
    assert (answer.status_code, answer.json()["fix"]) == (503, "Nothing was kept: send them again later.")
    assert client.get("/ready").json() == {"ready": True} and client.post("/predict", json=ASK).status_code == 200
    disk.on = False
    assert client.post("/feedback", json={"call": name, "truth": {"label": "ham"}}).status_code == 202
    flush(client)
    (gap,) = deployment.calls.gaps(0, 2e9)
    assert gap.lost == 1 and gap.why == "a place that may not be written"


def test_a_plan_that_cannot_be_read_costs_recording_not_answers(start, tmp_path, caplog):
    deployment = living.deployed(tmp_path)
    (deployment.path / "plan.json").write_text('{"record": 7')
    client = start(deployment.path)
    assert client.post("/predict", json=ASK).status_code == 200 and "nothing happens by itself" in caplog.text
    answer = client.post("/feedback", json={"call": "x", "truth": {"label": "ham"}})
    assert (answer.status_code, answer.json()["expected"]) == (503, "a deployment whose plan can be read")
    living.promote(living.Deployment.open(deployment.path, deployment.clock), "2")
    living.until(lambda: client.post("/predict", json=ASK).json()["label"] == "spam")


def test_a_clock_that_goes_backwards_harms_nothing(start, tmp_path):
    clock = living.Clock()
    deployment = living.deployed(tmp_path, clock=clock)
    client = start(deployment)
    life = client.app.service.life
    for now in (living.BEGIN, living.BEGIN - 1e6, living.BEGIN + 5):
        clock.now = now
        assert client.post("/predict", json=ASK).status_code == 200
        life._last()
    assert sorted(call.at for call in deployment.calls.between(0, 2e9)) == sorted([living.BEGIN, living.BEGIN - 1e6, living.BEGIN + 5])
    assert sum(one.requests for one in deployment.calls.counted(0, 2e9)) == 3


def test_a_tick_carries_the_challenge_on_with_what_was_done(start, tmp_path):
    deployment = living.deployed(tmp_path, plan=Plan(challenge=Challenge(step=3600.0)))
    living.canary(deployment, "2", 0.5)
    client = start(deployment)
    life = client.app.service.life
    living.until(lambda: life.following.share)
    for _ in range(60):
        client.post("/predict", json=ASK)
    life._ticking()()
    body = deployment.ledger.events()[-1].body
    assert deployment.ledger.events()[-1].kind == "comparison" and body["trial"]["answers"] >= 20 and body["verdict"] == "wait"


def test_admin_swap_is_left_to_the_ledger(start, tmp_path):
    client = start(living.deployed(tmp_path), token="a-token-of-some-length", models=tmp_path)
    answer = client.post("/admin/swap", json={"name": "artefact1"}, headers={"Authorization": "Bearer a-token-of-some-length"})
    assert (answer.status_code, answer.json()["fix"]) == (409, "Use `thuja promote` or `thuja rollback`.")
    assert client.post("/feedback", json={"call": "x", "truth": {"label": "ham"}}).status_code == 401


def test_two_servers_on_one_deployment_do_no_harm(start, tmp_path):
    deployment = living.deployed(tmp_path)
    clients = [start(deployment.path) for _ in range(2)]
    names = [client.post("/predict", json=ASK).headers["thuja-call"] for client in clients * 3]
    for client in clients:
        client.app.service.life.recording.flush()
        client.app.service.life._ticking()()
    kept = living.Deployment.open(deployment.path)
    found = {call.id for call in kept.calls.between(0, 1e11)}
    assert found == set(names)
    assert clients[0].post("/feedback", json={"call": names[1], "truth": {"label": "ham"}}).json() == {"kept": 1, "unknown": 0, "refused": 0}
