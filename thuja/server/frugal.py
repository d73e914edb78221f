"""The parts of JSON are counted before they become objects: 16 MB of text can hold five million empty rows, which take 400 MB as objects."""

import re
from itertools import islice

_PART = re.compile(rb'"(?:[^"\\]++|(?:\\.)++)*+(?:"|\\?\Z)|{', re.DOTALL)
"""A text, ended or not, or the beginning of an object; possessive, so that it takes no memory and no second look."""
_TEXT = re.compile(rb'"(?:[^"\\]++|(?:\\.)++)*+(?:"|\\?\Z)', re.DOTALL)
SMALL = 1 << 16
"""Bytes that cannot hold enough to matter."""


def within(body: bytes | memoryview, most: int) -> bool:
    """Whether a JSON text holds at most `most` texts and objects, keys included; looks no further than that.

    >>> within(b'{"a": "b"}' + b" " * SMALL, 3), within(b'{"a": "b"}' + b" " * SMALL, 2)
    (True, False)
    """
    return len(body) < SMALL or next(islice(_PART.finditer(body), most, None), None) is None


def few_items(body: bytes | memoryview, most: int) -> bool:
    """Whether a JSON text holds at most `most` commas outside of its texts, each of which parts two values.

    >>> few_items(b'{"a": [1,2,3], "b": "1,2,3,4,5"}' + b" " * SMALL, 3), few_items(b"[1,2,3,4,5]" + b" " * SMALL, 3)
    (True, False)
    """
    if len(body) < SMALL or bytes(body).count(b",") <= most:
        return True
    return _TEXT.sub(b"", bytes(body)).count(b",") <= most
