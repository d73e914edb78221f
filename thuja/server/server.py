"""The blocking verb: listen, answer, and leave without losing a request."""

import asyncio
import errno
import functools
import os
import signal
import socket
from collections.abc import Callable
from pathlib import Path
from types import FrameType

import uvicorn

from thuja.core.errors import SpecError, ThujaError
from thuja.server import auth
from thuja.server.app import create_app
from thuja.server.connection import Connection
from thuja.server.edge import LOG
from thuja.server.model import Service
from thuja.server.settings import ServeSettings as ServeSettings

BACKLOG = 1024


def serve(path: Path, settings: ServeSettings, ready: Callable[[str], None]) -> None:
    """Serve the artefact at `path` until SIGTERM or ctrl-C; `ready` gets the address once it answers.

    SIGHUP opens `path` again and swaps to what is there now (let `path` be a link, move the link, send SIGHUP); if that fails, the old one stays.
    Raises: SpecError for a port that is taken or a host beyond this machine without a token; ArtifactError.
    """
    token = auth.token(settings, os.environ)
    with listener(settings.host, settings.port) as listening:  # before the model is loaded: a taken port is told at once
        app = create_app(path, settings, token)
        connection = functools.partial(Connection, header_s=settings.header_s, max_header_bytes=settings.max_header_bytes)
        config = uvicorn.Config(
            app, http=connection, ws="none", lifespan="on", log_config=None, access_log=False, server_header=False, proxy_headers=False,  # type: ignore[arg-type]
            limit_concurrency=settings.max_connections, timeout_keep_alive=settings.keep_alive_s, timeout_graceful_shutdown=settings.drain_s)
        _Server(config, app.service, path, functools.partial(ready, address(settings.host, listening))).run(sockets=[listening])


def listener(host: str, port: int) -> socket.socket:
    """A bound socket. Raises: SpecError when the port is taken or not ours to take, or the host is no address of this machine."""
    try:
        family, kind, protocol, _, place = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
    except socket.gaierror as error:
        raise SpecError("serve.host", expected="an address of this machine", found=repr(host), fix="Use 127.0.0.1, or 0.0.0.0 for all.") from error
    listening = socket.socket(family, kind, protocol)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind(place)
        listening.listen(BACKLOG)  # binding alone does not notice another listener that also set SO_REUSEADDR
    except OSError as error:
        listening.close()
        if error.errno == errno.EADDRINUSE:
            raise SpecError("serve.port", expected="a free port", found=f"port {port}, taken by another program",
                            fix="Choose another with --port, or --port 0 for any free one.") from error
        if error.errno == errno.EACCES:
            raise SpecError("serve.port", expected="a port this user may take", found=str(port), fix="Choose one above 1023.") from error
        if error.errno == errno.EADDRNOTAVAIL:
            raise SpecError("serve.host", expected="an address of this machine", found=repr(host), fix="Use 127.0.0.1, or 0.0.0.0 for all.") from error
        raise
    return listening


def address(host: str, listening: socket.socket) -> str:
    """What to type into a browser on this machine."""
    shown = "127.0.0.1" if host in ("0.0.0.0", "::") else host  # noqa: S104 - compared, not bound
    return f"http://{f'[{shown}]' if ':' in shown else shown}:{listening.getsockname()[1]}"


class _Server(uvicorn.Server):
    """uvicorn, with a notice before it stops listening, and exit code 0 after SIGTERM."""

    def __init__(self, config: uvicorn.Config, service: Service, path: Path, announce: Callable[[], None]) -> None:
        super().__init__(config)
        self.service, self.path, self.announce = service, path, announce
        self.loop: asyncio.AbstractEventLoop | None = None
        self._reloads: set[asyncio.Task[None]] = set()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.loop = asyncio.get_running_loop()
        self.loop.add_signal_handler(signal.SIGHUP, self._reload)
        self.announce()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """First SIGTERM: not ready, answer for `notice_s` more, then stop listening and finish. ctrl-C, or a second signal: no notice."""
        if sig == signal.SIGTERM and self.loop is not None and not self.service.draining:
            self.loop.call_soon_threadsafe(self.loop.call_later, self.service.settings.notice_s, self._leave)
        else:
            self.force_exit = self.should_exit and sig == signal.SIGINT
            self.should_exit = True
        self.service.draining = True

    def _leave(self) -> None:
        self.should_exit = True

    def _reload(self) -> None:
        task = asyncio.create_task(self._swap())
        self._reloads.add(task)
        task.add_done_callback(self._reloads.discard)

    async def _swap(self) -> None:
        try:
            model = await self.service.swap(self.path)
        except ThujaError as error:
            LOG.error("still serving the old artefact: %s", error)
        else:
            LOG.warning("now serving %s", model.digest)
