"""`thuja predict`: answers for files, folders, tables, Python rows or standard input, from an artefact, without torch."""

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from thuja.artifact.folder import Artifact
from thuja.artifact.runtime import Predictor
from thuja.codec import Rows
from thuja.core.errors import BadRows, DataError, ThujaError
from thuja.data.delimited import text_lines
from thuja.data.source import open_source
from thuja.fields import Audio, Image, Molecule, Schema, Text
from thuja.settings import Data

PICTURES = {".jpg", ".jpeg", ".png", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".ppm", ".pgm"}
RECORDINGS = {".wav", ".flac", ".ogg", ".oga", ".mp3", ".aif", ".aiff", ".au"}
TABLES = {".csv", ".tsv", ".parquet", ".pq", ".jsonl", ".ndjson", ".gz"}
BATCH = 256


class _Batch(NamedTuple):
    """Rows to be answered together."""

    names: list[str]
    """Of all rows."""
    rows: Rows
    """Those that are not in `bad`, in order."""
    bad: dict[int, str]
    """Why a row, by its place in `names`, cannot be answered."""


def predict(artifact: Artifact | Path | str, rows: Any, *, data: Data | None = None) -> Iterator[dict[str, Any]]:
    """One answer for each row, in order, a batch at a time.

    Args:
        artifact: an opened artefact or its folder.
        rows: a list of dicts of raw values; a path of a picture or recording, a folder of them, or a table; or an iterable of lines (JSON objects, or plain
            texts where the only input is a text).
        data: how to read a table (delimiter, encoding, columns that hold paths).

    Yields: the schema's outputs as plain values, with "row" naming where the row came from; a row that cannot be read yields "error" instead.
    Raises: DataError when nothing can be read at all.
    """
    opened = artifact if isinstance(artifact, Artifact) else Artifact.open(Path(artifact))
    predictor = Predictor(opened)
    schema = opened.schema
    for batch in _batches(schema, rows, data or Data()):
        yield from _answers(predictor, batch)


def _answers(predictor: Predictor, batch: _Batch) -> Iterator[dict[str, Any]]:
    bad, rows = dict(batch.bad), batch.rows
    good = [i for i in range(len(batch.names)) if i not in bad]
    answers: dict[str, list[Any]] = {}
    try:
        answers = predictor.predict(rows) if good else {}
    except BadRows as error:
        bad |= {good[place]: _reason(reason) for place, reason in error.rows.items()}
        keep = [place for place in range(len(good)) if place not in error.rows]
        answers = predictor.predict({key: [values[place] for place in keep] for key, values in rows.items()}) if keep else {}
    place = 0
    for i, name in enumerate(batch.names):
        if i in bad:
            yield {"row": name, "error": bad[i]}
        else:
            yield {"row": name} | {key: values[place] for key, values in answers.items()}
            place += 1


def _reason(error: ThujaError) -> str:
    """What is said of a row whose name is told beside it: without its place in the batch."""
    where = error.where.partition("].")[2] if error.where.startswith("rows[") else error.where
    return str(ThujaError(where, expected=error.expected, found=error.found, fix=error.fix))


def _batches(schema: Schema, rows: Any, data: Data) -> Iterator[_Batch]:
    if isinstance(rows, (str, Path)):
        yield from _from_path(schema, Path(rows), data)
    else:
        yield from _from_rows(schema, rows)


def _from_path(schema: Schema, path: Path, data: Data) -> Iterator[_Batch]:
    if not path.exists():
        raise DataError(str(path), expected="a file or folder", found="nothing there", fix="Check the path.")
    whole = {name: PICTURES if isinstance(field, Image) else RECORDINGS for name, field in schema.inputs.items() if isinstance(field, (Audio, Image))}
    name, suffixes = next(iter(whole.items()), ("", set[str]()))
    what = "recordings" if suffixes == RECORDINGS else "pictures"
    suffix = Path(path.stem).suffix if path.suffix == ".gz" else path.suffix
    if len(schema.inputs) == 1 and whole and (path.is_dir() or suffix.lower() in suffixes):
        files = sorted(p for p in path.rglob("*") if p.suffix.lower() in suffixes) if path.is_dir() else [path]
        if not files:
            raise DataError(str(path), expected=what, found="a folder without any", fix=f"Looked for {', '.join(sorted(suffixes))}.")
        for start in range(0, len(files), BATCH):
            part = files[start : start + BATCH]
            yield _Batch([str(p) for p in part], {name: part}, {})
    elif path.is_file() and path.suffix.lower() in TABLES:
        yield from _from_table(schema, path, data, tuple(whole))
    elif _one_text(schema) and path.is_file() and suffix.lower() not in PICTURES | RECORDINGS:
        with path.open(encoding=data.encoding) as lines:
            yield from _from_rows(schema, text_lines(lines, path, data.encoding))
    else:
        also = f"{what} or " if whole else "lines of text or " if _one_text(schema) else ""
        raise DataError(str(path), expected=f"{also}a table (.csv, .parquet, .jsonl)",
                        found="a folder" if path.is_dir() else path.suffix or "a file without a suffix", fix="Convert it, or send rows to a server.")


def _from_table(schema: Schema, path: Path, data: Data, whole: tuple[str, ...]) -> Iterator[_Batch]:
    section = data.model_copy(update={"path": str(path.resolve())})
    for source in open_source(section, path.resolve().parent).values():
        _all_there(schema, source.names, str(path))
    if whole and not data.files:
        section = section.model_copy(update={"files": whole})
    for source in open_source(section, path.resolve().parent).values():
        place = 0
        for rows in source.batches(BATCH):
            count = len(next(iter(rows.values())))
            yield _Batch([f"{path.name}:{place + i + 1}" for i in range(count)], {name: rows[name] for name in schema.inputs}, {})
            place += count


def _from_rows(schema: Schema, rows: Iterable[Any]) -> Iterator[_Batch]:
    names: list[str] = []
    kept: list[dict[str, Any]] = []
    bad: dict[int, str] = {}
    for number, row in enumerate(rows, 1):
        if isinstance(row, str) and not row.strip() and not _one_text(schema):
            continue  # a blank line between objects
        try:
            kept.append(_parsed(schema, row) if isinstance(row, str) else _whole(schema, row))
        except DataError as error:
            bad[len(names)] = str(error)
        names.append(f"{number}")
        if len(names) == BATCH:
            yield _Batch(names, {name: [r[name] for r in kept] for name in schema.inputs}, bad)
            names, kept, bad = [], [], {}
    if names:
        yield _Batch(names, {name: [r[name] for r in kept] for name in schema.inputs}, bad)


def _one_text(schema: Schema) -> bool:
    """Whether a plain line is a whole row."""
    field, *more = schema.inputs.values()
    return isinstance(field, (Molecule, Text)) and not more


def _parsed(schema: Schema, line: str) -> dict[str, Any]:
    """A line of standard input: a JSON object, or plain text where the only input is a text."""
    if not line.lstrip().startswith("{") and _one_text(schema):
        return {next(iter(schema.inputs)): line.rstrip("\r\n")}
    fix = f"One object a line, with the keys {', '.join(schema.inputs)}."
    try:
        value = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise DataError("the row", expected="a JSON object", found=repr(line.rstrip()[:40]), fix=fix) from error
    if not isinstance(value, dict):
        raise DataError("the row", expected="a JSON object", found=repr(value)[:40], fix=fix)
    return {key: schema.inputs[key].from_json(item, key) for key, item in _whole(schema, value).items()}


def _whole(schema: Schema, row: Mapping[str, Any]) -> dict[str, Any]:
    """The row with every input; one left out that may be missing is missing, as a server takes it."""
    optional = {name: None for name, field in schema.inputs.items() if getattr(field, "missing", False)}
    _all_there(schema, {*row, *optional}, "the row")
    return {name: row.get(name) for name in schema.inputs}


def _all_there(schema: Schema, names: Iterable[str], where: str) -> None:
    missing = [name for name in schema.inputs if name not in set(names)]
    if missing:
        raise DataError(where, expected=f"the columns {', '.join(schema.inputs)}", found=f"no {', '.join(missing)}", fix="Add them; extra columns are ignored.")
