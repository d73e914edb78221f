"""S13: NaN and infinity, in requests, in answers and in what is said of them: every body is JSON as RFC 8259 has it, whatever the model does.

Requests hold every spelling of a number that is none, at every place; models answer NaN and infinities in some rows. No body may hold one (a strict reader is
used), no answer of 200 may hold a gap where a number belongs, and a row that is not finite is an error that says so.
"""

import json
import math
import random
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np

from reliability import applications
from reliability.inprocess import Answer, Client, asked
from reliability.outcome import Control, Harness, Outcome
from thuja.artifact import runtime
from thuja.artifact.folder import Artifact
from thuja.artifact.runtime import Predictor
from thuja.codec import Arrays, Columns, count
from thuja.server import wire
from thuja.server.app import create_app
from thuja.server.settings import ServeSettings

SPELLINGS = (b"NaN", b"nan", b"-NaN", b"Infinity", b"-Infinity", b"inf", b"1e999", b"-1e999", b"1e309", b'"NaN"', b'"Infinity"', b'"1e999"', b"1" + b"0" * 400,
             b"-" + b"9" * 5000, b"1e-999", b"0x1p1024", b"1.7976931348623159e308", b"null", b"-0.0", b"5e-324", b"1e308", b"-1e308")
FORMS = ("NaN", "inf", "-inf", "Infinity", "1e999", "nan(1)", "1_0e999")
WEIRD = (math.nan, math.inf, -math.inf)
JSON = {"Content-Type": "application/json"}


class Overflowing(Predictor):
    """A network that overflows: some rows of some outputs are not finite before they are looked at."""

    rng = random.Random(0)
    share = 1.0

    def run(self, columns: Columns, program: str = "predict") -> Arrays:
        outputs = self.sessions[program].run(None, {s.name: runtime.rectangular(columns)[s.name] for s in self.inputs[program]})
        named = {spec.name: np.array(array) for spec, array in zip(self.outputs[program], outputs, strict=True)}
        for array in named.values():
            array[self.rng.randrange(count(columns))].flat[0] = self.rng.choice(WEIRD)
        runtime._refuse_non_finite(named)
        return named


def strict(answer: Answer) -> str:
    """What is wrong with a body as JSON, empty if nothing is."""
    if "json" not in answer.headers.get("content-type", ""):
        return f"content type {answer.headers.get('content-type')}"
    try:
        json.loads(answer.body.decode("utf-8"), parse_constant=_none)
    except ValueError as error:
        return f"{error}: {answer.body[:80]!r}"
    return ""


def _none(constant: str) -> Any:
    raise ValueError(f"{constant} is no JSON")


def requests(schema: Any, kind: str, rng: random.Random) -> Iterator[tuple[str, bytes, Mapping[str, str]]]:
    """Path, body and headers of requests with numbers that are none, at every place where a value may be."""
    fields = list(schema.inputs)
    for spelling in SPELLINGS:
        name = rng.choice(fields)
        row = b"{" + b",".join(json.dumps(f).encode() + b":" + (spelling if f == name else b"null") for f in fields) + b"}"
        yield "/predict", row, JSON
        yield "/predict", b'{"rows": [' + b", ".join([row] * rng.randint(1, 3)) + b"]}", JSON
        yield "/predict", spelling, JSON
        yield "/predict", b'{"' + spelling.strip(b'"') + b'": ' + spelling + b"}", JSON
        for field in fields:
            data = b'{"inputs": [{"name": "%s", "shape": [1], "datatype": "FP64", "data": [%s]}]}' % (field.encode(), spelling)
            yield f"/v2/models/{kind}/infer", data, JSON
            yield f"/v2/models/{kind}-tensors/infer", data.replace(b"FP64", b"FP32"), JSON
        yield f"/v2/models/{kind}/infer", b'{"inputs": [], "id": %s, "parameters": {"x": %s}}' % (spelling, spelling), JSON
    for text in FORMS:
        part = "".join(f'--b\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{text}\r\n' for name in fields)
        yield "/predict", f"{part}--b--\r\n".encode(), {"Content-Type": "multipart/form-data; boundary=b"}
        yield "/predict", b"{}", JSON | {"Request-Timeout": text}
        yield f"/v2/models/{kind}/infer", b"{}", JSON | {"Inference-Header-Content-Length": text}


def plain(path: Path, schema: Any) -> tuple[bytes, bytes]:
    """An honest request for one row, and for three, as JSON."""
    certificate = json.loads((path / "certificate.json").read_bytes())
    rows = [{name: certificate["rows"][name][i] for name in schema.inputs} for i in range(3)]
    return json.dumps(rows[0]).encode(), json.dumps({"rows": rows}).encode()


async def _in(client: Client, path: Path, rng: random.Random) -> tuple[int, list[str]]:
    """Numbers that are none, sent."""
    number, failures = 0, list[str]()
    model = client.app.service.model
    for place, body, headers in requests(model.schema, model.kind, rng):
        answer = await client.ask("POST", place, body, headers)
        number += 1
        wrong = strict(answer) or (f"status {answer.status}" if answer.status >= 500 else "")
        if wrong:
            failures.append(f"{place} {body[:60]!r}: {wrong}")
    one, _ = plain(path, model.schema)
    good = await client.ask("POST", "/predict", one, JSON)
    return number, failures + ([] if good.status == 200 and not strict(good) else [f"an honest row: {good.status} {good.body[:80]!r}"])


async def _out(client: Client, path: Path, rng: random.Random) -> tuple[int, list[str]]:
    """Honest rows for a model that overflows: an error that says so, in JSON."""
    failures: list[str] = []
    model = client.app.service.model
    rounds = 6
    for number in range(rounds):
        answer = await client.ask("POST", "/predict", plain(path, model.schema)[number % 2], JSON)
        said = answer.body.decode("utf-8", "replace")
        if wrong := strict(answer) or ("" if answer.status == 422 and "finite" in said else f"status {answer.status}: {said[:80]}"):
            failures.append(f"an answer that is not finite: {wrong}")
    return rounds, failures


def checked(path: Path, rng: random.Random) -> tuple[int, list[str]]:
    """Both ways for one artefact."""
    sent, wrong = asked(create_app(path, ServeSettings()), lambda client: _in(client, path, rng))
    kind = type("Overflowing", (Overflowing,), {"rng": rng})
    back, more = asked(create_app(kind(Artifact.open(path)), ServeSettings()), lambda client: _out(client, path, rng))
    return sent + back, wrong + more


@contextmanager
def blind() -> Iterator[None]:
    """The planted bug: outputs are not looked at, so that NaN leaves as a gap in the JSON."""
    with patch.object(runtime, "_refuse_non_finite", lambda outputs: None):
        yield


@contextmanager
def lenient() -> Iterator[None]:
    """Another: the standard library's JSON, which reads and writes NaN, and outputs not looked at."""
    def answers(outputs: Mapping[str, Any], schema: Any, single: bool) -> bytes:
        return json.dumps({name: outputs[name] for name in schema.outputs}).encode()

    with patch.object(runtime, "_refuse_non_finite", lambda outputs: None), patch.object(wire, "answers", answers):
        yield


PLANTED = (blind, lenient)


def run(trials: int, rng: random.Random) -> Outcome:
    """Rounds over the applications until there are `trials` requests."""
    number, failures = 0, list[str]()
    while number < trials:
        for name, path in applications.artifacts().items():
            count_now, found = checked(path, rng)
            number, failures = number + count_now, failures + [f"{name}: {line}" for line in found]
    caught = 0
    for plant in PLANTED:
        with plant():
            caught += bool(checked(applications.artifacts()["table"], rng)[1])
    control = Control("outputs not looked at; and written by a writer that knows NaN", len(PLANTED), caught)
    return Outcome(number, failures, control, {"spellings of no number": len(SPELLINGS) + len(FORMS)})


HARNESSES = (Harness("S13", "NaN and infinity in or out: the body is valid JSON, the error says so", run, short=300, long=10_000),)
