import asyncio
import json
import threading
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import serve_toys

from thuja.artifact.runtime import Predictor
from thuja.core.errors import DataError
from thuja.server.app import create_app, opened
from thuja.server.edge import Edge
from thuja.server.settings import ServeSettings

ACCEPT = {"Accept": "text/event-stream"}
PROMPT = "polly wants a cracker"
Send = Callable[[dict[str, Any]], Awaitable[None]]


def read(text: str) -> list[Any]:
    """The values of server-sent events."""
    assert text.endswith("\n\n")
    return [json.loads(line.removeprefix("data: ")) for line in text.split("\n\n")[:-1]]


class Slow(Predictor):
    """Counts its steps, each of which takes a while, and fails where it is told to."""

    def __init__(self, path: Path, step_s: float = 0.01, fails: int = 1000, error: Exception | None = None) -> None:
        super().__init__(opened(path).artifact)
        self.steps, self.step_s, self.fails, self.error = 0, step_s, fails, error

    def run(self, columns: Any, program: str = "predict") -> Any:
        if program == "step":
            self.steps += 1
            time.sleep(self.step_s)
            if self.steps == self.fails and self.error is not None:
                raise self.error
        return super().run(columns, program)


class Call:
    """One request at the ASGI interface, whose client may go away or read slowly."""

    def __init__(self, app: Edge, path: str, body: dict[str, Any], accept: str = "text/event-stream") -> None:
        self.app, self.text, self.status, self.left = app, "", 0, asyncio.Event()
        headers = [(b"host", b"127.0.0.1"), (b"accept", accept.encode()), (b"content-type", b"application/json")]
        self.scope = {"type": "http", "method": "POST", "path": path, "raw_path": path.encode(), "query_string": b"", "headers": headers, "http_version": "1.1",
                      "root_path": "", "scheme": "http", "extensions": {"thuja": {"abort": self.abort}}}
        self.body: list[dict[str, Any]] = [{"type": "http.request", "body": json.dumps(body).encode(), "more_body": False}]
        self.pieces = asyncio.Semaphore(0)
        self.reads = asyncio.Event()
        self.reads.set()
        self.aborted = self.ended = False

    def abort(self) -> None:
        self.aborted = True

    async def receive(self) -> dict[str, Any]:
        if self.body:
            return self.body.pop()
        await self.left.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: dict[str, Any]) -> None:
        await self.reads.wait()
        self.status = message.get("status", self.status)
        self.text += message.get("body", b"").decode()
        self.ended |= message["type"] == "http.response.body" and not message.get("more_body", False)
        self.pieces.release()

    async def make(self) -> None:
        await self.app(self.scope, self.receive, self.send)


def play(predictor: Any, work: Callable[[Edge], Awaitable[None]], **settings: Any) -> None:
    """Run `work` with a server in service."""

    async def whole() -> None:
        app = create_app(predictor, ServeSettings.model_validate(settings))
        await app.service.start()
        await work(app)
        await app.service.stop()

    asyncio.run(asyncio.wait_for(whole(), 20))


def counted(app: Edge, line: str) -> bool:
    return line in app.service.metrics.render().decode().splitlines()


def test_an_answer_comes_piece_by_piece_and_then_whole(start):
    client = start("parrot")
    answer = client.post("/predict", json={"prompt": "abc"}, headers=ACCEPT)
    assert (answer.status_code, answer.headers["content-type"], answer.headers["cache-control"]) == (200, "text/event-stream; charset=utf-8", "no-store")
    assert answer.headers["thuja-model"] == client.get("/predict", headers=ACCEPT).headers.get("thuja-model", answer.headers["thuja-model"])
    whole = {"text": "abc", "tokens": 3}
    assert read(answer.text) == [{"delta": "a"}, {"delta": "b"}, {"delta": "c"}, {"answer": whole}]
    assert client.post("/predict", json={"prompt": "abc"}).json() == whole
    text = client.get("/metrics").text.splitlines()
    for line in ("thuja_streams 0.0", 'thuja_streams_ended_total{how="whole"} 1.0', "thuja_first_event_seconds_count 1.0", "thuja_rows_admitted 0.0"):
        assert line in text, line


def test_a_model_that_answers_at_once_streams_its_answer(start):
    client = start("text")
    answer = client.post("/predict", json={"message": "zz"}, headers=ACCEPT)
    assert read(answer.text) == [{"answer": client.post("/predict", json={"message": "zz"}).json()}]


@pytest.mark.parametrize(("body", "status", "detail"), [
    ({"rows": [{"prompt": "a"}]}, 422, "rows: expected one object, to stream its answer, found rows. Send the row alone, or do not ask for events."),
    ({"prompt": "unreadable"}, 422, "prompt: expected readable text, found none. Write clearly."),
    ({"prompt": "a" * 201}, 422, "prompt: expected at most 200 characters, found 201. Send a shorter text, or raise max_characters."),
])
def test_what_is_wrong_from_the_beginning_has_its_status(start, body, status, detail):
    answer = start("parrot").post("/predict", json=body, headers=ACCEPT)
    assert (answer.status_code, answer.headers["content-type"], answer.json()["detail"]) == (status, "application/problem+json", detail)


def test_a_full_house_is_a_429_before_the_first_piece(artifacts):
    async def work(app: Edge) -> None:
        first, second = (Call(app, "/predict", {"prompt": PROMPT}) for _ in range(2))
        task = asyncio.create_task(first.make())
        await first.pieces.acquire()
        await second.make()
        assert second.status == 429
        assert json.loads(second.text)["detail"] == "server: expected at most 1 rows waiting, found 1 already here. Try again in a second."
        await task
        assert read(first.text)[-1]["answer"]["text"] == PROMPT
        assert counted(app, "thuja_rows_admitted 0.0")

    play(Slow(artifacts["parrot"]), work, max_rows=1, max_waiting=1)


def test_the_model_stops_when_the_client_goes_away(artifacts):
    predictor = Slow(artifacts["parrot"])

    async def work(app: Edge) -> None:
        call = Call(app, "/predict", {"prompt": PROMPT})
        task = asyncio.create_task(call.make())
        for _ in range(4):  # the head and three pieces
            await call.pieces.acquire()
        steps = predictor.steps
        call.left.set()
        await task
        assert predictor.steps <= steps + 1
        await asyncio.sleep(3 * predictor.step_s)
        assert predictor.steps <= steps + 1, "the model goes on for nobody"
        assert counted(app, 'thuja_streams_ended_total{how="left"} 1.0')
        assert counted(app, "thuja_rows_admitted 0.0") and counted(app, "thuja_rows_waiting 0.0") and counted(app, "thuja_streams 0.0")
        assert app.service.bodies.held == 0

    play(predictor, work)


def test_trouble_on_the_way_is_the_last_event(artifacts):
    error = DataError("rows[0]", expected="a finite score", found="nan", fix="Check this row for extreme values.")

    async def work(app: Edge) -> None:
        call = Call(app, "/predict", {"prompt": PROMPT})
        await call.make()
        *_, last = read(call.text)
        assert (call.status, last["error"]["status"], last["error"]["detail"]) == (
            200, 422, "body: expected a finite score, found nan. Check this row for extreme values.")
        assert call.ended
        assert counted(app, 'thuja_streams_ended_total{how="cut"} 1.0')

    play(Slow(artifacts["parrot"], fails=3, error=error), work)


def test_a_fault_on_the_way_tells_nothing_but_its_number(artifacts, caplog):
    async def work(app: Edge) -> None:
        call = Call(app, "/predict", {"prompt": PROMPT})
        await call.make()
        *_, last = read(call.text)
        assert (last["error"]["status"], last["error"]["found"]) == (500, "a fault that was logged")
        assert last["error"]["fix"].split()[2] in caplog.text
        assert "secret" not in call.text and "a secret of the machine" in caplog.text

    play(Slow(artifacts["parrot"], fails=3, error=ZeroDivisionError("a secret of the machine")), work)


def test_a_step_that_takes_too_long_and_a_whole_that_does(artifacts):
    async def stuck(app: Edge) -> None:
        call = Call(app, "/predict", {"prompt": PROMPT})
        await call.make()
        assert read(call.text)[-1]["error"]["detail"] == (
            "server: expected another piece of the answer within 0.2 s, found none yet. Ask again later.")

    async def endless(app: Edge) -> None:
        call = Call(app, "/predict", {"prompt": PROMPT})
        await call.make()
        assert read(call.text)[-1]["error"]["detail"] == (
            "server: expected an answer within 0.1 s, found only a part of it. Send fewer rows, or allow more time.")

    predictor = Slow(artifacts["parrot"])
    waits = threading.Event()
    run = predictor.run
    predictor.run = lambda columns, program="predict": (waits.wait(0.6) if predictor.steps == 2 else None, run(columns, program))[1]  # type: ignore[method-assign]
    play(predictor, stuck, timeout_s=0.2)
    play(Slow(artifacts["parrot"], step_s=0.03), endless, stream_s=0.1)


def test_a_reader_that_takes_nothing_is_cut_off_and_its_place_given_away(artifacts):
    async def work(app: Edge) -> None:
        call = Call(app, "/predict", {"prompt": PROMPT})
        task = asyncio.create_task(call.make())
        await call.pieces.acquire()
        call.reads.clear()
        await task
        assert call.aborted
        assert counted(app, "thuja_rows_admitted 0.0") and counted(app, "thuja_streams 0.0")

    play(Slow(artifacts["parrot"], step_s=0.001), work, timeout_s=0.1)


def test_a_server_that_leaves_says_so(artifacts):
    async def work(app: Edge) -> None:
        call = Call(app, "/predict", {"prompt": PROMPT})
        task = asyncio.create_task(call.make())
        for _ in range(3):
            await call.pieces.acquire()
        task.cancel()  # as uvicorn does when `drain_s` is over
        with pytest.raises(asyncio.CancelledError):
            await task
        assert read(call.text)[-1]["error"]["detail"] == "server: expected an answer, found a server that leaves. Ask again."

    play(Slow(artifacts["parrot"]), work)


def test_a_stream_ends_on_the_model_it_began_on(artifacts, tmp_path):
    other = serve_toys.write(serve_toys.ToyParrot(), tmp_path / "other", shift=1.0)

    async def work(app: Edge) -> None:
        call = Call(app, "/predict", {"prompt": "abcdef"})
        task = asyncio.create_task(call.make())
        for _ in range(2):
            await call.pieces.acquire()
        await app.service.swap(other)
        late = Call(app, "/predict", {"prompt": "abcdef"})
        await late.make()
        await task
        assert [read(c.text)[-1]["answer"]["text"] for c in (call, late)] == ["abcdef", "bcdefg"]

    play(Slow(artifacts["parrot"]), work)


def test_answers_of_equal_length_share_their_steps_and_others_take_turns(artifacts):
    predictor = Slow(artifacts["parrot"], step_s=0.005)

    async def work(app: Edge) -> None:
        calls = [Call(app, "/predict", {"prompt": text}) for text in ("aaaaaaaa", "bbbbbbbb", "cccc", "dddd")]
        await asyncio.gather(*(call.make() for call in calls))
        assert [read(call.text)[-1]["answer"]["text"] for call in calls] == ["aaaaaaaa", "bbbbbbbb", "cccc", "dddd"]
        assert predictor.steps <= 16, "8 and 4 steps, were they all joined from the first; 24 if none were"

    play(predictor, work)


def test_what_answers_hold_between_their_steps_is_bounded(artifacts):
    async def work(app: Edge) -> None:
        first, second = (Call(app, "/predict", {"prompt": PROMPT}) for _ in range(2))
        task = asyncio.create_task(first.make())
        await first.pieces.acquire()
        await second.make()
        assert (second.status, json.loads(second.text)["detail"]) == (
            429, "server: expected at most 370 bytes in all answers in the making, found more. Try again in a second.")
        await task
        assert read(first.text)[-1]["answer"]["text"] == PROMPT
        third = Call(app, "/predict", {"prompt": PROMPT})
        await third.make()
        assert read(third.text)[-1]["answer"]["text"] == PROMPT, "what the first held was given back"

    play(Slow(artifacts["parrot"]), work, max_state_bytes=370)


def test_long_answers_are_refused_at_once_where_they_would_come_too_late_unless_they_are_streamed(artifacts):
    async def work(app: Edge) -> None:
        batcher = app.service.model.batcher
        batcher.row_s, batcher.runs = 0.1, 50.0
        with batcher.room(7):
            whole = Call(app, "/predict", {"prompt": "ab"}, accept="*/*")
            await whole.make()
            assert (whole.status, json.loads(whole.text)["detail"]) == (
                429, "server: expected an answer within 30 s, found 7 rows already here, of some 50 steps each. Try again in 5 seconds.")
            streamed = Call(app, "/predict", {"prompt": "ab"})
            await streamed.make()
            assert streamed.status == 200

    play(opened(artifacts["parrot"]), work)


def test_readiness_takes_a_step_not_a_whole_answer(start, artifacts):
    predictor = Slow(artifacts["parrot"], step_s=0)
    client = start(predictor, ready_s=0)
    assert client.get("/ready").json() == {"ready": True}
    assert predictor.steps == 1
