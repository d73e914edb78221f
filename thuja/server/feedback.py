"""`POST /feedback`: what turned out to be true of answers, checked as it will be used, and kept before it is acknowledged."""

import asyncio
import contextlib
from typing import Annotated, Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from thuja.core.errors import DataError, ThujaError
from thuja.fields import Number, Schema
from thuja.life.labels import Label
from thuja.life.loss import Judged, loss
from thuja.server.frugal import few_items, within
from thuja.server.in_service import InService
from thuja.server.limits import read_body
from thuja.server.problem import Refusal
from thuja.server.service import Service
from thuja.server.wire import MET

LONGEST_ID, LONGEST_NAME = 100, 200
PARTS = 40
"""Texts, objects and values of one label, over all."""
Id = Annotated[str, msgspec.Meta(min_length=1, max_length=LONGEST_ID)]
Name = Annotated[str, msgspec.Meta(max_length=LONGEST_NAME)]


class One(msgspec.Struct, forbid_unknown_fields=True):
    """What was true of one answer."""

    call: Id
    truth: dict[str, Any]
    by: Name = ""
    audit: bool = False
    """Whether it answers a question of the audit queue: then the draw says whether it speaks for all answers."""


class Many(msgspec.Struct, forbid_unknown_fields=True):
    """The body of a request with several labels."""

    labels: list[One]
    by: Name = ""


def routes() -> list[Route]:
    """All of them."""
    return [Route("/feedback", feedback, methods=["POST"])]


async def feedback(request: Request) -> Response:
    """Take labels: `{"call": ID, "truth": {...}}`, or `{"labels": [...]}`."""
    service: Service = request.app
    life = service.life
    assert life is not None, "the route is there where a deployment is served"
    if not life.able:
        raise Refusal(503, "labels", expected="a deployment whose plan can be read", found="another", fix="Ask whoever runs this server to mend plan.json.")
    with contextlib.ExitStack() as held:
        body = await read_body(request.receive, request.headers, service.settings, held.enter_context(service.bodies.tally()))
        kind = request.headers.get("content-type", "application/json").partition(";")[0].strip().lower()
        if kind != "application/json":
            raise Refusal(415, "header Content-Type", expected="application/json", found=repr(kind[:60]), fix="Send JSON.")
        labels = await asyncio.to_thread(read, body, life, service.settings.max_labels)
        taken = await life.inbox.put(labels)
    return Response(msgspec.json.encode(taken._asdict()), 202, media_type="application/json")


def read(body: bytes, life: InService, most: int) -> list[Label]:
    """The labels of a request, each checked. Raises: Refusal 400 or 413, DataError that names the label."""
    if not within(body, PARTS * most) or not few_items(body, PARTS * most):
        raise Refusal(413, "body", expected=f"at most {most} labels", found="more", fix="Send them in several requests.")
    asked, several = _decoded(body)
    count = len(asked.labels)
    if not 1 <= count <= most:
        raise Refusal(413 if count else 422, "labels", expected=f"1 to {most} labels", found=str(count), fix="Send them in several requests.")
    judged, schema, now = life.judged(), life.schema, life.deployment.clock()
    evenly = life.plan.audit.feedback == "all"
    drawn = life.queue.evenly([one.call for one in asked.labels if one.audit])
    labels = []
    for place, one in enumerate(asked.labels):
        where = f"labels[{place}]." if several else ""
        _check(one.truth, judged, schema, where)
        labels.append(Label(one.call, now, one.truth, one.by or asked.by, drawn.get(one.call, False) if one.audit else evenly))
    return labels


def _decoded(body: bytes) -> tuple[Many, bool]:
    try:
        several = "labels" in msgspec.json.decode(body, type=dict[str, msgspec.Raw])
        if several:
            return msgspec.json.decode(body, type=Many), True
        return Many([msgspec.json.decode(body, type=One)]), False
    except msgspec.ValidationError as error:
        raise _unfit(str(error)) from error
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise Refusal(400, "body", expected="JSON", found=str(error)[:100], fix="Check quotes, commas and brackets; NaN is not JSON.") from error


def _unfit(message: str) -> DataError:
    """msgspec's words as ours: `Expected `str`, got `int` - at `$.labels[3].call``, or `Object missing required field `truth``."""
    said, _, place = message.partition(" - at ")
    where = place.strip("`").removeprefix("$").removeprefix(".")
    fix = 'Send {"call": the Thuja-Call of the answer, "truth": {...}}, or {"labels": [...]}.'
    if "required field" in said or "unknown field" in said:
        name = said.split("`")[1]
        expected, found = ("a value", "nothing") if "required" in said else ("call, truth, by and audit", "another field")
        return DataError(f"{where}.{name}".lstrip("."), expected=expected, found=found, fix=fix)
    met = said.rpartition("got ")[2].strip("`")
    return DataError(where or "body", expected=said.split("`")[1] if "`" in said else "a usable value", found=MET.get(met, said[:100]), fix=fix)


def _check(truth: dict[str, Any], judged: Judged, schema: Schema, where: str) -> None:
    """Pass what a loss can be computed from. Raises: DataError."""
    for name in truth:
        if name not in schema.outputs:
            raise DataError(f"{where}truth.{name[:60]}", expected=f"the name of the output that labels are about, {judged.field!r}", found=repr(name[:60]),
                            fix="Send the true value by the name under which it was answered.")
    stand_in = None if isinstance(schema.outputs[judged.field], Number) else ""
    try:
        loss(schema, judged, {judged.field: stand_in}, truth)
    except ThujaError as error:
        raise DataError(f"{where}truth{error.where.removeprefix('label')}", expected=error.expected, found=error.found, fix=error.fix) from error
