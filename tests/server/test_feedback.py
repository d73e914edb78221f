"""Labels over HTTP: each is checked as it will be used, and whoever sends a wrong one is told which and why."""

import living
import pytest
import serve_toys

from thuja.life.plan import Audit, Plan

GOOD = {"call": "x", "truth": {"label": "ham"}}


@pytest.mark.parametrize(("body", "status", "where", "expected"), [
    ({"call": "x", "truth": {"label": 7}}, 422, "truth.label", "the name of a class"),
    ({"call": "x", "truth": {}}, 422, "truth.label", "the true value"),
    ({"call": "x", "truth": {"lable": "ham"}}, 422, "truth.lable", "the name of the output that labels are about, 'label'"),
    ({"labels": [GOOD, GOOD, GOOD, {"call": "x", "truth": {"label": None}}]}, 422, "labels[3].truth.label", "the name of a class"),
    ({"labels": [GOOD, {"call": 5, "truth": {}}]}, 422, "labels[1].call", "str"),
    ({"labels": [GOOD, {"call": "x"}]}, 422, "labels[1].truth", "a value"),
    ({"labels": []}, 422, "labels", "1 to 4 labels"),
    ({"labels": [GOOD] * 5}, 413, "labels", "1 to 4 labels"),
    ({"truth": {"label": "ham"}}, 422, "call", "a value"),
    ({"call": "", "truth": {"label": "ham"}}, 422, "call", "str"),
    ({"call": "x" * 101, "truth": {"label": "ham"}}, 422, "call", "str"),
    ({**GOOD, "evenly": True}, 422, "evenly", "call, truth, by and audit"),
    ({**GOOD, "by": "x" * 201}, 422, "by", "str"),
    ([GOOD], 422, "body", "object"),
])
def test_a_label_that_cannot_be_used_is_named(start, tmp_path, body, status, where, expected):
    deployment = living.deployed(tmp_path)
    answer = start(deployment, max_labels=4).post("/feedback", json=body)
    assert (answer.status_code, answer.json()["where"], answer.json()["expected"][: len(expected)]) == (status, where, expected)
    assert answer.json()["fix"] and not deployment.labels.between(0, 2e9)


@pytest.mark.parametrize(("content", "kind", "status"), [
    (b"{", "application/json", 400), (b'{"call": "x", "truth": {"label": NaN}}', "application/json", 400), (b"\xff\xfe", "application/json", 400),
    (b"call=x", "application/x-www-form-urlencoded", 415), (b"[" * 100_000, "application/json", 422),
    (b'{"labels":[' + b"{}," * 90_000, "application/json", 413)])
def test_what_is_no_label_at_all_is_refused(start, tmp_path, content, kind, status):
    client = start(living.deployed(tmp_path))
    assert client.post("/feedback", content=content, headers={"Content-Type": kind}).status_code == status


def test_amounts_are_checked_as_amounts(start, tmp_path):
    client = start(living.deployed(tmp_path, codec=serve_toys.ToyTable()))
    assert client.post("/feedback", json={"call": "x", "truth": {"value": 3}}).status_code == 202
    for wrong in ("3", True, None, [3]):
        answer = client.post("/feedback", json={"call": "x", "truth": {"value": wrong}})
        assert (answer.status_code, answer.json()["expected"]) == (422, "a finite number")


def test_labels_for_unknown_erased_and_expired_answers_and_contradictions_are_kept(start, tmp_path):
    clock = living.Clock()
    deployment = living.deployed(tmp_path, clock=clock)
    client = start(deployment)
    names = [client.post("/predict", json={"message": "a"}).headers["thuja-call"] for _ in range(2)]
    client.app.service.life.recording.flush()
    deployment.calls.erase(names[:1])
    clock.now += 7200
    for truth in ("ham", "ham", "spam"):  # repeated, contradicting: what counts is decided on reading
        assert client.post("/feedback", json={"call": names[0], "truth": {"label": truth}}).json() == {"kept": 1, "unknown": 0, "refused": 0}
    deployment.calls.segments.expire(clock.now)
    assert client.post("/feedback", json={"call": names[1], "truth": {"label": "ham"}}).json() == {"kept": 1, "unknown": 1, "refused": 0}
    assert len(deployment.labels.between(0, 2e9)) == 4
    lines = client.get("/metrics").text.splitlines()
    assert 'thuja_labels_total{result="kept"} 4.0' in lines and 'thuja_labels_total{result="unknown"} 1.0' in lines


def test_labels_of_whichever_somebody_felt_like_bear_no_alarm(start, tmp_path):
    deployment = living.deployed(tmp_path, plan=Plan(audit=Audit(feedback="some")))
    start(deployment).post("/feedback", json=GOOD)
    assert [label.evenly for label in deployment.labels.between(0, 2e9)] == [False]


def test_the_interface_is_documented(start, tmp_path):
    client = start(living.deployed(tmp_path))
    document = client.get("/openapi.json").json()
    assert document["paths"]["/predict"]["post"]["responses"]["200"]["headers"]["Thuja-Call"]["schema"] == {"type": "string"}
    route = document["paths"]["/feedback"]["post"]
    assert {"202", "400", "408", "413", "415", "421", "422", "429", "503"} == set(route["responses"])
    assert "POST /feedback" in client.get("/docs").text
    assert document["components"]["schemas"]["Label"]["properties"]["truth"]["additionalProperties"] is False


def test_a_label_for_a_model_that_makes_vectors_is_refused_with_the_reason(start, tmp_path):
    client = start(living.deployed(tmp_path, codec=serve_toys.ToyFace()))
    answer = client.post("/feedback", json={"call": "x", "truth": {"embedding": [1.0]}})
    assert answer.status_code == 422 and answer.json()["expected"].startswith("a field of kind boxes, category")


def test_every_route_of_a_deployment_is_documented_and_there(start, tmp_path):
    client = start(living.deployed(tmp_path))
    paths = client.get("/openapi.json").json()["paths"]
    routes = {route.path for route in client.app.routes.routes if not route.path.startswith(("/v1/", "/galler"))}
    assert set(paths) == routes and {"/feedback", "/life", "/life.json", "/label", "/label/next"} <= routes
    for path in ("/life", "/life.json", "/label", "/label/next"):
        assert client.get(path).status_code == 200
