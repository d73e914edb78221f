"""The pages of a deployment behind a server: what they show, what they refuse, and the way of a label from the question to the folder."""

import base64
import io

import living
import numpy as np
import pytest
import serve_toys
from PIL import Image as Pillow

from thuja.life.calls import Call
from thuja.life.plan import Audit, Plan, Record
from thuja.life.queue import SETTLED
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
