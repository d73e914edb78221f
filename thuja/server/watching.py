"""A server of the dashboard alone: no model is loaded, nothing is answered and nothing is written. Who may come in follows the rules of the other server."""

import functools
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import uvicorn
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route, Router

from thuja.life.deployment import Deployment
from thuja.life.queue import Queue
from thuja.server import life_routes, page
from thuja.server.auth import Gate
from thuja.server.connection import Connection
from thuja.server.edge import Edge
from thuja.server.listening import address, listener
from thuja.server.metrics import Metrics
from thuja.server.settings import ServeSettings


class Watched:
    """What the routes find in place of a service: a deployment to show."""

    def __init__(self, deployment: Deployment) -> None:
        self.queue = Queue(replace(deployment))  # with a ledger of its own: the deployment may be another thread's
        self.metrics = Metrics()
        self.draining = False
        self.life = None
        """No versions are loaded here, so no labels are taken either."""


def create_app(deployment: Deployment, token: str | None = None) -> Edge:
    """The ASGI application that shows a deployment. With a token every route but liveness asks for it."""
    shown = [route for route in life_routes.routes() if route.path in ("/life", "/life.json")]
    own = [Route("/", _home), Route("/live", _live), Route("/static/{name}", _static)]
    service: Any = Watched(deployment)  # of a service, the edge needs the counters and whether it is leaving
    return Edge(Router([*shown, *own], redirect_slashes=False), service, Gate(token))


@contextmanager
def served(deployment: Deployment, settings: ServeSettings, token: str | None) -> Iterator[str]:
    """Show a deployment while inside, from a thread; the address. Raises: SpecError for a port that is taken."""
    with listener(settings.host, settings.port) as listening:
        connection = functools.partial(Connection, header_s=settings.header_s, max_header_bytes=settings.max_header_bytes)
        config = uvicorn.Config(
            create_app(deployment, token), http=connection, ws="none", lifespan="off", log_config=None, access_log=False,  # type: ignore[arg-type]
            server_header=False, proxy_headers=False, limit_concurrency=settings.max_connections, timeout_keep_alive=settings.keep_alive_s)
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, name="dashboard", daemon=True)
        thread.start()
        try:
            yield address(settings.host, listening)
        finally:
            server.should_exit = True
            thread.join(settings.keep_alive_s)


async def _home(request: Request) -> Response:
    return RedirectResponse("/life")


async def _live(request: Request) -> Response:
    return Response(b'{"live":true}', media_type="application/json")


async def _static(request: Request) -> Response:
    return page.static(request.path_params["name"])
