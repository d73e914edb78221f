"""The second answer: pairs for labels, nobody waits for it, and a version that says one thing over and over is found."""

import asyncio

import living
import serve_toys

from thuja.life.plan import Plan, Record
from thuja.server import shade
from thuja.server.app import create_app
from thuja.server.settings import ServeSettings

ASK = {"message": "a"}


def pairs(client, deployment):
    client.app.service.life.recording.flush()
    seen = list(deployment.calls.between(0, 2e9))
    shown = {call.id: call for call in seen if not call.shade}
    return [(shown[call.id], call) for call in seen if call.shade and call.id in shown]


def test_a_version_in_shadow_is_asked_about_what_is_kept_and_never_seen(start, tmp_path):
    deployment = living.deployed(tmp_path)
    living.through(deployment, "2", "TRAINED", "CANDIDATE", "SHADOW")
    client = start(deployment)
    living.until(lambda: client.app.service.life.following.beside)
    assert {client.post("/predict", json=ASK).json()["label"] for _ in range(10)} == {"ham"}
    living.until(lambda: len(pairs(client, deployment)) == 10)
    for shown, second in pairs(client, deployment):
        assert (shown.version, shown.answer["label"], second.version, second.answer["label"]) == ("1", "ham", "2", "spam")
        assert second.inputs is None and second.at == shown.at
    assert 'thuja_shade_total{result="answered"} 10.0' in client.get("/metrics").text


def test_both_are_asked_while_a_canary_answers(start, tmp_path):
    deployment = living.deployed(tmp_path)
    living.canary(deployment, "2", 0.5)
    client = start(deployment)
    living.until(lambda: client.app.service.life.following.share)
    client.app.service.life._random.seed(2)
    for _ in range(20):
        client.post("/predict", json=ASK)
    living.until(lambda: len(pairs(client, deployment)) == 20)
    assert {(shown.version, second.version) for shown, second in pairs(client, deployment)} == {("1", "2"), ("2", "1")}


def test_one_class_over_and_over_ends_a_canary(start, tmp_path):
    deployment = living.deployed(tmp_path)  # version 2 says spam whatever it is asked
    living.canary(deployment, "2", 0.2)
    client = start(deployment)
    living.until(lambda: client.app.service.life.following.share)
    life = client.app.service.life
    life.recording.sampler.most_per_second = 10_000
    for number in range(220):
        assert client.post("/predict", json={"message": "aw"[number % 2] * 3}).status_code == 200
        if life.following.stopped:
            break
        living.until(lambda: not life.shade._questions)
    living.until(lambda: deployment.standings().of("2").standing == "ROLLED_BACK")
    event = next(event for event in reversed(deployment.ledger.events()) if event.kind == "moved")
    assert event.body["gates"]["cause"]["found"] == "'spam' for 200 answers in a row"


def test_under_load_questions_are_dropped_not_waited_for(tmp_path, monkeypatch):
    monkeypatch.setattr(shade, "PATIENCE_S", 0.001)
    deployment = living.deployed(tmp_path, codec=serve_toys.ToyText(), plan=Plan(record=Record(most_per_second=10_000)))
    living.through(deployment, "2", "TRAINED", "CANDIDATE", "SHADOW")

    async def play() -> None:
        app = create_app(deployment, ServeSettings())
        await app.service.start()
        life = app.service.life
        while life.following.beside is None:
            await asyncio.sleep(0.01)
        for _ in range(shade.WAITING + 36):  # nothing else runs between two of them
            model = life.following.house.model
            asking = life._asking(model, strict=False)
            life.answered(asking, {"message": ["a"]}, 1, {"label": ["ham"], "probability": [0.5], "probabilities": [{"ham": 0.5, "spam": 0.5}]}, single=True)
        assert len(life.shade._questions) == shade.WAITING
        assert b'thuja_shade_total{result="dropped"} 36.0' in app.service.metrics.render()
        life.following.house.model.batcher._waiting.extend([_Busy()])  # rows wait: the rest is dropped, one after the other
        life.following.house.model.batcher._more.clear()
        while f'result="dropped"}} {shade.WAITING + 36}.0'.encode() not in app.service.metrics.render():
            await asyncio.sleep(0.01)
        life.following.house.model.batcher._waiting.clear()
        await app.service.stop()

    asyncio.run(asyncio.wait_for(play(), 30))


class _Busy:
    rows = 1


def test_an_empty_answer_is_one_without_what_it_is_made_of():
    text = serve_toys.ToyParrot().schema()
    assert shade.empty(text, {"text": "", "tokens": 0}) and not shade.empty(text, {"text": "a", "tokens": 1})
    assert shade.empty(serve_toys.ToyText().schema(), {"label": None, "probability": 0.5, "probabilities": {}})
    assert not shade.empty(serve_toys.ToyFace().schema(), {"embedding": []})
