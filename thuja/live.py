"""A live server for as long as a `with` block: the third witness of a certificate. Standard library only on this side of the wire."""

import http.client
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from thuja.codec import Rows
from thuja.core.errors import ArtifactError, ParityError
from thuja.fields import Schema

HOST = "127.0.0.1"
START_S = 60.0
ANSWER_S = 60.0
BODY_BYTES = 4 << 20


class Client:
    """Asks `/predict` the way a user would: JSON in, JSON out, one connection."""

    def __init__(self, port: int, schema: Schema) -> None:
        self.connection = http.client.HTTPConnection(HOST, port, timeout=ANSWER_S)
        self.schema = schema

    def ask(self, rows: Rows) -> dict[str, list[Any]]:
        """Raw rows to answers; split where the body would be larger than servers take. Raises: ParityError when the server refuses a row."""
        columns = {name: [field.to_json(value) for value in rows[name]] for name, field in self.schema.inputs.items()}
        records = [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]
        answers = [answer for part in _parts(records) for answer in self._post(part)]
        return {name: [answer.get(name) for answer in answers] for name in self.schema.outputs}

    def _post(self, records: list[dict[str, Any]]) -> list[dict[str, Any]]:
        body = json.dumps(records[0] if len(records) == 1 else {"rows": records}).encode()
        self.connection.request("POST", "/predict", body, {"Content-Type": "application/json"})
        response = self.connection.getresponse()
        text = response.read()
        if response.status != 200:
            raise ParityError("server", expected="an answer, as training gave one", found=f"status {response.status}: {text[:200].decode(errors='replace')}",
                              fix="Do not serve this artefact. Export it again.")
        value = json.loads(text)
        found: list[dict[str, Any]] = [value] if len(records) == 1 else value["rows"]
        return found


def _parts(records: list[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    part: list[dict[str, Any]] = []
    size = 0
    for record in records:
        length = len(json.dumps(record))
        if part and size + length > BODY_BYTES:
            yield part
            part, size = [], 0
        part.append(record)
        size += length
    yield part


@contextmanager
def serving(path: Path, schema: Schema) -> Iterator[Any]:
    """Start `thuja serve` on a free port of this machine in a process of its own, give a way of asking it, and stop it.

    Raises: ArtifactError when the server does not come up, with its last words.
    """
    port = _free_port()
    environment = {name: value for name, value in os.environ.items() if name != "THUJA_TOKEN"}  # reachable from this machine only, for seconds
    command = [sys.executable, "-m", "thuja", "serve", str(path), "--host", HOST, "--port", str(port)]
    with tempfile.TemporaryFile() as words, subprocess.Popen(command, stdout=words, stderr=words, stdin=subprocess.DEVNULL, env=environment) as process:
        try:
            _wait(port, process, words)
            yield Client(port, schema).ask
        finally:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port


def _wait(port: int, process: "subprocess.Popen[bytes]", words: IO[bytes]) -> None:
    end = time.monotonic() + START_S
    while time.monotonic() < end and process.poll() is None:
        connection = http.client.HTTPConnection(HOST, port, timeout=5)
        try:
            connection.request("GET", "/ready")
            if connection.getresponse().status == 200:
                return
        except OSError:
            pass
        finally:
            connection.close()
        time.sleep(0.02)
    words.seek(0)
    said = words.read().decode(errors="replace").strip().splitlines() or ["nothing"]
    raise ArtifactError("server", expected=f"ready within {START_S:g} s", found=f"it said: {said[-1]}"[:300], fix="Try `thuja serve` on this artefact by hand.")
