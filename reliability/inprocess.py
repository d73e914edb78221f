"""A server in this process, asked without a wire: the ASGI messages that uvicorn would make of a request, and those that come back."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Mapping
from contextlib import asynccontextmanager
from typing import Any, NamedTuple, TypeVar
from urllib.parse import unquote

from thuja.server.edge import Edge

T = TypeVar("T")
HOST = b"127.0.0.1"


class Answer(NamedTuple):
    """What came back."""

    status: int
    headers: dict[str, str]
    """Names in lower case."""
    body: bytes


class Client:
    """Asks an application. `ask` may be called from many tasks at once."""

    def __init__(self, app: Edge) -> None:
        self.app = app

    async def ask(self, method: str, path: str, body: bytes | Iterable[bytes] = b"", headers: Mapping[str, str] | None = None) -> Answer:
        """One request. `path` is as on the wire, percent-encoded, with the query; `body` is one chunk or several."""
        raw, _, query = path.partition("?")
        pairs = [(b"host", HOST)] + [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in (headers or {}).items()]
        scope = {"type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": method, "scheme": "http", "path": unquote(raw),
                 "raw_path": raw.encode("latin-1", "replace"), "query_string": query.encode("latin-1", "replace"), "root_path": "", "headers": pairs,
                 "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 80)}
        chunks = iter([body] if isinstance(body, bytes) else body)
        sent: list[dict[str, Any]] = []
        ended = False

        async def receive() -> dict[str, Any]:
            nonlocal ended
            if ended:
                await asyncio.Event().wait()  # a client that waits for its answer
            chunk = next(chunks, None)
            ended = chunk is None
            return {"type": "http.request", "body": chunk or b"", "more_body": not ended}

        async def send(message: Any) -> None:
            sent.append(message)

        await self.app(scope, receive, send)
        start = next(m for m in sent if m["type"] == "http.response.start")
        return Answer(start["status"], {n.decode("latin-1").lower(): v.decode("latin-1") for n, v in start["headers"]},
                      b"".join(m.get("body", b"") for m in sent if m["type"] == "http.response.body"))


@asynccontextmanager
async def client(app: Edge) -> AsyncIterator[Client]:
    """The application started, and stopped at the end."""
    await app.service.start()
    try:
        yield Client(app)
    finally:
        await app.service.stop()


def asked(app: Edge, work: Callable[[Client], Coroutine[Any, Any, T]]) -> T:
    """What `work` finds out with a client of `app`, in an event loop of its own."""
    async def run() -> T:
        async with client(app) as opened:
            return await work(opened)

    return asyncio.run(run())
