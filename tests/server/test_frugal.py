"""Counting the parts of JSON without reading it."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from thuja.server.frugal import SMALL, within

PAD = b" " * SMALL
VALUES = st.recursive(st.none() | st.booleans() | st.floats(allow_nan=False) | st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner))


def parts(value: object) -> int:
    """Texts and objects, keys included."""
    if isinstance(value, dict):
        return 1 + sum(1 + parts(v) for v in value.values())
    return sum(map(parts, value)) if isinstance(value, list) else isinstance(value, str)


@given(VALUES, st.booleans())
def test_it_counts_what_a_reader_would_find(value: object, plain: bool) -> None:
    body, count = json.dumps(value, ensure_ascii=plain).encode("utf-8", "surrogatepass") + PAD, parts(value)
    assert within(body, count) and (count == 0 or not within(body, count - 1))


@pytest.mark.parametrize("text", [b'"', b'\\"', b'"\\', b'"\\"', b'{"', b"\\", b'"a"\\'])
def test_text_without_end_takes_no_second_look(text: bytes) -> None:
    assert within(b'"' + b'\\"' * (1 << 20), 1), "one text, however long; a second look at each of its quotes would take hours"
    assert within(text * 1000 + PAD, 1 << 20)


def test_a_small_body_is_not_looked_at() -> None:
    assert within(b"{" * (SMALL - 1), 0) and not within(b"{" * SMALL, SMALL - 1)
