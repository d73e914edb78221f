"""`thuja predict`: answers for files, folders, tables, Python rows or standard input, from an artefact, without torch."""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from thuja.artifact.folder import Artifact
from thuja.artifact.runtime import Predictor
from thuja.codec import Rows
from thuja.core.errors import BadRows, DataError
from thuja.data.source import open_source
from thuja.fields import Image, Schema, Text
from thuja.settings import Data

PICTURES = {".jpg", ".jpeg", ".png", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".ppm", ".pgm"}
TABLES = {".csv", ".tsv", ".parquet", ".pq", ".jsonl", ".ndjson", ".gz"}
BATCH = 256


def predict(artifact: Artifact | Path | str, rows: Any, *, data: Data | None = None) -> Iterator[dict[str, Any]]:
    """One answer for each row, in order, a batch at a time.

    Args:
        artifact: an opened artefact or its folder.
        rows: a list of dicts of raw values; a path of a picture, a folder of pictures or a table; or an iterable of lines (JSON objects, or plain texts
            where the only input is a text).
        data: how to read a table (delimiter, encoding, columns that hold paths).

    Yields: the schema's outputs as plain values, with "row" naming where the row came from; a row that cannot be read yields "error" instead.
    Raises: DataError when nothing can be read at all.
    """
    opened = artifact if isinstance(artifact, Artifact) else Artifact.open(Path(artifact))
    predictor = Predictor(opened)
    schema = opened.schema
    for names, batch in _batches(schema, rows, data or Data()):
        yield from _answers(predictor, names, batch)


def _answers(predictor: Predictor, names: list[str], batch: Rows) -> Iterator[dict[str, Any]]:
    try:
        bad: dict[int, str] = {}
        answers = predictor.predict(batch)
    except BadRows as error:
        bad = {place: str(reason) for place, reason in error.rows.items()}
        good = [i for i in range(len(names)) if i not in bad]
        answers = predictor.predict({key: [values[i] for i in good] for key, values in batch.items()}) if good else {}
    place = 0
    for i, name in enumerate(names):
        if i in bad:
            yield {"row": name, "error": bad[i]}
        else:
            yield {"row": name} | {key: values[place] for key, values in answers.items()}
            place += 1


def _batches(schema: Schema, rows: Any, data: Data) -> Iterator[tuple[list[str], Rows]]:
    if isinstance(rows, (str, Path)):
        yield from _from_path(schema, Path(rows), data)
    else:
        yield from _from_rows(schema, rows)


def _from_path(schema: Schema, path: Path, data: Data) -> Iterator[tuple[list[str], Rows]]:
    if not path.exists():
        raise DataError(str(path), expected="a file or folder", found="nothing there", fix="Check the path.")
    pictures = [name for name, field in schema.inputs.items() if isinstance(field, Image)]
    suffix = Path(path.stem).suffix if path.suffix == ".gz" else path.suffix
    if len(schema.inputs) == 1 and pictures and (path.is_dir() or suffix.lower() in PICTURES):
        files = sorted(p for p in path.rglob("*") if p.suffix.lower() in PICTURES) if path.is_dir() else [path]
        if not files:
            raise DataError(str(path), expected="pictures", found="a folder without any", fix=f"Looked for {', '.join(sorted(PICTURES))}.")
        for start in range(0, len(files), BATCH):
            part = files[start : start + BATCH]
            yield [str(p) for p in part], {pictures[0]: part}
    elif path.is_file() and path.suffix.lower() in TABLES:
        section = data.model_copy(update={"path": str(path.resolve()), "files": tuple(data.files) or tuple(pictures)})
        for source in open_source(section, path.resolve().parent).values():
            _all_there(schema, source.names, str(path))
            place = 0
            for batch in source.batches(BATCH):
                count = len(next(iter(batch.values())))
                yield [f"{path.name}:{place + i + 1}" for i in range(count)], {name: batch[name] for name in schema.inputs}
                place += count
    elif len(schema.inputs) == 1 and isinstance(next(iter(schema.inputs.values())), Text) and path.is_file():
        with path.open(encoding=data.encoding) as lines:
            yield from _from_rows(schema, lines)
    else:
        raise DataError(str(path), expected="pictures or a table (.csv, .parquet, .jsonl)" if pictures else "a table (.csv, .parquet, .jsonl)",
                        found="a folder" if path.is_dir() else path.suffix or "a file without a suffix", fix="Convert it, or send rows to a server.")


def _from_rows(schema: Schema, rows: Iterable[Any]) -> Iterator[tuple[list[str], Rows]]:
    names: list[str] = []
    kept: list[dict[str, Any]] = []
    for number, row in enumerate(rows, 1):
        value = _parsed(schema, row, f"line {number}") if isinstance(row, str) else row
        _all_there(schema, value, f"row {number}")
        names.append(f"{number}")
        kept.append(value)
        if len(kept) == BATCH:
            yield names, {name: [r[name] for r in kept] for name in schema.inputs}
            names, kept = [], []
    if kept:
        yield names, {name: [r[name] for r in kept] for name in schema.inputs}


def _parsed(schema: Schema, line: str, where: str) -> dict[str, Any]:
    """A line of standard input: a JSON object, or plain text where the only input is a text."""
    (name, field), *more = schema.inputs.items()
    if not line.lstrip().startswith("{") and not more and isinstance(field, Text):
        return {name: line.rstrip("\r\n")}
    try:
        value = json.loads(line)
    except ValueError as error:
        raise DataError(where, expected="a JSON object", found=repr(line[:40]), fix=f"One object a line, with the keys {', '.join(schema.inputs)}.") from error
    _all_there(schema, value if isinstance(value, dict) else (), where)
    return {key: schema.inputs[key].from_json(value[key], f"{where}, {key}") for key in schema.inputs}


def _all_there(schema: Schema, names: Iterable[str], where: str) -> None:
    missing = [name for name in schema.inputs if name not in set(names)]
    if missing:
        raise DataError(where, expected=f"the columns {', '.join(schema.inputs)}", found=f"no {', '.join(missing)}", fix="Add them; extra columns are ignored.")
