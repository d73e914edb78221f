"""Promotion and rollback reach a server that nobody tells; what cannot be loaded changes nothing."""

import asyncio
import shutil

import httpx2
import living
import pytest
import serve_toys

from thuja.core.errors import ArtifactError
from thuja.life.states import fold
from thuja.server import following
from thuja.server.app import create_app
from thuja.server.settings import ServeSettings


def label(client):
    """What version 1 calls ham, version 2 calls spam."""
    return client.post("/predict", json={"message": "a"}).json()["label"]


def trouble(client, part):
    return f'thuja_life_trouble{{part="{part}"}} 1.0' in client.get("/metrics").text


def test_promotion_and_rollback_are_followed(start, tmp_path):
    deployment = living.deployed(tmp_path)
    client = start(deployment)
    assert label(client) == "ham"
    living.promote(deployment, "2")
    living.until(lambda: label(client) == "spam")
    assert set(client.app.service.life.following.models) == {"1", "2"}  # the one before stays warm
    deployment.go_back("a drill")
    living.until(lambda: label(client) == "ham")
    text = client.get("/metrics").text
    assert 'thuja_version{role="answers",version="1"} 1.0' in text and 'role="warm"' not in text


def test_a_champion_before_that_is_too_large_is_loaded_when_it_is_needed(start, tmp_path):
    deployment = living.deployed(tmp_path)
    living.promote(deployment, "2")
    client = start(deployment, max_warm_bytes=1)
    assert label(client) == "spam" and set(client.app.service.life.following.models) == {"2"}
    deployment.go_back("a drill")
    living.until(lambda: label(client) == "ham")


def damage(deployment, version):
    path = deployment.place(version) / "predict.onnx"
    path.write_bytes(path.read_bytes()[:-1] + b"?")


def test_a_damaged_champion_never_answers_and_goes_into_quarantine(start, tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(following, "AGAIN_S", 0.05)
    deployment = living.deployed(tmp_path)
    client = start(deployment)
    client.app.service.life._load.seconds = 0.05
    damage(deployment, "2")
    living.promote(deployment, "2")
    living.until(lambda: deployment.standings().of("2").standing == "QUARANTINED")
    living.until(lambda: client.app.service.life.following.standings.champion == "1")
    assert deployment.standings().champion == "1" and label(client) == "ham"
    assert client.get("/ready").json() == {"ready": True} and "predict.onnx" in caplog.text
    last = deployment.ledger.events()[-2]
    assert last.version == "2" and last.body["gates"]["cause"]["found"].startswith("damaged: ")


def test_a_damaged_challenger_goes_into_quarantine_and_the_champion_stays(start, tmp_path, monkeypatch):
    monkeypatch.setattr(following, "AGAIN_S", 0.05)
    deployment = living.deployed(tmp_path)
    damage(deployment, "2")
    client = start(deployment)
    client.app.service.life._load.seconds = 0.05
    living.through(deployment, "2", "TRAINED", "CANDIDATE", "SHADOW")
    living.until(lambda: deployment.standings().of("2").standing == "QUARANTINED")
    assert deployment.standings().champion == "1" and label(client) == "ham"


def test_an_artefact_that_vanished_is_waited_for(start, tmp_path, monkeypatch):
    monkeypatch.setattr(following, "AGAIN_S", 0.05)
    deployment = living.deployed(tmp_path)
    client = start(deployment)
    client.app.service.life._load.seconds = 0.05
    deployment.place("2").rename(tmp_path / "away")
    living.promote(deployment, "2")
    living.until(lambda: trouble(client, "loading"))
    assert label(client) == "ham" and client.get("/ready").json() == {"ready": True}
    assert deployment.standings().champion == "2"
    shutil.move(tmp_path / "away", deployment.place("2"))
    living.until(lambda: label(client) == "spam")
    living.until(lambda: not trouble(client, "loading"))


def test_a_version_with_another_interface_does_not_answer(start, tmp_path):
    deployment = living.deployed(tmp_path, shifts=(0.0,))
    living.add(deployment, serve_toys.write(serve_toys.ToyTable(), tmp_path / "table"))
    client = start(deployment)
    living.promote(deployment, "2")
    living.until(lambda: trouble(client, "loading"))
    assert label(client) == "ham" and deployment.standings().of("2").standing == "CHAMPION"


@pytest.mark.parametrize("what", ["torn", "damaged", "replaced"])
def test_whatever_becomes_of_the_ledger_the_server_answers(start, tmp_path, what):
    deployment = living.deployed(tmp_path)
    client = start(deployment)
    path = deployment.path / "ledger.log"
    whole = path.read_bytes()
    if what == "torn":
        path.write_bytes(whole + whole.splitlines(keepends=True)[-1][:50])
    elif what == "damaged":
        path.write_bytes(whole.replace(b"CANDIDATE", b"CANDIDATO") + whole.splitlines(keepends=True)[-1])
        living.until(lambda: trouble(client, "following"))
    else:  # by a copy from before the first version was champion
        path.write_bytes(b"".join(whole.splitlines(keepends=True)[:3]))
        living.until(lambda: not client.app.service.life.following.standings.champion)
    assert label(client) == "ham" and client.get("/ready").json() == {"ready": True}
    path.write_bytes(whole)
    living.promote(deployment, "2")
    living.until(lambda: label(client) == "spam")
    living.until(lambda: not trouble(client, "following"))


def test_only_what_is_new_in_the_ledger_is_folded(tmp_path, monkeypatch):
    deployment = living.deployed(tmp_path)
    follower = following.Following(deployment, lambda artifact: None, 0)
    seen = []
    monkeypatch.setattr(following, "fold", lambda events, start=None: seen.append(len(events)) or fold(events, start))
    assert follower.read() and not follower.read()
    living.through(deployment, "2", "TRAINED")
    assert follower.read() and follower.standings == deployment.standings()
    assert seen == [len(deployment.ledger.events()) - 1, 1]


def test_a_server_starts_on_the_one_before_where_the_champion_is_damaged(start, tmp_path):
    deployment = living.deployed(tmp_path)
    living.promote(deployment, "2")
    damage(deployment, "2")
    assert label(start(deployment.path)) == "ham"
    damage(deployment, "1")
    with pytest.raises(ArtifactError):
        start(deployment.path)


def test_swaps_under_load_lose_no_request_and_mix_no_answer(tmp_path):
    deployment = living.deployed(tmp_path)
    labels = {deployment.artifact(version).digest: word for version, word in (("1", "ham"), ("2", "spam"))}

    async def play() -> None:
        app = create_app(deployment, ServeSettings())
        await app.service.start()
        found: set[tuple[int, bool]] = set()
        swapping = True

        async def client() -> None:
            async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="http://127.0.0.1") as http:
                while swapping:
                    answer = await http.post("/predict", json={"rows": [{"message": "a"}, {"message": "aaaa"}]})
                    found.add((answer.status_code, {row["label"] for row in answer.json()["rows"]} == {labels[answer.headers["thuja-model"]]}))

        async def answers(version: str) -> None:
            app.service.life.follow()
            while app.service.model.release != version:
                await asyncio.sleep(0.005)

        clients = [asyncio.create_task(client()) for _ in range(4)]
        for version in ("2", "3", "4", "5", "6"):
            await asyncio.to_thread(living.promote, deployment, version)
            await answers(version)
            await asyncio.to_thread(deployment.go_back, "a drill")
            await answers("1")
            await asyncio.to_thread(living.add, deployment, deployment.place("2"))  # one that was rolled back does not come again
        swapping = False
        await asyncio.gather(*clients)
        assert found == {(200, True)}
        await app.service.stop()

    asyncio.run(asyncio.wait_for(play(), 60))
