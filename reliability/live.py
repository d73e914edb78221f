"""`thuja serve` in a process of its own: real sockets, real signals, and its memory as the system counts it."""

import http.client
import os
import select
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

START_S = 60.0


class Server(NamedTuple):
    """One that answers."""

    process: "subprocess.Popen[bytes]"
    port: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def ask(self, method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None) -> tuple[int, bytes]:
        """Status and body of the answer to one request on a connection of its own."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.request(method, path, body, dict(headers or {}))
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def connect(self) -> socket.socket:
        """An open connection."""
        return socket.create_connection(("127.0.0.1", self.port), timeout=60)

    def memory(self, what: str = "VmRSS") -> int:
        """Resident bytes of the process now, or at most so far (VmHWM)."""
        lines = Path(f"/proc/{self.serving()}/status").read_text("ascii").splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(what))

    def serving(self) -> int:
        """The process that answers: the last child, where the first one only watches over it."""
        found = self.process.pid
        while children := Path(f"/proc/{found}/task/{found}/children").read_text("ascii").split():
            found = int(children[-1])
        return found


@contextmanager
def served(path: Path, *, token: str | None = None, command: tuple[str, ...] = ("-m", "thuja", "serve"), **settings: Any) -> Iterator[Server]:
    """A server for the artefact at `path` on a free port; `command` is what Python runs. It is killed at the end."""
    environment = {k: v for k, v in os.environ.items() if k != "THUJA_TOKEN"} | {"OMP_NUM_THREADS": "1"} | ({"THUJA_TOKEN": token} if token else {})
    options = [word for name, value in settings.items() for word in ("--set", f"{name}={value}")]
    process = subprocess.Popen([sys.executable, *command, str(path), "--port", "0", *options], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                               stdin=subprocess.DEVNULL, env=environment, start_new_session=True)
    try:
        yield Server(process, _port(process))
    finally:
        os.killpg(process.pid, 9)
        process.wait()


def _port(process: "subprocess.Popen[bytes]") -> int:
    assert process.stdout is not None
    said = b""
    while b"127.0.0.1:" not in said or not said.endswith(b"\n"):
        ready, _, _ = select.select([process.stdout], [], [], START_S)
        part = os.read(process.stdout.fileno(), 4096) if ready else b""
        assert part, f"the server said {said!r} and no address"
        said += part
    digits = said.partition(b"127.0.0.1:")[2]
    return int(digits[: len(digits) - len(digits.lstrip(b"0123456789"))])
