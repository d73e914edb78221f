"""How much of a request is taken, and how long it may take to arrive."""

import asyncio
import io
from collections.abc import Awaitable
from typing import Self, TypeVar

from starlette.datastructures import Headers
from starlette.types import Receive

from thuja.server.problem import Refusal
from thuja.server.settings import ServeSettings

T = TypeVar("T")
BUSY = {"Retry-After": "1"}
LOOK_S = 0.02
"""After this time it is worth looking whether anybody still waits for the answer."""


class ClientGone(Exception):
    """The client hung up; there is nobody to answer."""


class Bodies:
    """Counts the bytes of all bodies in memory, so that many large requests cannot fill it together; or of other things that requests hold."""

    def __init__(self, limit: int, where: str = "body", whose: str = "all requests together") -> None:
        self.limit, self.where, self.whose = limit, where, whose
        self.held = 0

    def tally(self) -> "Tally":
        """A tally for one request."""
        return Tally(self)


class Tally:
    """The bytes one request holds, given back at the end of a `with`."""

    def __init__(self, bodies: Bodies) -> None:
        self.bodies = bodies
        self.size = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.bodies.held -= self.size

    def add(self, size: int) -> None:
        """Count `size` more bytes. Raises: Refusal 429 when all requests together hold too much."""
        self.size += size
        self.bodies.held += size
        if self.bodies.held > self.bodies.limit:
            raise Refusal(429, self.bodies.where, expected=f"at most {self.bodies.limit} bytes in {self.bodies.whose}", found="more",
                          fix="Try again in a second.", headers=BUSY)


async def read_body(receive: Receive, headers: Headers, settings: ServeSettings, tally: Tally) -> bytes:
    """The whole body. Raises: Refusal 413 if too large, 408 if too slow, 415 if compressed, 429 if too much is held; ClientGone."""
    if headers.get("content-encoding", "identity").lower() != "identity":
        raise Refusal(415, "header Content-Encoding", expected="an uncompressed body", found=repr(headers["content-encoding"][:40]), fix="Send it as it is.")
    announced = headers.get("content-length", "0")
    if announced.isdigit() and int(announced) > settings.max_body_bytes:
        raise _too_large(settings, announced)
    loop = asyncio.get_running_loop()
    start = loop.time()
    body, size = io.BytesIO(), 0  # whose value is taken without another copy
    while True:
        try:
            async with asyncio.timeout_at(start + settings.body_s + size / settings.body_bytes_per_s):
                message = await receive()
        except TimeoutError as error:
            raise Refusal(408, "body", expected=f"at least {settings.body_bytes_per_s} bytes a second", found=f"{size} in {loop.time() - start:.0f} s",
                          fix="Send the body faster, or a smaller one.", headers={"Connection": "close"}) from error
        if message["type"] == "http.disconnect":
            raise ClientGone
        chunk: bytes = message.get("body", b"")
        if size + len(chunk) > settings.max_body_bytes:
            raise _too_large(settings, "more")
        tally.add(len(chunk))
        if not message.get("more_body", False) and not size:
            return chunk
        size += body.write(chunk)
        if not message.get("more_body", False):
            return body.getvalue()


def _too_large(settings: ServeSettings, found: str) -> Refusal:
    return Refusal(413, "body", expected=f"at most {settings.max_body_bytes} bytes", found=found, fix="Send fewer rows or a smaller file.",
                   headers={"Connection": "close"})


def seconds_allowed(headers: Headers, settings: ServeSettings) -> float:
    """How long the answer may take: the operator's limit, or less where the client says so.

    Raises: Refusal 400 when Request-Timeout is no number of seconds.
    """
    text = headers.get("request-timeout")
    if text is None:
        return settings.timeout_s
    try:
        wanted = float(text)
    except ValueError:
        wanted = -1.0
    if not 0 < wanted < 1e9:
        raise Refusal(400, "header Request-Timeout", expected="a number of seconds above 0", found=repr(text[:40]), fix="Send, for example, 0.5.")
    return min(wanted, settings.timeout_s)


async def while_wanted(work: Awaitable[T], receive: Receive, seconds: float, found: str = "none yet") -> T:
    """The result of `work`, which is cancelled when the client hangs up (ClientGone) or after `seconds` (Refusal 504, with what was `found` by then)."""
    patience = _Patience(receive, seconds, found)
    try:
        return await work
    except asyncio.CancelledError:
        if patience.reason is None:
            raise
        patience.task.uncancel()
        raise patience.reason from None
    finally:
        patience.stop()


class _Patience:
    """Cancels the task it was made in, with a reason, when nobody waits for its answer any more. Timers only, no task, for the many that are quick."""

    def __init__(self, receive: Receive, seconds: float, found: str) -> None:
        task, loop = asyncio.current_task(), asyncio.get_running_loop()
        assert task is not None, "made inside a task"
        self.task = task
        self.reason: ClientGone | Refusal | None = None
        self._receive, self._seconds, self._found = receive, seconds, found
        self._watch: asyncio.Task[None] | None = None
        self._timers = loop.call_later(LOOK_S, self._look), loop.call_later(seconds, self._too_late)

    def stop(self) -> None:
        """The work is over."""
        for timer in self._timers:
            timer.cancel()
        if self._watch is not None:
            self._watch.cancel()

    def _look(self) -> None:
        self._watch = asyncio.create_task(_gone(self._receive))
        self._watch.add_done_callback(self._hung_up)

    def _hung_up(self, watch: "asyncio.Task[None]") -> None:
        if not watch.cancelled():
            self._end(ClientGone())

    def _too_late(self) -> None:
        self._end(Refusal(504, "server", expected=f"an answer within {self._seconds:g} s", found=self._found, fix="Send fewer rows, or allow more time.",
                          headers=BUSY))

    def _end(self, reason: ClientGone | Refusal) -> None:
        if self.reason is None:
            self.reason = reason
            self.task.cancel()


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
