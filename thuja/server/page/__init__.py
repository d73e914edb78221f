"""The pages: one to try the model in, one that documents the interface. Made on the server, no request to anywhere else."""

import json
from collections.abc import Iterable, Mapping
from functools import cache
from importlib import resources
from itertools import islice
from typing import TYPE_CHECKING, Any

from starlette.responses import Response

from thuja.server.problem import Refusal

if TYPE_CHECKING:
    from jinja2 import Template

    from thuja.server.model import Model
    from thuja.server.settings import ServeSettings

POLICY = ("default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; media-src blob:; connect-src 'self'; base-uri 'none'; "
          "form-action 'none'; frame-ancestors 'none'")
"""Content-Security-Policy: nothing inline, nothing from elsewhere, in nobody's frame."""
SCRIPTS = ("page.js", "events.js", "chat.js", "audio.js", "mask.js", "gallery.js", "life.js", "label.js", "boxes.js")
FILES = {**dict.fromkeys(("page.css", "life.css"), "text/css; charset=utf-8"), **dict.fromkeys(SCRIPTS, "text/javascript; charset=utf-8")}
EXAMPLES = 4
LONGEST = 20_000
"""Characters of an example; a large picture is left out, so that the page stays small."""


def home(model: "Model", *, galleries: bool = False) -> Response:
    """The page to try `model` in: a form made from its schema, and examples from its certificate; a conversation where it leads one. `galleries`: whether this
    server keeps any."""
    if model.chat is not None and model.chat.dialogues:
        return _html(_template("chat.html").render(kind=model.kind, version=model.version, inputs=model.schema.inputs))
    html = _template("home.html").render(
        streams=model.streams, galleries=galleries and model.embedder is not None,
        kind=model.kind, version=model.version, inputs=model.schema.inputs, outputs=model.schema.outputs,
        only=len(model.schema.inputs) == 1, masks=masks(model.schema.outputs),
        examples=json.dumps(examples(model.predictor.artifact.certificate, model.schema.inputs)))
    return _html(html)


def gallery(model: "Model", settings: "ServeSettings", *, open: bool) -> Response:
    """The page to enrol, search and delete in; `open`: whether this server keeps galleries."""
    assert model.embedder is not None
    field: Any = model.schema.inputs[model.embedder.enrolled()[0]]
    html = _template("gallery.html").render(
        kind=model.kind, version=model.version, open=open, limit=field.max_bytes, most=settings.max_pictures, rates=sorted(model.embedder.thresholds()),
        cautions=model.predictor.artifact.codec.cautions())
    return _html(html)


def life(view: Mapping[str, Any]) -> Response:
    """The dashboard of a deployment (`server.life_page`)."""
    return _html(_template("life.html").render(view))


def label(name: str) -> Response:
    """The page in which a person labels answers."""
    return _html(_template("label.html").render(name=name))


def docs(document: dict[str, Any]) -> Response:
    """The OpenAPI document, readable."""
    schemas = document["components"]["schemas"]
    example = json.dumps({name: _example(field) for name, field in schemas["Row"]["properties"].items()}, ensure_ascii=False)
    return _html(_template("docs.html").render(document=document, schemas=schemas, example=example, errors=document["paths"]["/predict"]["post"]["responses"]))


def static(name: str) -> Response:
    """A file of the pages. Raises: Refusal 404 for any name not in `FILES`."""
    if name not in FILES:
        raise Refusal(404, "address", expected="a file of the page", found=repr(name[:60]))
    return Response(_text(name), media_type=FILES[name], headers={"Cache-Control": "no-cache"})


def examples(certificate: dict[str, Any], inputs: Iterable[str]) -> list[dict[str, Any]]:
    """A few small rows of the certificate's probes, as JSON; none where it has none."""
    columns = certificate.get("rows", {})
    if set(columns) != set(inputs):
        return []
    rows = (dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True))
    return list(islice((row for row in rows if any(row.values()) and len(json.dumps(row)) <= LONGEST), EXAMPLES))


def masks(outputs: Mapping[str, Any]) -> str:
    """JSON: the names of the classes of every answer that is a mask; none where it numbers objects."""
    return json.dumps({name: () if field.instances else field.names for name, field in outputs.items() if field.kind == "mask"})


@cache
def _text(name: str) -> str:
    return resources.files(__name__).joinpath(name).read_text("utf-8")


@cache
def _template(name: str) -> "Template":
    from jinja2 import Environment, FunctionLoader, StrictUndefined

    return Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, loader=FunctionLoader(_text)).get_template(name)


def _html(text: str) -> Response:
    return Response(text, media_type="text/html", headers={"Content-Security-Policy": POLICY})


def _example(field: dict[str, Any]) -> Any:
    kind = field["type"][0] if isinstance(field["type"], list) else field["type"]
    if kind in ("number", "integer"):
        return field.get("minimum", 1)
    if "contentEncoding" in field:
        return "<base64 of the file>"
    names = field.get("enum") or field.get("examples") or ["some text"]
    return names[0]
