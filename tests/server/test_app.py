import asyncio
import json
import threading
import time
from pathlib import Path
from typing import Any

import httpx2
import msgspec
import pytest
import serve_toys

from thuja.artifact.runtime import Predictor
from thuja.core.errors import ThujaError
from thuja.fields import Category, Schema
from thuja.server.app import below, create_app, opened
from thuja.server.settings import ServeSettings

TOKEN = "a-token-of-some-length"
BEARER = {"Authorization": f"Bearer {TOKEN}"}


def test_one_row_many_rows_and_the_artefact_that_answered(start, predictor):
    client = start("text")
    one = client.post("/predict", json={"message": "wwww"})
    assert (one.status_code, one.headers["content-type"], one.headers["thuja-model"]) == (200, "application/json", predictor.artifact.digest)
    want = predictor.predict({"message": ["wwww"]})
    assert one.json() == {"label": "spam", "probability": want["probability"][0], "probabilities": want["probabilities"][0]}
    many = client.post("/predict", json={"rows": [{"message": "a"}, {"message": "wwww"}]})
    assert [row["label"] for row in many.json()["rows"]] == ["ham", "spam"]
    assert many.json()["rows"][1] == one.json()


def test_pictures_come_as_base64_as_a_form_or_bare(start):
    from test_pictures import base64_text, jpeg  # a module beside this one

    client = start("image")
    bright = jpeg(250)
    answers = [client.post("/predict", json={"photo": base64_text(bright)}), client.post("/predict", files={"photo": ("a.jpg", bright)}),
               client.post("/predict", content=bright, headers={"Content-Type": "image/jpeg"}),
               client.post("/predict", json={"photo": "data:image/jpeg;base64," + base64_text(bright)})]
    assert [a.status_code for a in answers] == [200] * 4
    assert {a.text for a in answers} == {answers[0].text}
    assert answers[0].json()["label"] == "spam"


def test_a_bad_row_is_named_and_the_error_is_problem_json(start):
    answer = start("image").post("/predict", json={"rows": [{"photo": "anVzdCB3b3Jkcw=="}]})
    assert (answer.status_code, answer.headers["content-type"]) == (422, "application/problem+json")
    assert answer.json() == {
        "type": "about:blank", "title": "Unprocessable Entity", "status": 422,
        "detail": "rows[0].photo: expected a picture, found text 'just words'. Send a whole JPEG, PNG, WebP, BMP, GIF, TIFF or PPM file.",
        "where": "rows[0].photo", "expected": "a picture", "found": "text 'just words'", "fix": "Send a whole JPEG, PNG, WebP, BMP, GIF, TIFF or PPM file."}


@pytest.mark.parametrize(("body", "message"), [
    ({"message": "unreadable"}, "message: expected readable text, found none. Write clearly."),
    ({"rows": [{"message": "a"}] * 40 + [{"message": "unreadable"}]}, "rows[40].message: expected readable text, found none. Write clearly."),
    ({"message": "a" * 2001}, "message: expected at most 2000 characters, found 2001. Send a shorter text, or raise max_characters."),
])
def test_what_the_codec_or_a_field_refuses_is_a_422(start, body, message):
    answer = start("text").post("/predict", json=body)
    assert (answer.status_code, answer.json()["detail"]) == (422, message)


def test_an_answer_that_is_not_finite_is_refused_not_sent(start):
    client = start("table")
    rows = [{"count": i % 100, "colour": "red"} for i in range(50)]
    rows[45]["amount"] = 1e300
    answer = client.post("/predict", json={"rows": rows})
    assert (answer.status_code, answer.json()["detail"]) == (422, "rows[45]: expected a finite value, found inf. Check this row for extreme values.")
    alone = client.post("/predict", json=rows[45])
    assert (alone.status_code, alone.json()["detail"]) == (422, "body: expected a finite value, found inf. Check this row for extreme values.")


def test_a_route_or_method_that_is_not_there(start):
    client = start("text")
    assert (client.get("/nope").status_code, client.get("/nope").json()["detail"]) == (
        404, "address: expected a route of this server, found GET /nope. See /docs for what there is.")
    assert (client.get("/predict").status_code, client.get("/predict").headers["allow"]) == (405, "POST")
    assert client.get("/static/../app.py").status_code == 404
    assert client.get("/v2/nope").json() == {"error": "address: expected a route of this server, found GET /v2/nope. See /docs for what there is."}


def test_liveness_readiness_schema_and_metrics(start, predictor):
    client = start("text")
    assert client.get("/live").json() == {"live": True}
    assert client.get("/ready").json() == {"ready": True}
    assert Schema.model_validate_json(client.get("/schema").content) == predictor.schema
    client.post("/predict", json={"rows": [{"message": "a"}] * 3})
    text = client.get("/metrics").text
    for line in ('thuja_requests_total{route="predict",status="200"} 1.0', "thuja_ready 1.0", "thuja_rows_waiting 0.0", "thuja_rows_admitted 0.0",
                 "thuja_rows_total 4.0", f'thuja_model_info{{digest="{predictor.artifact.digest}",kind="toy-text"}} 1.0'):
        assert line in text.splitlines(), line


class Stuck(Predictor):
    """Answers a warm-up and then never again, until let go."""

    def __init__(self, path: Path) -> None:
        super().__init__(opened(path).artifact)
        self.let_go = threading.Event()

    def run(self, columns: Any, program: str = "predict") -> Any:
        assert self.let_go.wait(10)
        return super().run(columns, program)


def test_a_model_that_does_not_answer_is_not_ready_and_a_request_ends_in_time(start, artifacts):
    stuck = Stuck(artifacts["text"])
    client = start(stuck, timeout_s=0.1)
    assert client.get("/ready").json() == {"ready": False, "reason": "the model does not answer in time"}
    answer = client.post("/predict", json={"message": "a"})
    assert (answer.status_code, answer.json()["detail"]) == (
        504, "server: expected an answer within 0.1 s, found none yet. Send fewer rows, or allow more time.")
    answer = client.post("/predict", json={"message": "a"}, headers={"Request-Timeout": "0.05"})
    assert answer.json()["expected"] == "an answer within 0.05 s"
    stuck.let_go.set()


class Broken(Predictor):
    """Fails in a way nobody foresaw."""

    def run(self, columns: Any, program: str = "predict") -> Any:
        raise ZeroDivisionError("a secret of the machine")


def test_a_fault_of_ours_is_a_500_that_tells_nothing(start, artifacts, caplog):
    client = start(Broken(opened(artifacts["text"]).artifact))
    answer = client.post("/predict", json={"message": "a"})
    assert (answer.status_code, answer.json()["found"]) == (500, "a fault that was logged")
    assert "secret" not in answer.text
    assert "a secret of the machine" in caplog.text
    assert answer.json()["fix"].split()[2] in caplog.text
    assert client.get("/ready").json() == {"ready": False, "reason": "the model cannot answer"}
    assert client.get("/live").status_code == 200


def test_a_full_house_is_a_429(start, artifacts):
    stuck = Stuck(artifacts["text"])
    client = start(stuck, max_rows=2, max_waiting=2, timeout_s=5)
    with_two = threading.Thread(target=client.post, args=("/predict",), kwargs={"json": {"rows": [{"message": "a"}] * 2}}, daemon=True)
    with_two.start()
    while "thuja_rows_admitted 2.0" not in client.get("/metrics").text:
        pass
    answer = client.post("/predict", json={"message": "a"})
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "1")
    assert answer.json()["detail"] == "server: expected at most 2 rows waiting, found 2 already here. Try again in a second."
    stuck.let_go.set()
    with_two.join(10)
    assert client.post("/predict", json={"message": "a"}).status_code == 200


def test_a_swap_needs_a_token_a_folder_and_a_bearer(start, tmp_path):
    swap = {"name": "new"}
    refused = ("/admin/swap: expected a server with a token and a models folder, found none. "
               "Start it with THUJA_TOKEN and --models, and send the token as Bearer.")
    for token, settings in ((None, {}), (None, {"models": tmp_path}), (TOKEN, {})):
        answer = start("text", token=token, **settings).post("/admin/swap", json=swap, headers=BEARER)
        assert (answer.status_code, answer.json()["detail"]) == (403, refused)
    answer = start("text", token=TOKEN, models=tmp_path).post("/admin/swap", json=swap, auth=("me", TOKEN))
    assert (answer.status_code, answer.json()["detail"]) == (403, refused)


def test_a_swap_changes_the_answers_or_nothing(start, tmp_path):
    for name, codec, shift in (("new", serve_toys.ToyText(), 5.0), ("other", serve_toys.ToyTable(), 0.0), ("edited", serve_toys.ToyText(), 1.0)):
        serve_toys.write(codec, tmp_path / name, shift)
    (tmp_path / "edited" / "card.md").write_text("edited")
    client = start("text", token=TOKEN, models=tmp_path)
    ask = {"json": {"message": "a"}, "headers": BEARER}
    before = client.post("/predict", **ask)
    for name, status, detail in (
            ("other", 409, "schema.inputs: expected message (text), found amount (number), count (number), colour (category). "
                           "Start another server for another interface."),
            ("edited", 409, "name: expected 2 bytes, found 6. Copy the artefact again from where it was made, or export it again."),
            ("none", 404, "name: expected an artefact in the models folder, found 'none'. Send a folder's plain name.")):
        answer = client.post("/admin/swap", json={"name": name}, headers=BEARER)
        assert (answer.status_code, answer.json()["detail"]) == (status, detail)
    assert client.post("/admin/swap", json={"path": "new"}, headers=BEARER).status_code == 400
    assert client.post("/predict", **ask).json() == before.json()
    digest = client.post("/admin/swap", json={"name": "new"}, headers=BEARER).json()["model"]
    after = client.post("/predict", **ask)
    assert (after.json()["label"], after.headers["thuja-model"]) == ("spam", digest)
    assert 'thuja_swaps_total{result="done"} 1.0' in client.get("/metrics", headers=BEARER).text


@pytest.mark.parametrize("name", ["", ".", "..", "../text", "a/b", "/etc", "..\\x", "%2e%2e", "in\0side", "x" * 300,
                                   "out", "file", ".hidden", "missing", "inside/../../x"])
def test_no_name_leads_out_of_the_models_folder(tmp_path, name):
    root = tmp_path / "models"
    (root / "inside").mkdir(parents=True)
    (root / ".hidden").mkdir()
    (root / "file").write_text("")
    (tmp_path / "outside").mkdir()
    (root / "out").symlink_to(tmp_path / "outside")
    assert below(root, "inside") == (root / "inside").resolve()
    with pytest.raises(ThujaError) as error:
        below(root, name)
    assert str(error.value) == f"name: expected an artefact in the models folder, found {name[:60]!r}. Send a folder's plain name."


def test_fifty_swaps_under_load_lose_no_request_and_mix_no_answer(artifacts, tmp_path):
    paths = [serve_toys.write(serve_toys.ToyText(), tmp_path / str(shift), shift) for shift in (0.0, 5.0)]
    labels = {opened(path).artifact.digest: label for path, label in zip(paths, ("ham", "spam"), strict=True)}

    async def play() -> None:
        await asyncio.gather(*(asyncio.to_thread(time.sleep, 0.05) for _ in range(40)))  # the loop's own pool is full before the count
        before = set(threading.enumerate())
        app = create_app(paths[0], ServeSettings())
        await app.service.start()
        found: list[tuple[int, bool]] = []
        swapping = True

        async def client() -> None:
            async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="http://127.0.0.1") as http:
                while swapping:
                    answer = await http.post("/predict", json={"rows": [{"message": "a"}, {"message": "aaaa"}]})
                    right = {row["label"] for row in answer.json()["rows"]} == {labels[answer.headers["thuja-model"]]}
                    found.append((answer.status_code, right))

        clients = [asyncio.create_task(client()) for _ in range(4)]
        for i in range(50):
            await app.service.swap(paths[1 - i % 2])
        swapping = False
        await asyncio.gather(*clients)
        assert len(found) > 50
        assert set(found) == {(200, True)}
        await app.service.stop()
        while set(threading.enumerate()) - before:  # every retired model's thread ends; else the test's time-out
            await asyncio.sleep(0.01)

    asyncio.run(asyncio.wait_for(play(), 60))


def test_an_answer_does_not_depend_on_who_else_asks(artifacts):
    """Batch isolation on a real runtime: alone and in company, ragged rows of very different lengths."""
    texts = ["w" * (1 + 37 * i % 400) + "a" * (i % 7) for i in range(120)]

    async def play() -> None:
        app = create_app(artifacts["text"], ServeSettings())
        await app.service.start()
        async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="http://127.0.0.1") as http:
            async def ask(text: str) -> tuple[int, float]:
                answer = await http.post("/predict", json={"message": text})
                return answer.status_code, answer.json().get("probability")

            alone = [await ask(text) for text in texts]
            company = await asyncio.gather(*(ask(text) for text in texts), *(http.post("/predict", json={"message": "unreadable"}) for _ in range(9)))
        for (status, one), (_, other) in zip(alone, company[:120], strict=True):
            assert status == 200
            assert other == pytest.approx(one, abs=1e-6)
        assert [answer.status_code for answer in company[120:]] == [422] * 9
        assert b"thuja_batch_rows_bucket{le=\"1.0\"} 240.0" not in app.service.metrics.render()  # some did share a batch
        await app.service.stop()

    asyncio.run(asyncio.wait_for(play(), 60))


def test_the_openapi_document_says_what_is_checked(start):
    document = start("table").get("/openapi.json").json()
    assert document["openapi"] == "3.1.0"
    row = document["components"]["schemas"]["Row"]
    assert (row["required"], row["additionalProperties"], list(row["properties"])) == (["count"], False, ["amount", "count", "colour"])
    assert "security" not in document
    assert start("text", token=TOKEN).get("/openapi.json", headers=BEARER).json()["security"] == [{"token": []}]
    references = set(_references(document))
    assert references <= {f"#/components/schemas/{name}" for name in document["components"]["schemas"]}
    assert list(document["paths"]["/predict"]["post"]["requestBody"]["content"]) == ["application/json", "multipart/form-data"]


def test_every_documented_route_is_there(start):
    client, parrot, face = start("text"), start("parrot"), start("face")
    routes = {route.path for route in client.app.routes.routes}
    paths = client.get("/openapi.json").json()["paths"]
    assert set(paths) == {route for route in routes if not route.startswith(("/v1/", "/galler"))}
    assert set(parrot.get("/openapi.json").json()["paths"]) == {route for route in routes if not route.startswith("/galler")}
    assert set(face.get("/openapi.json").json()["paths"]) == {route for route in routes if not route.startswith("/v1/")}
    for path, methods in paths.items():
        for method, operation in methods.items():
            names = {p["name"]: p["schema"]["enum"][0] for p in operation.get("parameters", ()) if p["in"] == "path"}
            assert client.request(method, path.format(**names)).status_code not in (404, 405), path


def _references(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [v for k, v in value.items() if k == "$ref"] + [r for v in value.values() for r in _references(v)]
    return [r for v in value for r in _references(v)] if isinstance(value, list) else []


def test_names_in_a_page_cannot_break_out_of_it(start, tmp_path):
    hostile = serve_toys.ToyText(names=("<script>alert(1)</script>", '"><img src=x>'))
    examples = {"rows": {"message": ['</textarea><script>alert(1)</script>"\'']}}
    client = start(opened(serve_toys.write(hostile, tmp_path / "x", certificate=examples)))
    for path in ("/", "/docs"):
        text = client.get(path).text
        assert "<script>alert" not in text
        assert "<img src=x" not in text
        assert client.get(path).headers["content-security-policy"].startswith("default-src 'none'; script-src 'self';")


@pytest.mark.parametrize("kind", ["text", "image", "table"])
def test_the_page_is_small(start, kind):
    client = start(kind)
    assert sum(len(client.get(path).content) for path in ("/", "/static/page.css", "/static/page.js")) < 60_000


def test_error_bodies_are_valid_json_whatever_was_sent(start):
    client = start("table")
    for body in (b"NaN", b'{"count": Infinity}', b'{"count": 1e999}', b'{"count": -0.0}', b'{"\xff": 1}',
                 b'{"count": "\\u0000"}', b"\x00", b'{"amount": 1e308, "count": 1}'):
        answer = client.post("/predict", content=body, headers={"Content-Type": "application/json"})
        assert answer.status_code in (200, 400, 422)
        msgspec.json.decode(answer.content)
        json.loads(answer.content, parse_constant=lambda constant: pytest.fail(constant))


def test_a_category_without_names_still_makes_a_page():
    assert Category(unknown=True).json_schema() == {"type": "string"}
