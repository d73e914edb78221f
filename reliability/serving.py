"""What the harnesses of a server under load share: small artefacts, a server in a process of its own, perhaps with a planted bug, and a client that floods.

The artefacts are those of the server's tests: real folders whose programs take microseconds. `python -m reliability.serving ARTEFACT SETTINGS PLANT...`
serves one; every PLANT, "module:function", is called first, and breaks (or slows) the server.
"""

import asyncio
import contextlib
import importlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests" / "server"))

import serve_toys  # noqa: E402  # lies with the tests

TOKEN = "a-token-for-the-harnesses"
START_S = 60.0
TEXTS = tuple("".join(chr(97 + (7 * i + j * j) % 26) for j in range(1 + i % 40)) for i in range(64))
"""What clients ask about."""


def artifact(folder: Path, shift: float = 0.0) -> Path:
    """A text classifier; `shift` makes it another one, which answers otherwise."""
    made: Path = serve_toys.write(serve_toys.ToyText(), folder, shift)
    return made


def body(text: str) -> bytes:
    """A friendly request."""
    return json.dumps({"message": text}).encode()


class Answer(NamedTuple):
    """What came back, and how long it took."""

    status: int
    headers: dict[str, str]
    body: bytes
    seconds: float


class Wire:
    """One kept-alive connection. Raises ConnectionError (or asyncio.IncompleteReadError) where an answer is cut."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.answered = 0
        """Answers on the present connection."""
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.hang_up()

    def hang_up(self) -> None:
        """Close the connection; the next call opens another."""
        if self._streams is not None:
            self._streams[1].close()
        self._streams, self.answered = None, 0

    async def ask(self, method: str, path: str, data: bytes = b"", headers: str = "") -> Answer:
        """One request and its answer. `headers` are lines, each with its end."""
        if self._streams is None:
            self._streams = await asyncio.open_connection("127.0.0.1", self.port)
        reader, writer = self._streams
        start = time.perf_counter()
        head = f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n{headers}Content-Length: {len(data)}\r\n\r\n"
        writer.write(head.encode() + data)
        try:
            first, *lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
            found = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines if line)}
            content = await reader.readexactly(int(found.get("content-length", 0)))
        except (ConnectionError, asyncio.IncompleteReadError):
            self._streams = None
            raise
        self.answered += 1
        if found.get("connection") == "close":
            self.hang_up()
        return Answer(int(first.split()[1]), found, content, time.perf_counter() - start)

    async def predict(self, text: str) -> Answer:
        """Ask about a text."""
        return await self.ask("POST", "/predict", body(text))


class Server:
    """A process that serves; `plants` are called in it first."""

    def __init__(self, path: Path, *plants: str, token: str | None = None, **settings: Any) -> None:
        environment = {k: v for k, v in os.environ.items() if k != "THUJA_TOKEN"} | {"OMP_NUM_THREADS": "1"} | ({"THUJA_TOKEN": token} if token else {})
        command = [sys.executable, "-m", "reliability.serving", str(path), json.dumps({"port": 0, "notice_s": 0.2, **settings}), *plants]
        self.process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
                                        start_new_session=True)
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line.startswith("http://"), f"the server said {line!r}"
        self.port = int(line.rpartition(":")[2])

    @property
    def worker(self) -> int:
        """The process that answers; 0 while there is none."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text("ascii").split()
        return int(children[-1]) if children else 0

    def end(self, seconds: float = 30.0) -> int:
        """SIGTERM; the exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(seconds)


@contextlib.contextmanager
def serving(path: Path, *plants: str, token: str | None = None, **settings: Any) -> Iterator[Server]:
    """A server for the time of a `with`; whatever is left of it then is killed."""
    server = Server(path, *plants, token=token, **settings)
    try:
        yield server
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(server.process.pid, signal.SIGKILL)
        if server.process.poll() is None:
            if worker := server.worker:
                os.kill(worker, signal.SIGKILL)  # it is the leader of a group of its own
            server.process.kill()
        server.process.communicate()


def quantile_ms(answers: list[Answer], level: float = 0.99) -> float:
    """Of the time that answers took, in milliseconds."""
    return round(1000 * float(np.quantile([answer.seconds for answer in answers], level)), 2)


def main(path: str, settings: str, *plants: str) -> None:
    """The server's process."""
    from thuja.apps import CODECS
    from thuja.server import supervisor
    from thuja.server.settings import ServeSettings

    CODECS.update(serve_toys.KINDS)
    for plant in plants:
        module, _, name = plant.partition(":")
        getattr(importlib.import_module(module), name)()
    supervisor.supervise(Path(path), ServeSettings.model_validate(json.loads(settings)), lambda url: print(url, flush=True))


if __name__ == "__main__":
    main(*sys.argv[1:])
