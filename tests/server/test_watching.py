"""The server of the dashboard alone: it shows a deployment whatever state it is in, and answers nothing else."""

import json

import living
from starlette.testclient import TestClient

from thuja.life.calls import Call
from thuja.life.deployment import Deployment
from thuja.life.plan import Audit, Plan, Record
from thuja.life.queue import SETTLED
from thuja.server import watching

DAY = 86400.0
BEGIN = living.BEGIN // DAY * DAY
FULL = Plan(record=Record(inputs="full"), audit=Audit(per_window=10))
TOKEN = "a-token-of-some-length"


def damaged(deployment):
    path = deployment.path / "ledger.log"
    data = path.read_bytes()
    path.write_bytes(data[:300] + b"x" + data[301:])
    return deployment.path


def test_a_damaged_ledger_is_shown_with_its_trouble_on_top(tmp_path):
    deployment = living.deployed(tmp_path, plan=FULL)
    client = TestClient(watching.create_app(Deployment.open(damaged(deployment), deployment.clock)), base_url="http://127.0.0.1")
    page = client.get("/life")
    assert page.status_code == 200 and "Restore the file from a copy" in page.text and page.text.index("Restore") < page.text.index('class="cards"')
    assert "ledger.log:" in client.get("/life.json").json()["trouble"][0]


def test_the_dashboard_alone_answers_nothing_else(tmp_path):
    deployment = living.deployed(tmp_path, plan=FULL)
    answer = {"label": "ham", "probability": 0.6}
    deployment.calls.add([Call(deployment.calls.new_id(BEGIN + n), BEGIN + n, "1", {"message": "a"}, answer, 1.0, 1.0) for n in range(40)])
    deployment.clock.now = BEGIN + DAY + SETTLED + 1
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
