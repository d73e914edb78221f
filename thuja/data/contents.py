"""What lies at a path that is no data set as it is, and what to type instead."""

import gzip
import json
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from thuja.core.errors import DataError
from thuja.data.folder import is_picture

TRIED, SHOWN = 12, 6
"""Folders that are opened to see what they are, and names that an error repeats."""
JSON_BYTES = 64 << 20
FIX_JSON = "Write a row a line (.jsonl), or read it in Python and pass the rows: thuja.train(spec, data=rows)."
DIALOGUE = re.compile(rb"1 [^\t\n]+\t[^\n]+\n2 ")
"""How a file of dialogues in bAbI's form begins: numbered lines, what was said and what was answered between tabs."""


def refuse_folder(path: Path, entries: list[Path], opens: Callable[[Path], Any]) -> None:
    """Say what is in a folder that holds no picture and was recognised as nothing else; `opens` opens a folder or raises DataError.

    Raises: DataError for a folder of data sets and for a folder of JSON; nothing for any other.
    """
    if any(is_picture(name) for _, _, names in os.walk(path) for name in names):
        return
    sets = [entry.name for entry in entries[:TRIED] if entry.is_dir() and any(child.is_file() for child in entry.iterdir()) and _opens(entry, opens)]
    if sets:
        raise DataError(str(path), expected="one data set", found=f"a folder of several: {_listed(sets)}",
                        fix=f"Name one of them, such as: thuja init {path.name}/{sets[0]}")
    refuse_documents(path, entries, [])


def refuse_documents(path: Path, entries: list[Path], tables: list[Path]) -> None:
    """Say that the data of a folder are JSON documents, where these are more than the tables beside them. Raises: DataError."""
    documents = [entry for entry in entries if entry.is_file() and entry.suffix.lower() == ".json"]
    if sum(entry.stat().st_size for entry in documents) > sum(entry.stat().st_size for entry in tables):
        beside = f" beside {_listed([table.name for table in tables])}" if tables else ""
        raise DataError(str(path), expected="files of a known kind", found=f"JSON documents: {_listed([entry.name for entry in documents])}{beside}",
                        fix=f"{FIX_JSON} A table is opened by its name." if tables else FIX_JSON)


def refuse_file(path: Path) -> None:
    """Say what a file is that looks like a table, or like nothing known, and is neither. Raises: DataError."""
    if path.suffix.lower() == ".json":
        raise DataError(str(path), expected="a row a line", found=f"one JSON document, {_described(path)}", fix=FIX_JSON)
    if ".txt" in path.suffixes and DIALOGUE.match(_head(path)):
        raise DataError(str(path), expected="rows", found="dialogues in bAbI's form, numbered lines of a question, a tab and an answer",
                        fix='Write a dialogue a line as JSONL: {"messages": [{"role": "user", "content": ...}, {"role": "assistant", "content": ...}]}.')


def _opens(path: Path, opens: Callable[[Path], Any]) -> bool:
    try:
        opens(path)
    except DataError:
        return False
    return True


def _listed(names: list[str]) -> str:
    return ", ".join(names[:SHOWN]) + (f" and {len(names) - SHOWN} more" if len(names) > SHOWN else "")


def _head(path: Path) -> bytes:
    """The first bytes of a file, unpacked; none of a damaged one, whose reader will say so."""
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            return file.read(4096)
    except (OSError, EOFError):
        return b""


def _described(path: Path) -> str:
    if path.stat().st_size > JSON_BYTES:
        return "a large one"
    try:
        found = json.loads(path.read_bytes())
    except ValueError:
        return "damaged, or of several values"
    if isinstance(found, dict):
        return f"an object with {_listed([repr(name) for name in found])}"
    return f"a list of {len(found):,} values" if isinstance(found, list) else "a single value"
