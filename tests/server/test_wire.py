import asyncio
import base64
import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from serve_toys import ToyImage, ToyTable, ToyText
from starlette.datastructures import Headers

from thuja.core.errors import ThujaError
from thuja.fields import Molecule, Schema
from thuja.server import wire
from thuja.server.problem import status_of

TEXT, IMAGE, TABLE = ToyText().schema(), ToyImage().schema(), ToyTable().schema()


def refusal(body: bytes, schema=TEXT, **headers: str) -> tuple[int, str]:
    with pytest.raises(ThujaError) as error:
        asyncio.run(wire.read(body, Headers({k.replace("_", "-"): v for k, v in headers.items()}), schema, 3))
    return status_of(error.value), str(error.value)


def test_one_object_is_one_row():
    question = wire.read_json(b'{"message": "free money"}', TEXT, 3)
    assert (question.rows, question.count, question.single) == ({"message": ["free money"]}, 1, True)


def test_rows_are_columns_and_absent_values_are_none_where_allowed():
    question = wire.read_json(b'{"rows": [{"count": 2, "colour": "red"}, {"count": 3, "amount": 1.5, "colour": null}]}', TABLE, 3)
    assert (question.count, question.single) == (2, False)
    assert question.rows == {"amount": [None, 1.5], "count": [2.0, 3.0], "colour": ["red", None]}


@pytest.mark.parametrize(("body", "status", "message"), [
    (b"{", 400, "body: expected JSON, found Input data was truncated. Check quotes, commas and brackets; NaN is not JSON."),
    (b"", 400, "body: expected JSON, found Input data was truncated. Check quotes, commas and brackets; NaN is not JSON."),
    (b'{"message": NaN}', 400, "body: expected JSON, found JSON is malformed: invalid character (byte 12). "
                               "Check quotes, commas and brackets; NaN is not JSON."),
    (b'{"message": {"a\xde": 1}}', 422, 'body: expected plain values: {"message": ...}, found an object. See /docs for the fields.'),
    (b"[1]", 422, 'body: expected plain values: {"message": ...}, found a list. See /docs for the fields.'),
    (b'{"message": {"a": 1}}', 422, 'message: expected plain values: {"message": ...}, found an object. See /docs for the fields.'),
    (b'{"rows": [{"message": "a"}, {"message": ["b"]}]}', 422,
     'rows[1].message: expected plain values: {"message": ...}, found a list. See /docs for the fields.'),
    (b'{"message": ["a"]}', 422, 'message[0]: expected plain values: {"message": ...}, found a string. See /docs for the fields.'),
    (b'{"rows": [], "message": [null]}', 422, 'message[0]: expected plain values: {"message": ...}, found null. See /docs for the fields.'),
    (b'{"rows": [{"message": "a"}, 7]}', 422, 'rows[1]: expected plain values: {"message": ...}, found a number. See /docs for the fields.'),
    (b'{"mesage": "a"}', 422, "mesage: expected one of: message, found an unknown field. Did you mean 'message'?"),
    (b'{"rows": [{"message": "a"}, {}]}', 422, "rows[1].message: expected a value, found nothing. Send this field in every row."),
    (b'{"rows": [], "message": "a"}', 422, "body: expected only `rows` beside `rows`, found 'message'. Put the fields into the rows."),
    (b'{"rows": []}', 422, "rows: expected 1 to 3 rows, found 0. Send them in several requests."),
    (b'{"rows": [{}, {}, {}, {}]}', 413, "rows: expected 1 to 3 rows, found 4. Send them in several requests."),
    (b'{"message": 5}', 422, "message: expected text, found int. Send a string; to classify pictures, train an image-classification task."),
    (b"[" * 100_000, 422, 'body: expected plain values: {"message": ...}, found a list. See /docs for the fields.'),
])
def test_bad_json_is_named(body, status, message):
    assert refusal(body) == (status, message)


@pytest.mark.parametrize(("body", "message"), [
    (b'{"count": 1e999, "colour": "red"}', "body: expected plain values: {\"amount\": ..., \"count\": ..., \"colour\": ...}, found Number out of range. "
                                           "See /docs for the fields."),
    (b'{"count": ' + b"9" * 400 + b"}", "count: expected a number within the range of a double, found a larger one. Check the unit."),
    (b'{"count": "1"}', "count: expected a number, found '1'. Send a plain number such as 3.5."),
    (b'{"count": 101}', "count: expected at most 100, found 101. Check the unit."),
    (b'{"count": 1, "colour": "rot"}', "colour: expected a known name, found 'rot'. Choose from: blue, green, red."),
])
def test_bad_cells_are_named(body, message):
    assert refusal(body, TABLE) == (422, message)


@pytest.mark.parametrize("body", [
    b'{"rows": [' + b"{}," * 30_000 + b"{}]}", b"{" + b'"message": 1, ' * 6_000 + b'"message": 1}', b'{"rows": [{' + b'"a": "\\"", ' * 7_000 + b'"a": 1}]}',
    b'{"message": ' * 8_000,
])
def test_rows_and_fields_are_counted_before_they_become_objects(body):
    assert refusal(body) == (413, "body: expected at most 3 rows of 1 fields, found more. Send them in several requests.")


def test_a_long_text_is_one_part_whatever_is_in_it():
    text = '{"a": "b\\"}, {' * 100_000
    assert wire.read_json(json.dumps({"rows": [{"message": text[:2000]}] * 3}).encode() + b" " * 70_000, TEXT, 3).count == 3
    assert refusal(json.dumps({"message": text}).encode())[1].startswith("message: expected at most 2000 characters")


def test_a_long_unknown_name_is_not_compared_whole():
    assert refusal(b'{"' + b"x" * 60_000 + b'": 1}') == (
        422, f"{'x' * 60}: expected one of: message, found an unknown field. Choose from: message.")


def test_bare_bodies():
    read = asyncio.run(wire.read(b"hello", Headers({"content-type": "text/plain; charset=utf-8"}), TEXT, 3))
    assert read == wire.Question({"message": ["hello"]}, 1, True)
    molecule = Schema(inputs={"smiles": Molecule()}, outputs={})
    assert asyncio.run(wire.read(b"CCO", Headers({"content-type": "text/plain"}), molecule, 3)) == wire.Question({"smiles": ["CCO"]}, 1, True)
    read = asyncio.run(wire.read(b"\x89PNG", Headers({"content-type": "image/png"}), IMAGE, 3))
    assert read == wire.Question({"photo": [b"\x89PNG"]}, 1, True)
    assert refusal(b"\xff\xfe", content_type="text/plain") == (
        422, "message: expected text in UTF-8, found 2 bytes of something else. Encode the text as UTF-8.")


def test_a_content_type_the_model_does_not_take():
    assert refusal(b"x", content_type="image/png") == (
        415, "header Content-Type: expected application/json, multipart/form-data, text/plain, found 'image/png'. "
             "With curl, add -H 'Content-Type: application/json'.")
    assert refusal(b"x", TABLE, content_type="application/x-www-form-urlencoded")[0] == 415


def form(parts: dict[str, tuple[str | None, bytes]]) -> tuple[bytes, Headers]:
    body = b""
    for name, (filename, data) in parts.items():
        extra = f'; filename="{filename}"' if filename else ""
        body += b"--edge\r\n" + f'Content-Disposition: form-data; name="{name}"{extra}\r\n\r\n'.encode() + data + b"\r\n"
    return body + b"--edge--\r\n", Headers({"content-type": "multipart/form-data; boundary=edge"})


def test_forms_with_files_and_typed_cells():
    body, headers = form({"photo": ("a.png", b"\x89PNG")})
    assert asyncio.run(wire.read(body, headers, IMAGE, 3)).rows == {"photo": [b"\x89PNG"]}
    body, headers = form({"amount": (None, b""), "count": (None, b"4"), "colour": (None, b"red")})
    assert asyncio.run(wire.read(body, headers, TABLE, 3)).rows == {"amount": [None], "count": [4.0], "colour": ["red"]}
    body, headers = form({"photo": (None, base64.b64encode(b"abc"))})
    assert asyncio.run(wire.read(body, headers, IMAGE, 3)).rows == {"photo": [b"abc"]}


@pytest.mark.parametrize(("parts", "message"), [
    ({"count": (None, b"four")}, "count: expected a number, found 'four'. Send a plain number such as 3.5."),
    ({"other": (None, b"4")}, "other: expected one of: amount, count, colour, found an unknown field. Choose from: amount, colour, count."),
    ({"amount": (None, b"4")}, "count: expected a value, found nothing. Send this field in every row."),
    ({"count": ("f", b"\xff")}, "count: expected text in UTF-8, found 1 bytes of something else. Encode the text as UTF-8."),
])
def test_bad_forms_are_named(parts, message):
    body, headers = form(parts)
    assert refusal(body, TABLE, content_type=headers["content-type"]) == (422, message)


def test_a_damaged_form_is_refused():
    assert refusal(b"nothing of the kind", content_type="multipart/form-data; boundary=edge")[0] == 400
    assert refusal(b"--edge", content_type="multipart/form-data") == (
        400, "body: expected a multipart form, found Missing boundary in multipart.. Send it with curl -F name=@file or a browser's form.")


def test_answers_are_rows_again():
    outputs = {"label": ["ham", "spam"], "probability": [0.75, 0.5], "probabilities": [{"ham": 0.75, "spam": 0.25}, {"ham": 0.5, "spam": 0.5}]}
    assert msgspec.json.decode(wire.answers(outputs, TEXT, True)) == {"label": "ham", "probability": 0.75, "probabilities": {"ham": 0.75, "spam": 0.25}}
    assert [row["label"] for row in msgspec.json.decode(wire.answers(outputs, TEXT, False))["rows"]] == ["ham", "spam"]


PLAIN = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=20)
NAMES = st.sampled_from(["rows", "amount", "count", "colour", "x"])
ANY_JSON = st.recursive(PLAIN, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES, inner, max_size=4))


@given(ANY_JSON)
def test_any_json_is_read_or_refused_as_the_clients_fault(value):
    try:
        question = wire.read_json(msgspec.json.encode(value), TABLE, 3)
    except ThujaError as error:
        assert 400 <= status_of(error) < 500
    else:
        assert set(question.rows) == set(TABLE.inputs)
        assert all(len(column) == question.count for column in question.rows.values())


@given(st.binary(max_size=200), st.sampled_from(["application/json", "text/plain", "multipart/form-data; boundary=a", "image/png", "", "x/y"]))
def test_any_bytes_are_read_or_refused_as_the_clients_fault(body, content_type):
    try:
        asyncio.run(wire.read(body, Headers({"content-type": content_type}), TEXT, 3))
    except ThujaError as error:
        assert 400 <= status_of(error) < 500
