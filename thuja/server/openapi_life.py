"""What the OpenAPI document says of a deployment that is served: the name of every answer, and the labels that come back to it."""

from typing import Any

from thuja.fields import Schema
from thuja.server.settings import ServeSettings

CALL = {"description": "Name of the answer; of several rows, row i is this name with .i after it. Send it with the truth to /feedback.",
        "schema": {"type": "string"}}


def schemas(schema: Schema, settings: ServeSettings) -> dict[str, Any]:
    """Bodies of requests and answers."""
    call = {"type": "string", "minLength": 1, "maxLength": 100, "description": "The header Thuja-Call of the answer"}
    truth = {"type": "object", "properties": {name: field.json_schema() for name, field in schema.outputs.items()}, "additionalProperties": False,
             "description": "What was true, by the name of the output"}
    by = {"type": "string", "maxLength": 200, "description": "Who says so"}
    count = {"type": "integer", "minimum": 0}
    audit = {"type": "boolean", "description": "Whether it answers a question of the audit queue"}
    properties = {"call": call, "truth": truth, "by": by, "audit": audit}
    label = {"type": "object", "properties": properties, "required": ["call", "truth"], "additionalProperties": False}
    labels = {"type": "array", "items": {"$ref": "#/components/schemas/Label"}, "minItems": 1, "maxItems": settings.max_labels}
    return {"Label": label,
            "Labels": {"type": "object", "properties": {"labels": labels, "by": by}, "required": ["labels"], "additionalProperties": False},
            "LabelsTaken": {"type": "object", "properties": {"kept": count, "unknown": count, "refused": count}, "required": ["kept", "unknown", "refused"],
                            "description": "Unknown: about answers that are not kept here. Refused: of those, beyond what is kept of such."}}
