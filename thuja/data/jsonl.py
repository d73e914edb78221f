"""JSON lines: one object a line, keys in any order, absent keys missing."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from thuja.core.errors import DataError
from thuja.data import delimited
from thuja.data.delimited import Block
from thuja.data.rows import Bad
from thuja.settings import Data

MESSAGES = "messages"
"""The column of conversations: lists of {role, content}."""


def look(path: Path, data: Data) -> tuple[tuple[str, ...], frozenset[str]]:
    """All keys in order of first appearance, and those that hold text or true/false somewhere (so digits in them are no numbers)."""
    names: dict[str, bool] = {}
    for _, row in _rows(path, data, []):
        for name, value in row.items():
            names[name] = names.get(name, False) or isinstance(value, (str, bool, list))
    if not names:
        raise DataError(str(path), expected="a JSON object on each line", found="none", fix="Check that the right file was given.")
    return tuple(names), frozenset(name for name, is_text in names.items() if is_text)


def blocks(path: Path, data: Data, names: tuple[str, ...], bad: list[Bad], size: int = 8192) -> Iterator[Block]:
    """All rows as text, `size` at a time. Lines that are no object of plain values go to `bad`."""
    rows: list[list[str | None]] = []
    lines: list[int] = []
    for line, row in _rows(path, data, bad):
        rows.append([_text(row.get(name)) for name in names])
        lines.append(line)
        if len(rows) == size:
            yield Block([list(column) for column in zip(*rows, strict=True)], lines)
            rows, lines = [], []
    if rows:
        yield Block([list(column) for column in zip(*rows, strict=True)], lines)


def _rows(path: Path, data: Data, bad: list[Bad]) -> Iterator[tuple[int, dict[str, Any]]]:
    with delimited.text_file(path, data.encoding) as file:
        for number, line in enumerate(delimited.text_lines(file, path, data.encoding), 1):
            if not line.strip():
                continue
            row = _object(line)
            if isinstance(row, str):
                bad.append(Bad(f"{path.name}:{number}", row))
            else:
                yield number, row


def _object(line: str) -> dict[str, Any] | str:
    """The object on a line, or what is wrong with it."""
    try:
        row = json.loads(line)
    except (ValueError, RecursionError):
        return f"no JSON object but {line.strip()[:40]!r}"
    if not isinstance(row, dict):
        return f"no JSON object but {line.strip()[:40]!r}"
    if "\\ud" in line.lower() and _torn(row):
        return f"half a surrogate pair in {line.strip()[:40]!r}"
    nested = [name for name, value in row.items() if isinstance(value, (dict, list)) and not _is_taken(name, value)]
    return f"a nested value in {nested[0]!r}, where text, a number, true, false or null is expected" if nested else row


def _is_taken(name: str, value: Any) -> bool:
    """The nested values that are taken, as JSON text: the messages of a conversation, and a list of names."""
    if not isinstance(value, list):
        return False
    return all(isinstance(item, str) for item in value) or (name == MESSAGES and all(isinstance(message, dict) for message in value))


def _torn(row: dict[str, Any]) -> bool:
    """Whether some text is no Unicode: JSON can write half a surrogate pair (a text cut in the middle of an emoji), and nothing can store it."""
    try:
        json.dumps(row, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return True
    return False


def _text(value: str | float | bool | list[Any] | None) -> str | None:
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, list):
        return json.dumps(value, ensure_ascii=False)
    return ("true" if value else "false") if isinstance(value, bool) else repr(value)
