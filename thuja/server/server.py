"""The blocking verb: listen, answer, and leave without losing a request."""

import asyncio
import functools
import os
import signal
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType

import uvicorn

from thuja.core.errors import ThujaError
from thuja.server import auth, gallery
from thuja.server.app import create_app
from thuja.server.connection import Connection
from thuja.server.edge import LOG
from thuja.server.listening import address, listener
from thuja.server.service import Service
from thuja.server.settings import ServeSettings as ServeSettings

SWITCH_S = 0.0005
"""After which a thread that computes gives another its turn, where a deployment is served."""


def serve(path: Path, settings: ServeSettings, ready: Callable[[str], None]) -> None:
    """Serve the artefact or the deployment at `path` until SIGTERM or ctrl-C; `ready` gets the address once it answers.

    SIGHUP opens `path` again and swaps to what is there now (let `path` be a link, move the link, send SIGHUP); if that fails, the old one stays. Of a
    deployment, whose ledger is followed anyhow, what could not be loaded is tried again.
    Raises: SpecError for a port that is taken or a host beyond this machine without a token; ArtifactError.
    """
    with listener(settings.host, settings.port) as listening:  # before the model is loaded: a taken port is told at once
        answer(path, settings, listening, ready)


def answer(path: Path, settings: ServeSettings, listening: socket.socket, ready: Callable[[str], None], parent: socket.socket | None = None) -> None:
    """Serve on a socket that is bound already. When the other end of `parent` closes, that is taken as SIGTERM. Raises: as `serve`."""
    app = create_app(path, settings, auth.token(settings, os.environ), gallery.key(settings, os.environ))
    connection = functools.partial(Connection, header_s=settings.header_s, max_header_bytes=settings.max_header_bytes)
    config = uvicorn.Config(
        app, http=connection, ws="none", lifespan="on", log_config=None, access_log=False, server_header=False, proxy_headers=False,  # type: ignore[arg-type]
        limit_concurrency=settings.max_connections, timeout_keep_alive=settings.keep_alive_s, timeout_graceful_shutdown=settings.drain_s)
    server = _Server(config, app.service, path, functools.partial(ready, address(settings.host, listening)))
    server.parent = parent
    if app.service.life is not None:  # threads work beside the answers: an answer that wants its turn shall not wait for them as long as 5 ms
        sys.setswitchinterval(SWITCH_S)
    server.run(sockets=[listening])


class _Server(uvicorn.Server):
    """uvicorn, with a notice before it stops listening, and exit code 0 after SIGTERM."""

    def __init__(self, config: uvicorn.Config, service: Service, path: Path, announce: Callable[[], None]) -> None:
        super().__init__(config)
        self.service, self.path, self.announce = service, path, announce
        self.loop: asyncio.AbstractEventLoop | None = None
        self.parent: socket.socket | None = None
        self._reloads: set[asyncio.Task[None]] = set()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.loop = asyncio.get_running_loop()
        self.loop.add_signal_handler(signal.SIGHUP, self._reload)
        if self.parent is not None:
            self.loop.add_reader(self.parent, self._orphaned)
        self.announce()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """First SIGTERM: not ready, answer for `notice_s` more, then stop listening and finish. ctrl-C, or a second signal: no notice."""
        if sig == signal.SIGTERM and self.loop is not None and not self.service.draining:
            self.loop.call_soon_threadsafe(self.loop.call_later, self.service.settings.notice_s, self._leave)
        else:
            self.force_exit = self.should_exit and sig == signal.SIGINT
            self.should_exit = True
        self.service.draining = True

    def _orphaned(self) -> None:
        assert self.loop is not None and self.parent is not None
        self.loop.remove_reader(self.parent)
        self.handle_exit(signal.SIGTERM, None)

    def _leave(self) -> None:
        self.should_exit = True

    def _reload(self) -> None:
        task = asyncio.create_task(self._swap())
        self._reloads.add(task)
        task.add_done_callback(self._reloads.discard)

    async def _swap(self) -> None:
        if self.service.life is not None:
            self.service.life.follow()
            return
        try:
            model = await self.service.swap(self.path)
        except ThujaError as error:
            LOG.error("still serving the old artefact: %s", error)
        else:
            LOG.warning("now serving %s", model.digest)
