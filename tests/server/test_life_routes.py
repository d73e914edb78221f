"""The pages of a deployment behind a server: what they show, what they refuse, and the way of a label from the question to the folder."""

import base64
import io
import json

import living
import numpy as np
import pytest
import serve_toys
from PIL import Image as Pillow
from starlette.testclient import TestClient

from thuja.life.calls import Call
from thuja.life.plan import Audit, Plan, Record
from thuja.life.queue import SETTLED
from thuja.server import watching
from thuja.server.page import POLICY

DAY = 86400.0
BEGIN = living.BEGIN // DAY * DAY
FULL = Plan(record=Record(inputs="full"), audit=Audit(per_window=10, uncertain=0.5))
TOKEN = "a-token-of-some-length"
HOSTILE = "<script>alert('ham & eggs')</script>"


def asked(deployment, inputs, count=40):
    """A day of kept answers, and a moment at which they are asked about."""
    rng = np.random.default_rng(0)
    calls = [Call(deployment.calls.new_id(BEGIN + 60 * n), BEGIN + 60 * n, "1", inputs(n), {"label": "ham", "probability": float(rng.random())}, 1.0, 1.0)
             for n in range(count)]
    deployment.calls.add(calls)
    deployment.clock.now = BEGIN + DAY + SETTLED + 1
    return calls


def test_the_dashboard_of_what_answers(start, tmp_path):
    client = start(living.deployed(tmp_path, plan=Plan(owner=HOSTILE)))
    page = client.get("/life")
    assert page.status_code == 200 and page.headers["content-security-policy"] == POLICY and len(page.content) < 40_000
    assert "Version 1 answers; nobody has looked yet." in page.text and 'href="/label"' in page.text
    assert "<script>alert" not in page.text and "&lt;script&gt;alert" in page.text
    assert "style=" not in page.text and "onclick" not in page.text and page.text.count("<script") == 1
    data = client.get("/life.json").json()
    assert data["vital"]["champion"] == "1" and data["labels"]["waiting"] is None and data["owner"] == HOSTILE


def test_a_plain_artefact_has_no_dashboard(start):
    client = start("text")
    assert [client.get(path).status_code for path in ("/life", "/life.json", "/label", "/label/next")] == [404] * 4


def test_a_token_is_asked_for(start, tmp_path):
    client = start(living.deployed(tmp_path), token=TOKEN)
    assert client.get("/life").status_code == client.get("/label/next").status_code == 401
    assert client.get("/life", headers={"Authorization": f"Bearer {TOKEN}"}).status_code == 200


def test_a_question_is_answered_and_its_label_says_whether_it_speaks_for_all(start, tmp_path):
    deployment = living.deployed(tmp_path, plan=FULL)
    asked(deployment, lambda n: {"message": f"{HOSTILE} {n}"})
    client = start(deployment)
    assert "What is true?" in client.get("/label").text
    seen = {}
    while (question := client.get("/label/next").json())["left"]:
        assert question["inputs"][0]["value"].startswith(HOSTILE) and question["asked"] == {"name": "label", "kind": "category", "names": ["ham", "spam"]}
        assert question["answer"] == "ham" and question["version"] == "1"
        seen[question["call"]] = question["left"]
        label = {"call": question["call"], "truth": {"label": "spam"}, "by": "ada", "audit": True}
        assert client.post("/feedback", json=label).json() == {"kept": 1, "unknown": 0, "refused": 0}
    assert list(seen.values()) == list(range(len(seen), 0, -1)) and len(seen) > 1
    assert question["why"].startswith("Nothing waits for a label. Questions about the present window come after 2023-11-16 00:02")
    kept = deployment.labels.between(0, 2e9)
    drawn = client.app.service.life.queue.evenly(seen)
    assert {label.call: label.evenly for label in kept} == drawn and set(drawn.values()) == {True, False}
    assert client.get("/life.json").json()["labels"]["waiting"] == 0


def test_a_label_that_nobody_asked_for_does_not_speak_for_all(start, tmp_path):
    deployment = living.deployed(tmp_path, plan=FULL)
    calls = asked(deployment, lambda n: {"message": "a"})
    client = start(deployment)
    other = next(call for call in calls if call.id not in client.app.service.life.queue.evenly([call.id for call in calls]))
    for audit in (True, False):
        client.post("/feedback", json={"call": other.id, "truth": {"label": "ham"}, "audit": audit})
    assert [label.evenly for label in deployment.labels.between(0, 2e9)] == [False, True]


def test_without_rows_it_says_what_to_set(start, tmp_path):
    client = start(living.deployed(tmp_path))
    assert client.get("/label/next").json()["why"].startswith("The plan keeps no rows to ask about: set record.inputs to full in plan.json")


def picture(kind, size=(30, 20)):
    out = io.BytesIO()
    Pillow.new("RGB", size, (90, 200, 60)).save(out, kind)
    return out.getvalue()


@pytest.mark.parametrize(("kind", "shown"), [("JPEG", "image/jpeg"), ("PNG", "image/png"), ("WEBP", "image/webp"), ("TIFF", "image/png")])
def test_pictures_come_in_a_format_that_browsers_show(start, tmp_path, kind, shown):
    deployment = living.deployed(tmp_path, codec=serve_toys.ToyImage(), plan=FULL)
    data = base64.b64encode(picture(kind)).decode()
    asked(deployment, lambda n: {"photo": data})
    value = start(deployment).get("/label/next").json()["inputs"][0]["value"]
    head, _, body = value.partition(",")
    assert head == f"data:{shown};base64"
    assert Pillow.open(io.BytesIO(base64.b64decode(body))).size == (30, 20)
    assert kind == "TIFF" or body == data


def test_a_picture_that_cannot_be_shown_is_left_out(start, tmp_path):
    deployment = living.deployed(tmp_path, codec=serve_toys.ToyImage(), plan=FULL)
    asked(deployment, lambda n: {"photo": "not base64!"})
    assert start(deployment).get("/label/next").json()["inputs"][0]["value"] is None


def damaged(deployment):
    path = deployment.path / "ledger.log"
    data = path.read_bytes()
    path.write_bytes(data[:300] + b"x" + data[301:])
    return deployment.path


def test_a_damaged_ledger_is_shown_with_its_trouble_on_top(tmp_path):
    from thuja.life.deployment import Deployment

    deployment = living.deployed(tmp_path, plan=FULL)
    client = TestClient(watching.create_app(Deployment.open(damaged(deployment), deployment.clock)), base_url="http://127.0.0.1")
    page = client.get("/life")
    assert page.status_code == 200 and "Restore the file from a copy" in page.text and page.text.index("Restore") < page.text.index('class="cards"')
    assert "ledger.log:" in client.get("/life.json").json()["trouble"][0]


def test_the_dashboard_alone_answers_nothing_else(tmp_path):
    deployment = living.deployed(tmp_path, plan=FULL)
    asked(deployment, lambda n: {"message": "a"})
    client = TestClient(watching.create_app(deployment, TOKEN), base_url="http://127.0.0.1")
    assert client.get("/live").status_code == 200 and client.get("/life").status_code == 401
    client.headers["Authorization"] = f"Bearer {TOKEN}"
    page = client.get("/", follow_redirects=True)
    assert page.url.path == "/life" and 'href="/label"' not in page.text and "questions wait for a person" in page.text
    assert client.get("/static/life.css").headers["content-type"].startswith("text/css")
    assert [client.get(path).status_code for path in ("/label", "/predict", "/static/../watching.py")] == [404] * 3
    assert client.post("/feedback", json={}).status_code == 404
    assert json.loads(client.get("/life.json").text)["labels"]["waiting"] > 0


def test_an_open_dashboard_is_for_this_machine_alone(tmp_path):
    client = TestClient(watching.create_app(living.deployed(tmp_path)), base_url="http://example.org")
    assert client.get("/life").status_code == 421
