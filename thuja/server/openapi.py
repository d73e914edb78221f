"""The interface as OpenAPI 3.1, made from the artefact's own schema: what is documented is what is checked."""

import importlib.metadata
from typing import Any

from thuja.fields import Image, Schema, Text
from thuja.server.model import Model
from thuja.server.settings import ServeSettings

JSON = "application/json"
PROBLEM = "application/problem+json"
ERRORS = {400: "not JSON, or not what its content type says", 401: "no token, or another one", 408: "the body came too slowly", 413: "larger than allowed",
          415: "a content type this model does not take", 422: "a field is missing, unknown or out of range: the answer's where says which",
          429: "too busy; try again after Retry-After seconds", 504: "no answer in time"}


def document(model: Model, settings: ServeSettings, closed: bool) -> dict[str, Any]:
    """The whole document. `closed`: whether a token is asked for."""
    components: dict[str, Any] = {"schemas": {"Row": inputs(model.schema), "Answer": outputs(model.schema), "Problem": _problem()}}
    extra: dict[str, Any] = {}
    if closed:
        components["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
        extra["security"] = [{"token": []}]
    about = f"Artefact {model.digest}, served by Thuja {importlib.metadata.version('thuja')}."
    return {
        "openapi": "3.1.0", "info": {"title": model.kind, "version": model.version, "description": about},
        "paths": {
            "/predict": {"post": _predict(model.schema, settings)},
            "/schema": {"get": _get("The typed fields in and out")},
            "/live": {"get": _get("Whether the process turns over") | ({"security": []} if closed else {})},
            "/ready": {"get": _get("Whether requests are welcome: the model has just answered one") | _also(503, "not ready")},
            "/metrics": {"get": _get("Counters for Prometheus", "text/plain")},
            "/v2": {"get": _get("Open Inference Protocol: the server")},
            f"/v2/models/{model.kind}": {"get": _get("Open Inference Protocol: what goes in and out, raw fields")},
            f"/v2/models/{model.kind}/infer": {"post": _get("Open Inference Protocol: answer raw fields")},
            f"/v2/models/{model.kind}-tensors": {"get": _get("Open Inference Protocol: what goes in and out, encoded arrays")},
            f"/v2/models/{model.kind}-tensors/infer": {"post": _get("Open Inference Protocol: answer encoded arrays")},
        },
        "components": components, **extra}


def inputs(schema: Schema) -> dict[str, Any]:
    """JSON Schema of one row."""
    required = [name for name, field in schema.inputs.items() if not getattr(field, "missing", False)]
    return {"type": "object", "properties": {name: field.json_schema() for name, field in schema.inputs.items()}, "required": required,
            "additionalProperties": False}


def outputs(schema: Schema) -> dict[str, Any]:
    """JSON Schema of one answer."""
    return {"type": "object", "properties": {name: field.json_schema() for name, field in schema.outputs.items()}, "required": list(schema.outputs)}


def _predict(schema: Schema, settings: ServeSettings) -> dict[str, Any]:
    row, answer = {"$ref": "#/components/schemas/Row"}, {"$ref": "#/components/schemas/Answer"}
    many = {"type": "object", "properties": {"rows": {"type": "array", "items": row, "minItems": 1, "maxItems": settings.max_rows}}, "required": ["rows"]}
    content: dict[str, Any] = {JSON: {"schema": {"oneOf": [row, many]}}, "multipart/form-data": {"schema": row}}
    only = next(iter(schema.inputs.values())) if len(schema.inputs) == 1 else None
    if isinstance(only, Image):
        content["image/*"] = {"schema": {"type": "string", "format": "binary"}}
    if isinstance(only, Text):
        content["text/plain"] = {"schema": {"type": "string"}}
    answers = {"type": "object", "properties": {"rows": {"type": "array", "items": answer}}, "required": ["rows"]}
    good = {"description": "The answer, or one per row", "content": {JSON: {"schema": {"oneOf": [answer, answers]}}},
            "headers": {"Thuja-Model": {"description": "Digest of the artefact that answered", "schema": {"type": "string"}}}}
    bad = {str(status): {"description": text, "content": {PROBLEM: {"schema": {"$ref": "#/components/schemas/Problem"}}}} for status, text in ERRORS.items()}
    timeout = {"name": "Request-Timeout", "in": "header", "description": "Most seconds to wait", "schema": {"type": "number", "exclusiveMinimum": 0}}
    return {"summary": "Answer one row, or many", "operationId": "predict", "parameters": [timeout], "requestBody": {"required": True, "content": content},
            "responses": {"200": good, **bad}}


def _get(summary: str, kind: str = JSON) -> dict[str, Any]:
    return {"summary": summary, "responses": {"200": {"description": "OK", "content": {kind: {}}}}}


def _also(status: int, text: str) -> dict[str, Any]:
    return {"responses": {"200": {"description": "OK", "content": {JSON: {}}}, str(status): {"description": text, "content": {JSON: {}}}}}


def _problem() -> dict[str, Any]:
    text = {"type": "string"}
    names = ("type", "title", "detail", "where", "expected", "found", "fix")
    return {"type": "object", "properties": {**dict.fromkeys(names, text), "status": {"type": "integer"}}, "required": [*names, "status"]}
