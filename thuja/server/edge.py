"""The outermost layer: who may come in, what every answer carries, and what becomes of an error. Nothing gets past it."""

import logging
import time
import uuid
from collections.abc import Awaitable, Callable, Mapping

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Router
from starlette.types import Message, Receive, Scope, Send

from thuja.core.errors import ThujaError
from thuja.server import problem
from thuja.server.auth import Gate
from thuja.server.limits import ClientGone
from thuja.server.problem import Refusal
from thuja.server.service import Service
from thuja.server.stream import Stream

LOG = logging.getLogger("thuja.server")
NOBODY = 499
"""Counted when the client hung up before the answer (nginx's number); never sent."""
MODELS = "/v2/models/"
INFER = MODELS + "{name}/infer"
Endpoint = Callable[[Request], Awaitable[Response]]
FIXES = {404: "See /docs for what there is.", 405: "See /docs for the methods."}


class Edge:
    """An ASGI application around the routes."""

    def __init__(self, routes: Router, service: Service, gate: Gate, often: Mapping[str, Endpoint] | None = None) -> None:
        """`often`: what is POSTed to "/predict" and INFER, past the router, which costs a seventh of a small answer."""
        self.routes, self.service, self.gate, self.often = routes, service, gate, often or {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or take part in the server's start and end."""
        scope["app"], scope["closed"] = self.service, self.gate.closed
        if scope["type"] != "http":
            await self.routes(scope, receive, send)
            return
        start = time.perf_counter()
        status = NOBODY

        async def finish(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                self._complete(message["headers"], time.perf_counter() - start)
            await send(message)

        try:
            error = await self._answer(scope, receive, finish)
            if error is not None and status == NOBODY:
                await problem.response(error, scope["path"])(scope, receive, finish)
            elif error is not None and isinstance(scope.get("stream"), Stream):  # which has begun as a good answer
                await scope["stream"].end(send, error)
        except ClientGone:
            pass
        finally:
            endpoint = scope.get("endpoint")
            self.service.metrics.observe_request(getattr(endpoint, "__name__", "none"), status, time.perf_counter() - start)

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> ThujaError | None:
        """Run the route and send its answer; the error it ended in, if there was one."""
        path = scope["path"]
        try:
            self.gate.check(path, Headers(scope=scope))
            name, _, rest = path[len(MODELS) :].partition("/") if path.startswith(MODELS) else ("", "", "")
            endpoint = self.often.get(INFER if name and rest == "infer" else path) if scope["method"] == "POST" else None
            if endpoint is not None:
                scope["endpoint"], scope["path_params"] = endpoint, {"name": name}
                await (await endpoint(Request(scope, receive)))(scope, receive, send)
            else:
                await self.routes(scope, receive, send)
        except ClientGone:
            raise
        except ThujaError as error:
            if problem.status_of(error) == 500:
                LOG.error("%s %s: %s", scope["method"], path, error)
            if self.service.life is not None and scope.get("endpoint") is not None:
                self.service.life.refused(scope["endpoint"].__name__, problem.status_of(error))
            return error
        except HTTPException as error:
            return Refusal(error.status_code, "address" if error.status_code == 404 else "request", expected="a route of this server",
                           found=f"{scope['method'][:20]} {path[:100]}", fix=FIXES.get(error.status_code, ""), headers=error.headers)
        except Exception as error:  # the edge of a request: whatever it is, it ends here, is logged whole and told to nobody
            number = uuid.uuid4().hex[:12]
            LOG.exception("fault %s in %s %s", number, scope["method"], path, exc_info=error)
            fix = f"Report fault {number} to whoever runs this server."
            return Refusal(500, "server", expected="an answer", found="a fault that was logged", fix=fix)
        return None

    def _complete(self, headers: list[tuple[bytes, bytes]], seconds: float) -> None:
        headers += ((b"x-content-type-options", b"nosniff"), (b"referrer-policy", b"no-referrer"), (b"server-timing", b"total;dur=%.2f" % (seconds * 1000)))
        given = {name for name, _ in headers}
        if b"cache-control" not in given:
            headers.append((b"cache-control", b"no-store"))
        if self.service.draining and b"connection" not in given:
            headers.append((b"connection", b"close"))
