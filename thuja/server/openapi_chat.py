"""The part of the OpenAPI document that speaks of chat completions; only where the model can be asked so."""

from typing import Any

from thuja.fields import Schema
from thuja.server.chat import FORGOTTEN, LONGEST_STOP, MOST_CHOICES, NEUTRAL, ROLES, SAMPLING, STOPS
from thuja.server.model import Model

Json = dict[str, Any]
TEXT: Json = {"type": "string"}
COUNT: Json = {"type": "integer", "minimum": 0}


def schemas(model: Model) -> Json:
    """Requests, answers and errors, by name."""
    content = {"type": "object", "properties": {"type": {"const": "text"}, "text": TEXT}, "required": ["type", "text"]}
    message = {"type": "object", "required": ["role", "content"],
               "properties": {"role": {"enum": [*ROLES]}, "content": {"anyOf": [TEXT, {"type": "array", "items": content}]}}}
    dialogue = {"messages": {"type": "array", "minItems": 1, "items": message}, "max_completion_tokens": _or_null({"type": "integer"})}
    prompts = {"prompt": {"anyOf": [TEXT, {"type": "array", "minItems": 1, "maxItems": MOST_CHOICES, "items": TEXT}]}}
    spoken = {"type": "object", "properties": {"role": {"const": "assistant"}, "content": TEXT}, "required": ["role", "content"]}
    error = {"message": TEXT, "type": TEXT, "param": _or_null(TEXT), "code": _or_null(TEXT)}
    return {
        "ChatRequest": _request(model, dialogue, "messages"), "CompletionRequest": _request(model, prompts, "prompt"),
        "ChatAnswer": _answer("chat.completion", {"message": spoken}), "CompletionAnswer": _answer("text_completion", {"text": TEXT}),
        "ChatModel": _object({"id": TEXT, "object": {"const": "model"}, "created": COUNT, "owned_by": TEXT}),
        "ChatError": _object({"error": _object(error)}),
    }


def _request(model: Model, own: Json, needed: str) -> Json:
    """What a request may hold. Parameters that this server does not have may be there with the value that asks for nothing."""
    nothing = {name: {"enum": [None, *values]} for name, values in NEUTRAL.items()}
    stop = {"anyOf": [_stop(), {"type": "array", "maxItems": STOPS, "items": _stop()}, {"type": "null"}]}
    options = _or_null({"type": "object", "properties": {"include_usage": _or_null({"type": "boolean"})}})
    shared = {"model": {"enum": [model.kind]}, "n": _or_null({"type": "integer", "minimum": 1, "maximum": MOST_CHOICES}), "stop": stop,
              "stream": _or_null({"type": "boolean"}), "stream_options": options, "max_tokens": _or_null({"type": "integer"})}
    properties = {**nothing, **{name: {} for name in sorted(FORGOTTEN)}, **_sampling(model.schema), **shared, **own}
    return {"type": "object", "properties": properties, "required": ["model", needed], "additionalProperties": False}


def _sampling(schema: Schema) -> Json:
    found: Json = {}
    for name in SAMPLING:
        field = schema.inputs.get(name)
        if name == "seed":
            found[name] = _or_null({"type": "integer"})
        else:
            found[name] = {"type": "null"} if field is None else {**field.json_schema(), "type": [_kind(name), "null"]}
    return found


def _kind(name: str) -> str:
    return "number" if name in ("temperature", "top_p") else "integer"


def _stop() -> Json:
    return {"type": "string", "minLength": 1, "maxLength": LONGEST_STOP}


def _answer(kind: str, said: Json) -> Json:
    choice = _object({"index": COUNT, **said, "finish_reason": {"enum": ["stop", "length"]}})
    usage = _object(dict.fromkeys(("prompt_tokens", "completion_tokens", "total_tokens"), COUNT))
    return _object({"id": TEXT, "object": {"const": kind}, "created": COUNT, "model": TEXT, "choices": {"type": "array", "items": choice}, "usage": usage})


def _object(properties: Json) -> Json:
    return {"type": "object", "properties": properties, "required": [*properties]}


def _or_null(schema: Json) -> Json:
    return {"anyOf": [schema, {"type": "null"}]}
