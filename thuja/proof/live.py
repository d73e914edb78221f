"""A live server for as long as a `with` block: the third witness of a certificate. Standard library only on this side of the wire."""

import http.client
import json
import os
import select
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from thuja.codec import Rows
from thuja.core.errors import ArtifactError, ParityError
from thuja.fields import Schema

HOST = "127.0.0.1"
START_S = 60.0
ANSWER_S = 60.0
STOP_S = 10.0
BODY_BYTES = 4 << 20

Ask = Callable[[Rows], dict[str, list[Any]]]
"""A way of asking: raw rows in; typed answers as plain JSON data out, by output name, one per row."""


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
def serving(path: Path, schema: Schema) -> Iterator[Ask]:
    """Start a server for the artefact at `path` on a free port of this machine, in a process of its own without torch; give a way of asking it; stop it.

    Raises: ArtifactError when the server does not come up, with its last words.
    """
    environment = {name: value for name, value in os.environ.items() if name != "THUJA_TOKEN"}  # reachable from this machine only, for seconds
    with tempfile.TemporaryFile() as words, subprocess.Popen(
            [sys.executable, "-m", "thuja.proof.live", str(path)], stdout=subprocess.PIPE, stderr=words, stdin=subprocess.DEVNULL, env=environment) as process:
        try:
            yield Client(_port(process, words), schema).ask
        finally:
            process.send_signal(signal.SIGINT)  # ctrl-C: nobody else is being served, so no notice is given
            try:
                process.wait(STOP_S)
            except subprocess.TimeoutExpired:
                process.kill()


def _port(process: "subprocess.Popen[bytes]", words: IO[bytes]) -> int:
    """The port, which the child writes as its first line once it answers."""
    assert process.stdout is not None
    select.select([process.stdout], [], [], START_S)
    os.set_blocking(process.stdout.fileno(), False)
    line = process.stdout.readline() or b""
    if line.strip().isdigit():
        return int(line)
    process.kill()
    words.seek(0)
    said = words.read().decode(errors="replace").strip().splitlines() or ["nothing"]
    raise ArtifactError("server", expected=f"an answer within {START_S:g} s", found=f"it said: {said[-1]}"[:300], fix="Run `thuja serve` on this artefact.")


def main(path: Path) -> None:
    """The child: serve until it is told to stop, and say the port."""
    from thuja.server.server import serve
    from thuja.server.settings import ServeSettings

    def announce(url: str) -> None:
        sys.stdout.write(f"{url.rpartition(':')[2]}\n")
        sys.stdout.flush()

    serve(path, ServeSettings(port=0), announce)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
