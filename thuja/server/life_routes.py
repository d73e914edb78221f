"""The routes of a deployment's pages: the dashboard, its plain form, and the page in which a person labels answers. They read and write nothing; labels go to
`POST /feedback` like any other."""

import asyncio
import base64
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from thuja.core.errors import DataError, ThujaError
from thuja.fields import Field, Image
from thuja.life.board import Board, board
from thuja.life.queue import Question, Queue
from thuja.life.story import when
from thuja.server import life_page, page

SEEN_BY_BROWSERS = ((b"\xff\xd8\xff", "image/jpeg"), (b"\x89PNG", "image/png"), (b"GIF8", "image/gif"), (b"BM", "image/bmp"))
"""How files begin that every browser shows; a WebP file begins with RIFF, its length and WEBP."""
NO_ROWS = "The plan keeps no rows to ask about: set record.inputs to full in plan.json, and start the server again."


def routes() -> list[Route]:
    """All of them."""
    return [Route(path, endpoint, methods=["GET"])
            for path, endpoint in (("/life", life), ("/life.json", life_json), ("/label", label), ("/label/next", label_next))]


async def life(request: Request) -> Response:
    """The dashboard."""
    made = await asyncio.to_thread(_counted, _queue(request))
    return page.life(life_page.view(made, labels=getattr(request.app, "life", None) is not None))


async def life_json(request: Request) -> Response:
    """The board as JSON."""
    return _json((await asyncio.to_thread(_counted, _queue(request))).plain())


async def label(request: Request) -> Response:
    """The page in which a person labels."""
    return page.label(_queue(request).deployment.path.resolve().name)


async def label_next(request: Request) -> Response:
    """The question that follows the one named by `after`, or why there is none."""
    return _json(await asyncio.to_thread(_asked, _queue(request), request.query_params.get("after", "")))


def _queue(request: Request) -> Queue:
    """Of what is served, or only shown (`server.watching`)."""
    found: Queue = (getattr(request.app, "life", None) or request.app).queue
    return found


def _counted(queue: Queue) -> Board:
    """The board, with the length of the queue where it is known."""
    try:
        waiting = len(queue.open()) if queue.deployment.plan.record.inputs == "full" else None
    except ThujaError:  # the board says what is wrong
        waiting = None
    return board(queue.deployment, waiting=waiting)


def _asked(queue: Queue, after: str) -> dict[str, Any]:
    """A question as the page takes it."""
    try:
        if queue.deployment.plan.record.inputs != "full":
            return {"left": 0, "why": NO_ROWS}
        question = queue.next(after)
    except ThujaError as error:
        return {"left": 0, "why": str(error)}
    if question is None:
        return {"left": 0, "why": f"Nothing waits for a label. Questions about the present window come after {when(queue.opens())} UTC."}
    return _plain(question)


def _plain(question: Question) -> dict[str, Any]:
    call, schema = question.call, question.schema
    inputs = [{"name": name, "kind": field.kind, "value": _shown(field, (call.inputs or {}).get(name)), "description": field.description}
              for name, field in schema.inputs.items()]
    asked: Any = schema.outputs[question.asked]
    limits = {name: value for name in ("names", "lower", "upper", "integer", "most") if (value := getattr(asked, name, None)) is not None}
    return {"call": call.id, "at": when(call.at), "version": call.version, "left": question.left, "inputs": inputs,
            "asked": {"name": question.asked, "kind": asked.kind, **limits}, "answer": call.answer.get(question.asked)}


def _shown(field: Field, value: Any) -> Any:
    """As a browser shows it: a picture as an address of its own, in a format that it knows."""
    if not isinstance(field, Image) or not isinstance(value, str):
        return value
    try:
        data = field.from_json(value, "picture")
        kind = next((kind for begins, kind in SEEN_BY_BROWSERS if data.startswith(begins)), "image/webp" if data[8:12] == b"WEBP" else "")
        if not kind:
            kind, data = "image/png", base64.b64decode(field.to_json(field.decode(data, "picture")))
    except DataError:
        return None
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"


def _json(value: Any) -> Response:
    return Response(msgspec.json.encode(value), media_type="application/json")
