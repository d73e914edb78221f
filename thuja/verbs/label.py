"""The verb `label`: what turned out to be true, from a file. Every line is checked; a wrong one is named and left out, the rest is kept. No torch."""

import csv
import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from thuja.core.errors import DataError, DeploymentError, ThujaError, did_you_mean
from thuja.fields import Number, Schema
from thuja.life.deployment import Deployment
from thuja.life.labels import Label, delays
from thuja.life.ledger import Said
from thuja.life.lifetime import Survival
from thuja.life.loss import Judged, judged_field, loss
from thuja.verbs.challenge import opened
from thuja.verbs.deploy import SOMEONE

CALL, AT, TRUTH = "call", "at", "truth"
AT_ONCE = 1000
"""Labels that are written together."""
Row = Mapping[str, Any]


class Wrong(NamedTuple):
    """A line that says nothing that can be used."""

    line: int
    reason: str


class Labelled(NamedTuple):
    """What became of the lines of a file."""

    kept: int
    """Labels."""
    unknown: int
    """Lines about answers that are not kept: they were not drawn, they are too old, or nobody gave them."""
    wrong: list[Wrong]
    delay: Survival | None
    """How long labels take, in seconds; answers that have none yet are censored. None without answers."""


class _Way(NamedTuple):
    """How a line finds its answers."""

    key: str
    """The column that says which."""
    calls: Mapping[str, list[str]]
    """Names of answers by what that column holds; for the names themselves, those that are kept."""


def label(deployment: Deployment | Path | str, file: Path | str, *, by: str = "", by_input: str = "") -> Labelled:
    """Keep the labels of a file: a CSV with a header line, or JSON lines.

    A line names its answer (`call`), says what was true by the name of the output, or of the target, or under `truth`, and may say when that became known
    (`at`); extra columns are ignored. With `by_input`, answers are found by that input in place of their names, which needs requests that are kept whole.
    Raises: DataError for a file that holds nothing usable; DeploymentError where requests are not kept whole, or nobody answers.
    """
    deployment, path = opened(deployment), Path(file)
    champion = deployment.standings().champion
    if not champion:
        raise DeploymentError("label", expected="a version that answers", found="none", fix="Deploy one: thuja deploy ARTEFACT.")
    schema = deployment.artifact(champion).codec.schema()
    judged = Judged(judged_field(schema), 1.0)
    target = deployment.evidence.get_data(deployment.standings().of(champion).facts["spec"]).get("task", {}).get("target", "")
    lines = list(_lines(path))
    way = _by_input(deployment, schema, by_input) if by_input else _by_name(deployment, lines)
    found, wrong, unknown = _checked(lines, schema, judged, target if isinstance(target, str) else "", way)
    if not found and not unknown:
        reason = f"line {wrong[0].line}: {wrong[0].reason}" if wrong else "no line"
        raise DataError(str(path), expected=f"lines with {way.key} and {judged.field}", found=reason, fix="See `thuja label --help` for the columns.")
    now, evenly = deployment.clock(), deployment.plan.audit.feedback == "all"
    labels = [Label(call, now if at is None else at, truth, by or SOMEONE, evenly) for call, at, truth in found]
    for start in range(0, len(labels), AT_ONCE):
        deployment.labels.add(labels[start : start + AT_ONCE], came=now)
    body = {"file": path.name, "kept": len(labels), "unknown": unknown, "wrong": len(wrong)}
    deployment.ledger.append([Said("labels", "", body, by=by or SOMEONE)])
    return Labelled(len(labels), unknown, wrong, _delay(deployment))


def _checked(lines: list[tuple[int, Row | str]], schema: Schema, judged: Judged, target: str,
             way: _Way) -> tuple[list[tuple[str, float | None, dict[str, Any]]], list[Wrong], int]:
    """Name, time and truth of every label; the lines that are wrong; how many are about answers that are not kept."""
    found: list[tuple[str, float | None, dict[str, Any]]] = []
    wrong: list[Wrong] = []
    unknown = 0
    for number, row in lines:
        try:
            key, at, truth = _read(row, schema, judged, target, way.key)
        except ThujaError as error:
            wrong.append(Wrong(number, f"{error.where}: expected {error.expected}, found {error.found}"))
            continue
        calls = way.calls.get(key, [])
        unknown += not calls
        found += [(call, at, truth) for call in calls]
    return found, wrong, unknown


def _read(row: Row | str, schema: Schema, judged: Judged, target: str, key: str) -> tuple[str, float | None, dict[str, Any]]:
    """One line. Raises: DataError for one that cannot be used."""
    if isinstance(row, str):
        raise DataError("line", expected="a JSON object", found=repr(row)[:60])
    if row.get(key) in (None, ""):
        raise DataError(key, expected="which answer it is about", found="nothing", fix=did_you_mean(key, [str(name) for name in row]))
    value = next((row[name] for name in (judged.field, target, TRUTH) if name and row.get(name) not in (None, "")), None)
    truth = dict(value) if isinstance(value, Mapping) else {} if value is None else {judged.field: value}
    field = schema.outputs[judged.field]
    if isinstance(field, Number) and isinstance(truth.get(judged.field), str):
        truth[judged.field] = _number(truth[judged.field], judged.field)
    loss(schema, judged, {judged.field: None if isinstance(field, Number) else ""}, truth)
    return _key(row[key]), _time(row.get(AT)), {judged.field: truth[judged.field]}


def _number(text: str, where: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise DataError(where, expected="a number", found=repr(text)[:60]) from None


def _time(value: Any) -> float | None:
    """When a label became known. Raises: DataError."""
    if value in (None, ""):
        return None
    try:
        return float(value)
    except (TypeError, ValueError):
        pass
    try:
        moment = datetime.fromisoformat(str(value))
    except ValueError:
        raise DataError(AT, expected="a time such as 2026-01-31T12:00:00, or seconds since 1970", found=repr(value)[:60]) from None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def _key(value: Any) -> str:
    """A key as text, whole numbers without a point, so that CSV's 7 and JSON's 7.0 are one.

    >>> _key(7.0), _key("7"), _key("7.0"), _key("v7.0")
    ('7', '7', '7', 'v7.0')
    """
    text = str(value).strip()
    return text[:-2] if text.endswith(".0") and text[:-2].lstrip("-").isdigit() else text


def _by_name(deployment: Deployment, lines: list[tuple[int, Row | str]]) -> _Way:
    named = [_key(row[CALL]) for _, row in lines if not isinstance(row, str) and row.get(CALL) not in (None, "")]
    return _Way(CALL, {name: [name] for name in deployment.calls.named(named)})


def _by_input(deployment: Deployment, schema: Schema, name: str) -> _Way:
    """Answers by one of their inputs. Raises: DeploymentError where that is none, or no request is kept whole."""
    if name not in schema.inputs:
        raise DeploymentError("--by-input", expected="an input of the model", found=repr(name), fix=did_you_mean(name, schema.inputs))
    if deployment.plan.record.inputs != "full":
        raise DeploymentError("--by-input", expected="requests that are kept whole (record.inputs: full)", found=deployment.plan.record.inputs,
                              fix="Use the names of the answers: the header Thuja-Call holds them, and `call` is their column.")
    now, found = deployment.clock(), dict[str, list[str]]()
    for call in deployment.calls.between(now - deployment.plan.record.keep, now + 1):
        if not call.shade and call.inputs is not None and call.inputs.get(name) is not None:
            found.setdefault(_key(call.inputs[name]), []).append(call.id)
    return _Way(name, found)


def _lines(path: Path) -> Iterator[tuple[int, Row | str]]:
    """Number and content of every line that is not blank; a line that is no object, as text. Raises: DataError for what is no such file."""
    if not path.is_file():
        raise DataError(str(path), expected="a file with labels", found="a folder" if path.is_dir() else "nothing there", fix="Check the path.")
    if path.suffix.lower() not in (".csv", ".jsonl", ".ndjson"):
        raise DataError(str(path), expected="a .csv or .jsonl file", found=path.suffix or "no suffix", fix="Convert it.")
    try:
        text = path.read_text("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(f"{path}, byte {error.start}", expected="UTF-8 text", found="another encoding", fix="Save the file as UTF-8.") from error
    if path.suffix.lower() == ".csv":
        reader = csv.DictReader(text.splitlines())
        yield from ((reader.line_num, {name: value for name, value in row.items() if name is not None}) for row in reader)
        return
    for number, line in enumerate(text.splitlines(), 1):
        if line.strip():
            yield number, _object(line)


def _object(line: str) -> Row | str:
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        return line
    return found if isinstance(found, dict) else line


def _delay(deployment: Deployment) -> Survival | None:
    now = deployment.clock()
    start = now - deployment.plan.record.keep
    return delays(deployment.calls.between(start, now + 1), deployment.labels.between(start, now + 1), now)
