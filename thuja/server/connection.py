"""One connection, with the limits that uvicorn leaves open: how long headers may take to arrive, and how large they may be."""

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

FRESH_S = 0.25
"""When the server leaves: how long a connection that was just opened may take to send its request."""
FULL = 0.95
"""Of the connections allowed: from here on, a new one takes the place of the one that has been idle longest."""
_TOO_LARGE = b"HTTP/1.1 431 Request Header Fields Too Large\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"


class Connection(HttpToolsProtocol):
    """A slow or endless header ends the connection instead of holding it (slow-loris)."""

    def __init__(self, *, header_s: float, max_header_bytes: int, **given: Any) -> None:
        super().__init__(**given)
        self._header_s, self._max_header_bytes = header_s, max_header_bytes
        self._header_bytes = 0
        self._in_headers = self._in_body = False
        self._timer: asyncio.TimerHandle | None = None
        self._since = 0.0
        """When this connection last began to wait for a request."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._since = self.loop.time()
        self._expect_headers()
        self._make_room()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._stop_timer()  # begun again below if the headers are not all there
        self._in_headers = True
        self.scope["extensions"] = {"thuja": {"abort": self.transport.abort}}

    def on_headers_complete(self) -> None:
        self._stop_timer()
        self._in_headers, self._in_body = False, True
        if sum(len(name) + len(value) for name, value in self.headers) + len(self.url) > self._max_header_bytes:
            self._refuse()
        else:
            super().on_headers_complete()

    def on_message_complete(self) -> None:
        if self.cycle is not None:
            super().on_message_complete()
        self._in_body = False
        self._header_bytes = 0
        self._since = self.loop.time()

    def on_body(self, body: bytes) -> None:
        if self.cycle is not None:
            super().on_body(body)

    def data_received(self, data: bytes) -> None:
        if self.transport.is_closing():
            return
        self._header_bytes = 0 if self._in_body else self._header_bytes + len(data)
        super().data_received(data)
        if self._in_headers and self._timer is None:
            self._expect_headers()
        if not self._in_body and self._header_bytes > self._max_header_bytes:
            self._refuse()

    def shutdown(self) -> None:
        if self.cycle is None and not self.transport.is_closing():  # just opened: its first request may be on its way
            self.loop.call_later(FRESH_S, super().shutdown)
        else:
            super().shutdown()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_timer()
        super().connection_lost(exc)

    def _expect_headers(self) -> None:
        self._stop_timer()
        self._timer = self.loop.call_later(self._header_s, self._give_up)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    @property
    def _idle(self) -> bool:
        answered = self.cycle is None or self.cycle.response_complete
        return answered and not self._in_body and not self.transport.is_closing()

    def _make_room(self) -> None:
        """A thousand sockets that say little or nothing must not keep others out until their time is up."""
        if self.limit_concurrency is None or len(self.connections) < FULL * self.limit_concurrency:
            return
        idle = [c for c in self.connections if isinstance(c, Connection) and c is not self and c._idle]
        if idle:
            min(idle, key=lambda c: c._since)._give_up()

    def _give_up(self) -> None:
        if not self.transport.is_closing():
            self.transport.close()

    def _refuse(self) -> None:
        if not self.transport.is_closing():
            self.transport.write(_TOO_LARGE)
            self.transport.close()
