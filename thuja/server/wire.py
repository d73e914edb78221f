"""Friendly requests to rows and answers to friendly JSON: plain JSON objects, forms with files, a bare picture, a bare text."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
from starlette.datastructures import Headers, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser

from thuja.codec import Rows
from thuja.core.errors import DataError, did_you_mean
from thuja.fields import Audio, Category, Field, Image, Molecule, Number, Schema, Text
from thuja.server.frugal import few_items, within
from thuja.server.problem import Refusal

Plain = str | int | float | bool | None
FILES = {"image": Image, "audio": Audio}
"""Fields whose values are whole files, by the first half of their content type."""
_BODY = msgspec.json.Decoder(dict[str, Plain | list[dict[str, Plain]]])
"""Typed, so that nesting beyond `rows` is refused while reading, before it costs memory; NaN and Infinity are no JSON."""
_LISTS = msgspec.json.Decoder(dict[str, Plain | list[Plain | dict[str, Plain | list[Plain]]]])
"""The same for a schema with fields that are lists."""
INLINE_BYTES = 1 << 16
"""Bodies smaller than this are read on the event loop; a thread costs more than it saves."""
MET = {"array": "a list", "object": "an object", "str": "a string", "int": "a number", "float": "a number", "bool": "true or false", "null": "null"}
"""msgspec's words for what it met, and ours."""
MOST_ITEMS = 1 << 20
"""Values of a whole request whose fields are lists (some 30 MB as objects)."""
LARGEST_BITS = 1023
"""Whole numbers with more bits are beyond a double."""


@dataclass(frozen=True)
class Question:
    """The rows of a request."""

    rows: Rows
    count: int
    single: bool
    """Whether the request was one object, and so is the answer."""


async def read(body: bytes, headers: Headers, schema: Schema, max_rows: int) -> Question:
    """Rows from a body by its content type. Raises: Refusal 400 or 415, DataError naming `rows[i].field`."""
    content_type = headers.get("content-type", "application/json")
    kind = content_type.partition(";")[0].strip().lower()
    if kind == "application/json" or kind.endswith("+json"):
        return read_json(body, schema, max_rows) if len(body) < INLINE_BYTES else await asyncio.to_thread(read_json, body, schema, max_rows)
    if kind == "multipart/form-data":
        return await _form(body, headers, schema)
    only = next(iter(schema.inputs.items())) if len(schema.inputs) == 1 else None
    file = next((family for family, field in FILES.items() if only and isinstance(only[1], field)), None)
    if only and file and (kind.startswith(f"{file}/") or kind == "application/octet-stream"):
        only[1].check(body, only[0])
        return Question({only[0]: [body]}, 1, True)
    if only and isinstance(only[1], (Molecule, Text)) and kind == "text/plain":
        return Question({only[0]: [only[1].from_json(_utf8(body, only[0]), only[0])]}, 1, True)
    bare = "" if only is None else f", {file}/*" if file else ", text/plain" if isinstance(only[1], (Molecule, Text)) else ""
    raise Refusal(415, "header Content-Type", expected=f"application/json, multipart/form-data{bare}", found=repr(kind[:60]),
                  fix="With curl, add -H 'Content-Type: application/json'.")


def read_json(body: bytes, schema: Schema, max_rows: int) -> Question:
    """Rows from `{...}` or `{"rows": [{...}, ...]}`."""
    values = sum(field.most_values for field in schema.inputs.values())
    lists = values > len(schema.inputs)
    many = lists and not few_items(body, min((max_rows + 1) * (values + 1), MOST_ITEMS))
    if many or not within(body, (max_rows + 1) * (len(schema.inputs) + values + 1) + 1):
        raise Refusal(413, "body", expected=f"at most {max_rows} rows of {len(schema.inputs)} fields", found="more", fix="Send them in several requests.")
    try:
        value: dict[str, Any] = (_LISTS if lists else _BODY).decode(body)
    except msgspec.ValidationError as error:
        raise _unfit(str(error), body, schema) from error
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise Refusal(400, "body", expected="JSON", found=_short(str(error)), fix="Check quotes, commas and brackets; NaN is not JSON.") from error
    rows = value.get("rows")
    if not isinstance(rows, list) or "rows" in schema.inputs:
        return Question({name: [v] for name, v in _row(value, schema, "").items()}, 1, True)
    if len(value) > 1:
        other = next(name for name in value if name != "rows")
        raise DataError("body", expected="only `rows` beside `rows`", found=repr(other[:40]), fix="Put the fields into the rows.")
    if not 1 <= len(rows) <= max_rows:
        raise Refusal(413 if rows else 422, "rows", expected=f"1 to {max_rows} rows", found=str(len(rows)), fix="Send them in several requests.")
    odd = next((i for i, row in enumerate(rows) if not isinstance(row, dict)), None)
    if odd is not None:
        raise DataError(f"rows[{odd}]", expected="an object with the fields", found=type(rows[odd]).__name__, fix="See /docs for the fields.")
    read = [_row(row, schema, f"rows[{i}].") for i, row in enumerate(rows)]
    return Question({name: [row[name] for row in read] for name in schema.inputs}, len(read), False)


def answers(outputs: Mapping[str, Sequence[Any]], schema: Schema, single: bool) -> bytes:
    """Typed answers as JSON bytes: one object, or `{"rows": [...]}`."""
    rows = plain(outputs, schema)
    return msgspec.json.encode(rows[0] if single else {"rows": rows})


def plain(outputs: Mapping[str, Sequence[Any]], schema: Schema) -> list[dict[str, Any]]:
    """Typed answers as JSON data, row by row."""
    columns = {name: [field.to_json(value) for value in outputs[name]] for name, field in schema.outputs.items()}
    return [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]


def _row(row: Mapping[str, Any], schema: Schema, place: str) -> dict[str, Any]:
    for name in row:
        if name not in schema.inputs:
            raise _unknown(name, schema, place)
    return {name: _value(field, row, name, f"{place}{name}") for name, field in schema.inputs.items()}


def _unknown(name: str, schema: Schema, place: str) -> DataError:
    known = ", ".join(schema.inputs)
    return DataError(f"{place}{name[:60]}", expected=f"one of: {known}", found="an unknown field", fix=did_you_mean(name[:60], schema.inputs))


def _value(field: Field, row: Mapping[str, Any], name: str, where: str) -> Any:
    if name not in row and not getattr(field, "missing", False):
        raise DataError(where, expected="a value", found="nothing", fix="Send this field in every row.")
    value = row.get(name)
    if isinstance(value, int) and value.bit_length() > LARGEST_BITS:
        raise DataError(where, expected="a number within the range of a double", found="a larger one", fix="Check the unit.")
    return field.from_json(value, where)


async def _form(body: bytes, headers: Headers, schema: Schema) -> Question:
    async def stream() -> AsyncGenerator[bytes, None]:
        yield body

    parser = MultiPartParser(headers, stream(), max_files=len(schema.inputs), max_fields=len(schema.inputs), max_part_size=len(body))
    try:
        form = await parser.parse()
    except (MultiPartException, UnicodeDecodeError, KeyError) as error:
        raise Refusal(400, "body", expected="a multipart form", found=_short(str(error)), fix="Send it with curl -F name=@file or a browser's form.") from error
    async with contextlib.AsyncExitStack() as stack:
        stack.push_async_callback(form.close)
        for name in form:
            if name not in schema.inputs:
                raise _unknown(name, schema, "")
        values = {name: await part.read() if isinstance(part, UploadFile) else part for name, part in form.items()}
    return Question({name: [_form_value(field, values, name)] for name, field in schema.inputs.items()}, 1, True)


def _form_value(field: Field, values: Mapping[str, str | bytes], name: str) -> Any:
    value = values.get(name)
    if isinstance(field, (Image, Audio)) and value is not None:
        if isinstance(value, str):
            return field.from_json(value, name)
        field.check(value, name)
        return value
    text = _utf8(value, name) if isinstance(value, bytes) else value
    if isinstance(field, Number) and text is not None:
        return field.from_json(_number(text, name), name)
    if isinstance(field, Category) and text == "":
        text = None
    return _value(field, {} if text is None else {name: text}, name, name)


def _number(text: str, where: str) -> float | None:
    try:
        return float(text) if text.strip() else None
    except ValueError as error:
        raise DataError(where, expected="a number", found=repr(text[:40]), fix="Send a plain number such as 3.5.") from error


def _utf8(data: bytes, where: str) -> str:
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise DataError(where, expected="text in UTF-8", found=f"{len(data)} bytes of something else", fix="Encode the text as UTF-8.") from error


def _unfit(message: str, body: bytes, schema: Schema) -> DataError:
    """msgspec says what it met (`Expected ..., got `array` - at ...`), but hardly where."""
    fields = ", ".join(f'"{name}": ...' for name in schema.inputs)
    found = _found(message.partition(" - at ")[0])
    return DataError(_nested(body), expected=f"plain values: {{{fields}}}", found=found, fix="See /docs for the fields.")


def _nested(body: bytes) -> str:
    """The place of the first value that is no plain one, in a body small enough to be read again."""
    if len(body) >= INLINE_BYTES:
        return "body"
    try:
        value = msgspec.json.decode(body, type=dict[str, Any])
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):  # what comes after the misfit may be worse
        return "body"
    for name, cell in value.items():
        if isinstance(cell, dict):
            return name[:60]
        for i, row in enumerate(cell if isinstance(cell, list) else ()):
            if not isinstance(row, dict):
                return f"{name[:60]}[{i}]"
            for field, inner in row.items():
                if isinstance(inner, (list, dict)):
                    return f"{name[:60]}[{i}].{field[:60]}"
    return "body"


def _found(what: str) -> str:
    met = what.rpartition("got ")[2].strip("`")
    return MET.get(met, _short(what))


def _short(text: str) -> str:
    return text[:100] or "nothing"
