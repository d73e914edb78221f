"""A deployment behind a server: the champion answers, what is drawn is kept, labels come back, and the ledger is followed."""

import living
import pytest

from thuja.core.errors import DeploymentError


def test_the_champion_answers_and_every_answer_has_a_name(start, tmp_path):
    deployment = living.deployed(tmp_path)
    client = start(deployment)
    one = client.post("/predict", json={"message": "a"})
    many = client.post("/predict", json={"rows": [{"message": "a"}, {"message": "b"}]})
    assert one.status_code == many.status_code == 200 and one.headers["thuja-model"] == deployment.artifact("1").digest
    client.app.service.life.recording.flush()
    names = [call.id for call in deployment.calls.between(0, 2e9)]
    base = many.headers["thuja-call"]
    assert names == [one.headers["thuja-call"], f"{base}.0", f"{base}.1"]


def test_a_plain_artefact_has_no_life(start):
    client = start("text")
    answer = client.post("/predict", json={"message": "a"})
    assert "thuja-call" not in answer.headers and client.app.service.life is None
    assert client.post("/feedback", json={"call": "x", "truth": {"label": "ham"}}).status_code == 404
    assert "thuja_calls" not in client.get("/metrics").text


def test_a_deployment_without_a_champion_says_so(start, tmp_path):
    deployment = living.deployed(tmp_path, shifts=())
    with pytest.raises(DeploymentError, match="expected a version that answers, found none yet"):
        start(deployment.path)


def test_labels_are_kept_and_come_back_to_their_answers(start, tmp_path):
    deployment = living.deployed(tmp_path)
    client = start(deployment)
    name = client.post("/predict", json={"message": "a"}).headers["thuja-call"]
    client.app.service.life.recording.flush()
    answer = client.post("/feedback", json={"call": name, "truth": {"label": "spam"}, "by": "ada"})
    assert (answer.status_code, answer.json()) == (202, {"kept": 1, "unknown": 0, "refused": 0})
    answer = client.post("/feedback", json={"labels": [{"call": name, "truth": {"label": "ham"}}, {"call": "nobody", "truth": {"label": "ham"}}]})
    assert answer.json() == {"kept": 2, "unknown": 1, "refused": 0}
    labels = deployment.labels.between(0, 2e9)
    assert [(label.call, label.truth, label.by, label.evenly) for label in labels] == [
        (name, {"label": "spam"}, "ada", True), (name, {"label": "ham"}, "", True), ("nobody", {"label": "ham"}, "", True)]
