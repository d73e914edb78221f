"""Answers sent piece by piece while they are made, as server-sent events: one JSON value after each `data: `.

Nothing is sent before the first piece is there, so that a full house, a bad row or a slow model is still told with its status. After that, trouble is the last
event. Whoever goes away takes the answer along: its next step is never run. Two limits on time: `timeout_s` for the first piece and for every later one (to be
made, and to be taken by a slow reader), `stream_s` for the whole.

Source: HTML Living Standard, section 9.2 (the event stream format).
"""

import asyncio
import contextlib
import time
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from typing import Any

import msgspec
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from thuja.codec import answer_of
from thuja.core.errors import DataError, ThujaError
from thuja.server import problem, wire
from thuja.server.limits import BUSY, ClientGone, while_wanted
from thuja.server.model import Model
from thuja.server.problem import Refusal, placed
from thuja.server.service import Service

KIND = "text/event-stream"
LAST_WORDS_S = 1.0
"""How long the last event of a stream that is cut off may take to be sent."""
Events = AsyncGenerator[bytes, None]


def wanted(headers: Headers) -> bool:
    """Whether the client asks for events.

    >>> wanted(Headers({"accept": "text/event-stream"})), wanted(Headers({"accept": "*/*"}))
    (True, False)
    """
    return KIND in headers.get("accept", "").lower()


def event(value: Any) -> bytes:
    """One event.

    >>> event({"delta": "two\\nlines"})
    b'data: {"delta":"two\\\\nlines"}\\n\\n'
    """
    return b"data: %b\n\n" % msgspec.json.encode(value)


async def pieces(model: Model, rows: Mapping[str, Sequence[Any]], done: Callable[[Mapping[str, Sequence[Any]]], None] | None = None) -> Events:
    """The events of one row's answer: `{"delta": ...}` for every piece of text, then `{"answer": {...}}`. `done` is told the whole answer."""
    sent = ""
    try:
        async with contextlib.aclosing(model.states(await model.encode(rows, 1))) as states:
            async for state in states:
                text = (model.predictor.artifact.codec.partial(state) or [""])[0]
                if len(text) > len(sent):
                    yield event({"delta": text[len(sent) :]})
                    sent = text
    except DataError as error:
        raise placed(error, None) from error
    outputs = model.predictor.decode(answer_of(state))
    if done is not None:
        done(outputs)
    yield event({"answer": wire.plain(outputs, model.schema)[0]})


class Stream(Response):
    """A response made of events. What the answer holds (its room, its model) is let go when the last event is sent, or nobody waits for it any more."""

    media_type = KIND

    def __init__(self, events: Events, first: bytes, held: contextlib.ExitStack, service: Service, headers: Mapping[str, str]) -> None:
        """`first` is the first of the events, which has been made already."""
        super().__init__(headers={"X-Accel-Buffering": "no", **headers})
        del self.headers["content-length"]
        self._events, self._first, self._held, self._service = events, first, held, service
        self._path = ""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send everything. Raises: Refusal 504 when it takes too long, ClientGone, or what the making of the answer raises; `end` tells it."""
        scope["stream"], self._path = self, scope["path"]
        settings, how = self._service.settings, "cut"
        self._service.metrics.streams.inc()
        try:
            await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
            await while_wanted(self._send(send, scope), receive, settings.stream_s, "only a part of it")
            how = "whole"
        except ClientGone:
            how = "left"
            raise
        except asyncio.CancelledError:  # the server leaves, and has waited long enough
            await self.end(send, Refusal(503, "server", expected="an answer", found="a server that leaves", fix="Ask again.", headers=BUSY))
            raise
        finally:
            await self._events.aclose()  # before its room is given to another
            self._held.close()
            self._service.metrics.streams.dec()
            self._service.metrics.streams_ended.labels(how).inc()

    async def end(self, send: Send, error: ThujaError) -> None:
        """Tell an error as the last event."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LAST_WORDS_S):
                _, body = problem.told(error, self._path)
                await send({"type": "http.response.body", "body": event(body if "error" in body else {"error": body})})

    async def _send(self, send: Send, scope: Scope) -> None:
        part: bytes | None = self._first
        while part is not None:
            try:
                async with asyncio.timeout(self._service.settings.timeout_s):
                    await send({"type": "http.response.body", "body": part, "more_body": True})
            except TimeoutError as error:
                scope.get("extensions", {}).get("thuja", {}).get("abort", _nothing)()  # whoever reads so slowly would not read an error either
                raise ClientGone from error
            part = await _next(self._events, self._service.settings.timeout_s)
        await send({"type": "http.response.body"})


async def begin(events: Events, request: Request, held: contextlib.ExitStack, seconds: float, headers: Mapping[str, str]) -> Stream:
    """The response for `events`, once the first of them is there; `held` is closed when the last one is sent, by the caller if none is.

    Raises: what the making of the first event raises, Refusal 504 after `seconds`, ClientGone.
    """
    service: Service = request.app
    began = time.perf_counter()
    async with contextlib.AsyncExitStack() as unfinished:
        unfinished.push_async_callback(events.aclose)
        first = await while_wanted(anext(events), request.receive, seconds)
        unfinished.pop_all()
    service.metrics.first_event.observe(time.perf_counter() - began)
    return Stream(events, first, held.pop_all(), service, headers)


async def _next(events: Events, seconds: float) -> bytes | None:
    """The next event, None after the last. Raises: Refusal 504 when it is not there in time."""
    try:
        async with asyncio.timeout(seconds):
            return await anext(events, None)
    except TimeoutError as error:
        raise Refusal(504, "server", expected=f"another piece of the answer within {seconds:g} s", found="none yet", fix="Ask again later.",
                      headers=BUSY) from error


def _nothing() -> None:
    """Where there is no connection to cut, as in tests."""


