"""Opening data: whatever `data.path` names, as parts that are given ("train", "validation", "test") or one part "all"."""

import os
import re
from pathlib import Path
from typing import Any

from thuja.core.errors import DataError
from thuja.data import (
    audio_folder,
    boxes,
    contents,
    episodes,
    folder,
    idx,
    interactions,
    masks,
    medical,
    objects,
    parallel,
    passages,
    pianoroll,
    table,
    ts_format,
    turbofan,
)
from thuja.data.arrow import ArrowSource
from thuja.data.rows import Source as Source
from thuja.data.rows import Subset as Subset
from thuja.settings import Data

LONGEST = 200
"""Characters of a path that an error repeats."""


def open_source(data: Data, root: Path = Path(), object: Any = None) -> dict[str, Source]:
    """Open the data of a spec. Relative paths start at `root`, the folder of the spec. `object` (a table, a dict of columns, a list of dicts) takes the
    place of `data.path`; a dict of such objects named train, validation, test gives the parts.

    Raises: DataError for what is missing, empty, unreadable or of an unknown kind, and for parts whose columns do not agree.
    """
    if object is not None:
        parts = _from_objects(object, data)
    else:
        if not data.path:
            raise DataError("data.path", expected="a folder or a file", found="nothing", fix="Set data.path in the spec, or pass a Python object.")
        parts = _open(root / data.path, data, "data.path")
        for part, path in (("validation", data.validation), ("test", data.test)):
            if path is not None:
                given = _open(root / path, data, f"data.{part}")
                if "all" in parts:
                    parts["train"] = parts.pop("all")
                parts[part] = _one(given, part)
    _refuse_disagreement(parts)
    return parts


def _from_objects(value: Any, data: Data) -> dict[str, Source]:
    names = ("train", "validation", "test")
    if isinstance(value, dict) and "train" in value and set(value) <= set(names) and not any(_is_column(part) for part in value.values()):
        return {part: objects.from_object(value[part], data.files, part) for part in names if part in value}
    return {"all": objects.from_object(value, data.files)}


def _is_column(value: Any) -> bool:
    return isinstance(value, (list, tuple)) and not (value and isinstance(value[0], dict))


def _one(parts: dict[str, Source], part: str) -> Source:
    return parts.get(part) or parts.get("all") or next(iter(parts.values()))


def _open(path: Path, data: Data, where: str) -> dict[str, Source]:
    if re.match(r"\w{2,}:/", str(path)):  # a Windows drive is one letter
        raise DataError(where, expected="a folder or a file on this machine", found=f"the address {str(path)[:LONGEST]}",
                        fix="Download it first: Thuja opens no network connections.")
    if data.format == "episodes" or (data.format == "auto" and episodes.is_environment(path)):
        return {**episodes.open_episodes(path)}
    if not os.path.exists(path):  # Path.exists raises for a name that is too long
        near = sorted(entry.name for entry in path.parent.iterdir())[:8] if os.path.isdir(path.parent) else []
        raise DataError(where, expected="a folder or a file", found=f"nothing at {str(path)[:LONGEST]}",
                        fix=f"In that folder: {', '.join(near)}." if near else "Correct the path.")
    if data.format in ("auto", "sequences") and (sequences := interactions.sequences_in(path, sure=data.format != "auto")) is not None:
        return {"all": interactions.open_sequences(sequences)}
    if path.is_dir() and (data.format == "medical" or (data.format == "auto" and medical.is_medical(path))):
        return {**medical.open_medical(path)}
    if path.is_dir() and (data.format == "masks" or (data.format == "auto" and masks.is_mask_folder(path))):
        return {**masks.open_masks(path)}
    if data.format in ("auto", *boxes.FORMATS) and (drawn := boxes.open_boxes(path, data.format)) is not None:
        return {**drawn}
    if path.is_dir():
        return _open_folder(path, data)
    if data.format == "ts" or (data.format == "auto" and path.suffix == ".ts"):
        return {"all": ts_format.open_ts(path)}
    if data.format == "auto" and pianoroll.is_rolls(path):
        return {**pianoroll.open_rolls(path)}
    if data.format == "text" or (data.format == "auto" and not data.names and data.delimiter is None and passages.is_prose(path)):
        return {**passages.open_texts(path)}
    if data.format in ("auto", "parallel") and parallel.siblings(path):
        return {"all": parallel.open_file(path, data)}
    if data.format == "auto":
        contents.refuse_file(path)
    format = table.format_of(path) if data.format == "auto" else data.format
    if format not in ("csv", "jsonl", "parquet"):
        raise DataError(str(path), expected="a CSV, JSONL or Parquet file, or a folder", found=f"a file of type {path.suffix or 'unknown'}",
                        fix="Set data.format if it is one of these under another name.")
    return {"all": table.open_table(path, data, format)}


def _open_folder(path: Path, data: Data) -> dict[str, Source]:
    entries = sorted(entry for entry in path.iterdir() if not entry.name.startswith("."))
    if not entries:
        raise DataError(str(path), expected="data", found="an empty folder", fix="Check data.path, or put the data there.")
    if data.format == "idx" or (data.format == "auto" and idx.is_idx(path)):
        return {**idx.open_idx(path)}
    if data.format in ("auto", "ts") and (files := ts_format.parts_in(path)):
        return {part: ts_format.open_ts(file) for part, file in files.items()}
    if data.format == "turbofan" or (data.format == "auto" and turbofan.files_in(path)):
        return turbofan.open_turbofan(path)
    if data.format == "audio-folder" or (data.format == "auto" and audio_folder.is_audio_folder(path)):
        return {**audio_folder.open_audio_folder(path, data)}
    if data.format == "parallel" or (data.format == "auto" and parallel.is_parallel(path)):
        return {**parallel.open_parallel(path, data)}
    if data.format == "text" or (data.format == "auto" and all(entry.is_file() and passages.is_prose(entry) for entry in entries)):
        return {**passages.open_texts(path)}
    tables = [entry for entry in entries if entry.is_file() and table.format_of(entry) and data.format in ("auto", table.format_of(entry))]
    if tables and data.format != "image-folder" and not any(entry.is_dir() for entry in entries):
        contents.refuse_documents(path, entries, tables)
        return _tables(path, tables, data)
    if data.format == "auto":
        contents.refuse_folder(path, entries, lambda inside: _open(inside, data, "data.path"))
    return {**folder.open_folder(path, data.pattern)}


def _tables(path: Path, files: list[Path], data: Data) -> dict[str, Source]:
    """A folder with train.csv and test.csv, or with a single table."""
    given = {folder.PARTS.get(file.name.partition(".")[0].lower(), ""): file for file in files}
    if "train" not in given:
        if len(files) > 1:
            raise DataError(str(path), expected="one table, or train and test tables", found=", ".join(file.name for file in files[:6]),
                            fix="Name the file in data.path (and another in data.test).")
        given = {"all": files[0]}
    return {part: source for part in ("all", "train", "validation", "test") if part in given for source in _open(given[part], data, "data.path").values()}


def _refuse_disagreement(parts: dict[str, Source]) -> None:
    first, *rest = parts
    for part in rest:
        absent = [name for name in parts[first].names if name not in parts[part].names]
        if absent:
            raise DataError(f"{part} data", expected=f"the columns of the {first} data", found=f"no column {absent[0]!r}",
                            fix="Add it, or leave it out of both.")
        for name, kind in parts[first].kinds.items():
            other = parts[part].kinds[name]
            if kind != other and not _is_empty(parts[first], name) and not _is_empty(parts[part], name):
                raise DataError(f"{part} data: {name}", expected=f"{kind}, as in the {first} data", found=other,
                                fix="Correct the cells, or add what marks a missing one to data.missing.")


def _is_empty(source: Source, name: str) -> bool:
    return isinstance(source, ArrowSource) and source.is_empty(name)
