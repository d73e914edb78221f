"""The part of the OpenAPI document that speaks of galleries; only where the model makes vectors."""

from typing import Any

from thuja.server.gallery import LONGEST, NAME, PERSON
from thuja.server.gallery_routes import MOST_MATCHES
from thuja.server.model import Model
from thuja.server.settings import ServeSettings

Json = dict[str, Any]
TEXT: Json = {"type": "string"}
COUNT: Json = {"type": "integer", "minimum": 0}


def schemas(model: Model, settings: ServeSettings) -> Json:
    """Requests and answers, by name."""
    assert model.embedder is not None
    file = model.schema.inputs[model.embedder.enrolled()[0]].json_schema()
    match = _object({"person": TEXT, "score": {"type": "number"}, "accepted": {"type": ["boolean", "null"]}})
    person = _object({"person": TEXT, "enrolled": {"type": "number"}, "pictures": COUNT})
    search = {"image": file, "top": {"type": "integer", "minimum": 1, "maximum": MOST_MATCHES},
              "far": {"enum": [None, *sorted(model.embedder.thresholds())]}, "person": {"anyOf": [_person(), {"type": "null"}]}}
    return {
        "GalleryEnrol": _closed({"person": _person(), "images": {"type": "array", "items": file, "minItems": 1, "maxItems": settings.max_pictures}},
                                ("person", "images")),
        "GallerySearch": _closed(search, ("image",)),
        "GalleryList": _object({"galleries": {"type": "array", "items": TEXT}}),
        "GalleryPeople": _object({"model": TEXT, "usable": {"type": "boolean"}, "people": {"type": "array", "items": person}}),
        "GalleryEnrolled": _object({"person": TEXT, "pictures": COUNT, "people": COUNT}),
        "GalleryMatches": _object({"matches": {"type": "array", "items": match}, "threshold": {"type": ["number", "null"]}, "far": {"type": "number"},
                                   "comparisons": COUNT}),
        "GalleryRemoved": _object({"person": TEXT, "people": COUNT}),
        "GalleryDropped": _object({"gallery": TEXT}),
    }


def parameters() -> tuple[Json, Json]:
    """The gallery and the person in an address."""
    gallery = {"name": "gallery", "in": "path", "required": True, "schema": {"type": "string", "pattern": f"^{NAME.pattern}$"}}
    return gallery, {"name": "person", "in": "path", "required": True, "schema": _person()}


def _person() -> Json:
    return {"type": "string", "minLength": 1, "maxLength": LONGEST, "pattern": PERSON}


def _object(properties: Json) -> Json:
    return {"type": "object", "properties": properties, "required": [*properties]}


def _closed(properties: Json, required: tuple[str, ...]) -> Json:
    return {"type": "object", "properties": properties, "required": [*required], "additionalProperties": False}
