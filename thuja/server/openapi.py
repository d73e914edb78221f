"""The interface as OpenAPI 3.1, made from the artefact's own schema: what is documented is what is checked."""

import importlib.metadata
from typing import Any

from thuja.fields import Audio, Image, Molecule, Schema, Text
from thuja.server import openapi_chat, openapi_gallery, openapi_life
from thuja.server.model import Model
from thuja.server.page import FILES
from thuja.server.problem import CHAT
from thuja.server.settings import ServeSettings
from thuja.server.stream import KIND as EVENTS
from thuja.server.tensors import DATATYPES

JSON = "application/json"
PROBLEM = "application/problem+json"
BINARY = "application/octet-stream"
ERRORS = {400: "not JSON, or not what its content type says", 401: "no token, or another one", 403: "not on this server", 404: "nothing of that name",
          408: "the body came too slowly", 409: "an artefact that cannot take over", 413: "larger than allowed",
          415: "a content type this model does not take", 421: "called by another name than this machine's, without a token",
          422: "a field is missing, unknown or out of range: the answer's where says which",
          429: "too busy; try again after Retry-After seconds", 500: "what is kept here cannot be used: the answer says why",
          503: "not ready", 504: "no answer in time"}
BODY = (400, 408, 413, 415, 429)
"""What may become of any body."""
EVENT = {"type": "object", "properties": {"data": {"type": "string"}}, "required": ["data"]}
"""Each of the events of a stream; what they hold is JSON again."""
Operation = dict[str, Any]


def document(model: Model, settings: ServeSettings, closed: bool, life: bool = False) -> dict[str, Any]:
    """The whole document. `closed`: whether a token is asked for; `life`: whether a deployment is served."""
    schemas = {"Row": inputs(model.schema), "Answer": outputs(model.schema), "Problem": _problem(), **_protocol_schemas()}
    if model.chat is not None:
        schemas |= openapi_chat.schemas(model)
    if model.embedder is not None:
        schemas |= openapi_gallery.schemas(model, settings)
    if life:
        schemas |= openapi_life.schemas(model.schema, settings)
    components: dict[str, Any] = {"schemas": schemas}
    extra: dict[str, Any] = {}
    if closed:
        components["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
        extra["security"] = [{"token": []}]
    about = f"Artefact {model.digest}, served by Thuja {importlib.metadata.version('thuja')}."
    paths = _own(model, settings) | _protocol(model) | _chat(model) | _galleries(model) | (_life() if life else {})
    for path in ("/predict", "/v1/chat/completions", "/v1/completions") if life else ():
        if path in paths:
            paths[path]["post"]["responses"]["200"].setdefault("headers", {})["Thuja-Call"] = openapi_life.CALL
    for path, methods in paths.items():
        for operation in methods.values():
            _at_the_gate(path, operation, closed)
    info = {"title": model.kind, "version": model.version, "description": about}
    return {"openapi": "3.1.0", "info": info, "paths": paths, "components": components, **extra}


def inputs(schema: Schema) -> dict[str, Any]:
    """JSON Schema of one row."""
    required = [name for name, field in schema.inputs.items() if not getattr(field, "missing", False)]
    return {"type": "object", "properties": {name: field.json_schema() for name, field in schema.inputs.items()}, "required": required,
            "additionalProperties": False}


def outputs(schema: Schema) -> dict[str, Any]:
    """JSON Schema of one answer."""
    return {"type": "object", "properties": {name: field.json_schema() for name, field in schema.outputs.items()}, "required": list(schema.outputs)}


def _own(model: Model, settings: ServeSettings) -> dict[str, dict[str, Operation]]:
    """The server's own routes."""
    text, ready = "text/html", {"type": "object", "properties": {"ready": {"type": "boolean"}, "reason": {"type": "string"}}, "required": ["ready"]}
    live = {"type": "object", "properties": {"live": {"const": True}}, "required": ["live"]}
    name = {"name": "name", "in": "path", "required": True, "schema": {"enum": [*FILES]}}
    swap = _operation("Put another artefact of the models folder in service", _object("model"), errors=(*BODY, 403, 404, 409))
    swap["requestBody"] = _body({JSON: {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"],
                                        "additionalProperties": {"type": "string"}}})
    return {
        "/predict": {"post": _predict(model.schema, settings)},
        "/schema": {"get": _operation("The typed fields in and out", _object("inputs", "outputs"))},
        "/live": {"get": _operation("Whether the process turns over", live)},
        "/ready": {"get": _operation("Whether requests are welcome: the model has just answered one", ready, also={503: ready})},
        "/metrics": {"get": _operation("Counters for Prometheus", {"type": "string"}, "text/plain")},
        "/openapi.json": {"get": _operation("This document", _object("openapi", "paths"))},
        "/": {"get": _operation("A page to try the model in", {"type": "string"}, text)},
        "/docs": {"get": _operation("This document, for people", {"type": "string"}, text)},
        "/static/{name}": {"get": _operation("Style and script of the pages", {"type": "string"}, "text/*", errors=(404,)) | {"parameters": [name]}},
        "/admin/swap": {"post": swap},
    }


def _protocol(model: Model) -> dict[str, dict[str, Operation]]:
    """The Open Inference Protocol."""
    names = {"name": "name", "in": "path", "required": True, "schema": {"enum": [model.kind, f"{model.kind}-tensors"]},
             "description": "Raw fields, or the program's own encoded arrays"}
    version = {"name": "version", "in": "path", "required": True, "schema": {"enum": [model.version]}}
    flag = {"type": "object", "properties": {"ready": {"type": "boolean"}}, "required": ["ready"]}
    paths: dict[str, dict[str, Operation]] = {
        "/v2": {"get": _operation("Open Inference Protocol: the server", _object("name", "version", "extensions"))},
        "/v2/health/live": {"get": _operation("Open Inference Protocol: whether the process turns over", _object("live"))},
        "/v2/health/ready": {"get": _operation("Open Inference Protocol: whether requests are welcome", flag, also={503: flag})},
    }
    for path, parameters in (("/v2/models/{name}", [names]), ("/v2/models/{name}/versions/{version}", [names, version])):
        about = _operation("Open Inference Protocol: what goes in and out", _ref("Metadata"), errors=(404,))
        ready = _operation("Open Inference Protocol: whether the model may be asked", flag, also={503: flag}, errors=(404,))
        infer = _operation("Open Inference Protocol: answer tensors with tensors", _ref("InferAnswer"), errors=(404, *BODY, 504))
        infer["responses"]["200"]["content"][BINARY] = {"schema": {"type": "string", "format": "binary"}}
        infer["requestBody"] = _body({JSON: _ref("Infer")})
        infer["parameters"] = [_timeout()]
        for tail, method, operation in (("", "get", about), ("/ready", "get", ready), ("/infer", "post", infer)):
            operation["parameters"] = [*parameters, *operation.get("parameters", ())]
            paths[path + tail] = {method: operation}
    return paths


def _chat(model: Model) -> dict[str, dict[str, Operation]]:
    """Chat completions, as OpenAI's clients ask for them; nothing where the model makes no texts."""
    if model.chat is None:
        return {}
    name = {"name": "name", "in": "path", "required": True, "schema": {"enum": [model.kind]}}
    models = {"type": "object", "properties": {"data": {"type": "array", "items": _ref("ChatModel")}}, "required": ["object", "data"]}
    paths = {"/v1/models": {"get": _operation("The model, for OpenAI's clients", models)},
             "/v1/models/{name}": {"get": _operation("The model by its name", _ref("ChatModel"), errors=(404,)) | {"parameters": [name]}}}
    for path, about, kind in (("/v1/chat/completions", "Answer a conversation", "Chat"), ("/v1/completions", "Go on with a text", "Completion")):
        operation = _operation(f"{about}, as OpenAI's API does", _ref(f"{kind}Answer"), errors=(404, *BODY, 504))
        operation["responses"]["200"]["content"][EVENTS] = {"schema": EVENT}
        paths[path] = {"post": operation | {"requestBody": _body({JSON: _ref(f"{kind}Request")}), "parameters": [_timeout()]}}
    return paths


def _galleries(model: Model) -> dict[str, dict[str, Operation]]:
    """Enrolled people; nothing where the model makes no vectors."""
    if model.embedder is None:
        return {}
    gallery, person = openapi_gallery.parameters()
    place, errors = "/galleries/{gallery}", (403, 404, 500)
    enrol = _operation("Enrol somebody; the first one makes the gallery", _ref("GalleryEnrolled"), errors=(*BODY, *errors, 409, 422, 504))
    enrol["responses"]["201"] = enrol["responses"].pop("200")
    search = _operation("Who is most like a picture, or whether it is one person", _ref("GalleryMatches"), errors=(*BODY, *errors, 409, 422, 504))
    paths = {
        place: {"get": _operation("Who is enrolled", _ref("GalleryPeople"), errors=errors),
                "delete": _operation("Delete a gallery", _ref("GalleryDropped"), errors=errors)},
        f"{place}/people": {"post": enrol | {"requestBody": _body({JSON: _ref("GalleryEnrol")})}},
        f"{place}/search": {"post": search | {"requestBody": _body({JSON: _ref("GallerySearch")})}},
        f"{place}/people/{{person}}": {"delete": _operation("Take somebody out", _ref("GalleryRemoved"), errors=errors)},
    }
    for path, methods in paths.items():
        for method, operation in methods.items():
            operation["parameters"] = [gallery, *([person] if "{person}" in path else []), *([_timeout()] if method == "post" else [])]
    return {**paths, "/galleries": {"get": _operation("Which galleries there are", _ref("GalleryList"), errors=(403,))},
            "/gallery": {"get": _operation("A page to enrol, search and delete in", {"type": "string"}, "text/html")}}


def _life() -> dict[str, dict[str, Operation]]:
    """Labels for the answers of a deployment."""
    taken = _operation("Say what turned out to be true of answers", _ref("LabelsTaken"), errors=(*BODY, 422, 503))
    taken["responses"]["202"] = taken["responses"].pop("200") | {"description": "Kept, durably"}
    after = {"name": "after", "in": "query", "description": "The question that was asked before", "schema": {"type": "string"}}
    html = {"type": "string"}
    return {
        "/feedback": {"post": taken | {"requestBody": _body({JSON: {"oneOf": [_ref("Label"), _ref("Labels")]}})}},
        "/life": {"get": _operation("A page that shows the life of the deployment", html, "text/html")},
        "/life.json": {"get": _operation("The same as data", {"type": "object"})},
        "/label": {"get": _operation("A page to label answers in", html, "text/html")},
        "/label/next": {"get": _operation("The answer to label next, or why there is none", _object("left")) | {"parameters": [after]}},
    }


def _predict(schema: Schema, settings: ServeSettings) -> Operation:
    row, answer = _ref("Row"), _ref("Answer")
    many = {"type": "object", "properties": {"rows": {"type": "array", "items": row, "minItems": 1, "maxItems": settings.max_rows}}, "required": ["rows"],
            "additionalProperties": False}
    content: dict[str, Any] = {JSON: {"oneOf": [row, many]}, "multipart/form-data": row}
    only = next(iter(schema.inputs.values())) if len(schema.inputs) == 1 else None
    if isinstance(only, Image):
        content["image/*"] = {"type": "string", "format": "binary"}
    if isinstance(only, Audio):
        content["audio/*"] = {"type": "string", "format": "binary"}
    if isinstance(only, (Molecule, Text)):
        content["text/plain"] = only.json_schema()
    answers = {"type": "object", "properties": {"rows": {"type": "array", "items": answer}}, "required": ["rows"]}
    about = "Answer one row, or many; with Accept: text/event-stream one row piece by piece"
    operation = _operation(about, {"oneOf": [answer, answers]}, errors=(*BODY, 422, 504))
    operation["responses"]["200"]["content"][EVENTS] = {
        "schema": EVENT, "example": 'data: {"delta": "..."}\n\ndata: {"answer": {...}}\n\n'}
    operation["responses"]["200"]["headers"] = {"Thuja-Model": {"description": "Digest of the artefact that answered", "schema": {"type": "string"}}}
    return operation | {"operationId": "predict", "parameters": [_timeout()], "requestBody": _body(content)}


def _timeout() -> dict[str, Any]:
    return {"name": "Request-Timeout", "in": "header", "description": "Most seconds to wait",
            "schema": {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1e9}}


def _operation(summary: str, schema: dict[str, Any], kind: str = JSON, *, also: dict[int, dict[str, Any]] | None = None,
               errors: tuple[int, ...] = ()) -> Operation:
    """An operation that answers `schema`, other things with the statuses in `also`, and `errors`."""
    good = {str(status): {"description": "OK" if status == 200 else ERRORS[status], "content": {kind: {"schema": body}}}
            for status, body in {200: schema, **(also or {})}.items()}
    return {"summary": summary, "responses": good | {str(status): {"description": ERRORS[status]} for status in sorted(errors)}}


def _at_the_gate(path: str, operation: Operation, closed: bool) -> None:
    """What the gate may answer, and the form of errors on this path."""
    responses = operation["responses"]
    if path in ("/live", "/v2/health/live"):
        operation |= {"security": []} if closed else {}
    else:
        status = 401 if closed else 421
        responses[str(status)] = {"description": ERRORS[status]}
    if path.startswith("/v2"):
        error = {JSON: {"schema": _ref("Error")}}
    else:
        error = {JSON: {"schema": _ref("ChatError")}} if path.startswith(CHAT) else {PROBLEM: {"schema": _ref("Problem")}}
    for response in responses.values():
        response.setdefault("content", error)


def _protocol_schemas() -> dict[str, Any]:
    parameters = {"type": "object", "additionalProperties": {"type": ["string", "number", "boolean", "null"]}}
    shape = {"type": "array", "items": {"type": "integer"}}
    datatype = {"enum": [*DATATYPES, "BYTES"]}
    tensor = {"name": {"type": "string"}, "shape": shape, "datatype": datatype, "parameters": parameters, "data": {"type": "array"}}
    wanted = {"type": "object", "properties": {"name": {"type": "string"}, "parameters": parameters}, "required": ["name"]}
    required = ["name", "shape", "datatype"]
    given = {"type": "object", "properties": tensor, "required": required}
    described = {"type": "object", "properties": {name: tensor[name] for name in required}, "required": required}
    arrays = {name: {"type": "array", "items": item} for name, item in (("inputs", described), ("outputs", described))}
    text = {"type": "string"}
    return {
        "Infer": {"type": "object", "required": ["inputs"], "properties": {
            "id": text, "parameters": parameters, "inputs": {"type": "array", "items": given}, "outputs": {"type": "array", "items": wanted}}},
        "InferAnswer": {"type": "object", "required": ["model_name", "model_version", "outputs"], "properties": {
            "model_name": text, "model_version": text, "id": text, "outputs": {"type": "array", "items": given}}},
        "Metadata": {"type": "object", "required": ["name", "versions", "platform", "inputs", "outputs"], "properties": {
            "name": text, "versions": {"type": "array", "items": text}, "platform": text, **arrays}},
        "Error": {"type": "object", "properties": {"error": text}, "required": ["error"], "additionalProperties": False},
    }


def _problem() -> dict[str, Any]:
    text = {"type": "string"}
    names = ("type", "title", "detail", "where", "expected", "found", "fix")
    return {"type": "object", "properties": {**dict.fromkeys(names, text), "status": {"type": "integer"}}, "required": [*names, "status"]}


def _object(*names: str) -> dict[str, Any]:
    return {"type": "object", "required": [*names]}


def _body(schemas: dict[str, Any]) -> dict[str, Any]:
    return {"required": True, "content": {kind: {"schema": schema} for kind, schema in schemas.items()}}


def _ref(name: str) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{name}"}
