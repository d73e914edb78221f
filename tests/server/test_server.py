import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import serve_toys

from thuja.core.errors import ThujaError
from thuja.server.listening import address, listener

HERE = Path(__file__).parent
ROW = json.dumps({"message": "zzz"})


class Server:
    """A server in a process of its own."""

    def __init__(self, path: Path, **settings: Any) -> None:
        environment = {**os.environ, "PYTHONPATH": f"{HERE}{os.pathsep}{HERE.parents[1]}", "OMP_NUM_THREADS": "1"}
        environment.pop("THUJA_TOKEN", None)
        command = [sys.executable, str(HERE / "run_server.py"), str(path), json.dumps({"port": 0, "notice_s": 0.2, **settings})]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)
        assert self.process.stdout is not None
        line = self.process.stdout.readline().strip()
        assert line.startswith("http://127.0.0.1:"), self.process.communicate()[1]
        self.port = int(line.rpartition(":")[2])

    def ask(self, method: str = "POST", path: str = "/predict", body: str | None = ROW) -> tuple[int, dict[str, str], dict[str, Any]]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        connection.request(method, path, body)
        answer = connection.getresponse()
        found = answer.status, {k.lower(): v for k, v in answer.getheaders()}, json.loads(answer.read())
        connection.close()
        return found

    def raw(self, data: bytes, seconds: float = 10) -> bytes:
        """Whatever comes back until the server closes the connection."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=seconds) as connection:
            connection.sendall(data)
            out = b""
            while part := connection.recv(65536):
                out += part
            return out

    def end(self, how: int = signal.SIGTERM) -> tuple[int, str, str]:
        self.process.send_signal(how)
        out, errors = self.process.communicate(timeout=20)
        return self.process.returncode, out, errors


@pytest.fixture
def run() -> Iterator[Callable[..., Server]]:
    servers: list[Server] = []

    def begin(path: Path, **settings: Any) -> Server:
        servers.append(Server(path, **settings))
        return servers[-1]

    yield begin
    for server in servers:
        if server.process.poll() is None:
            server.process.kill()
            server.process.communicate()


def test_it_answers_leaves_on_sigterm_with_code_0_and_never_imports_torch(run, artifacts):
    server = run(artifacts["text"])
    status, headers, body = server.ask()
    assert (status, body["label"], len(headers["thuja-model"])) == (200, "ham", 64)
    assert server.end() == (0, "False\n", "")


def test_ctrl_c_leaves_at_once_with_code_0(run, artifacts):
    server = run(artifacts["text"], notice_s=60)
    assert server.end(signal.SIGINT)[0] == 0


def test_a_server_that_leaves_says_so_first_and_loses_no_request(run, artifacts):
    server = run(artifacts["text"], notice_s=1.0)
    found: list[int] = []
    turned_away: list[float] = []

    def client() -> None:
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)
        answered = 0
        while True:
            try:
                connection.request("POST", "/predict", ROW)
                answer = connection.getresponse()
            except (ConnectionRefusedError, ConnectionResetError, BrokenPipeError):
                assert answered == 0, "an open connection was lost"
                turned_away.append(time.monotonic())  # it no longer listens
                return
            answer.read()
            found.append(answer.status)
            answered += 1
            if answer.getheader("connection") == "close":
                connection.close()
                answered = 0

    clients = [threading.Thread(target=client, daemon=True) for _ in range(4)]
    for thread in clients:
        thread.start()
    time.sleep(0.3)
    told = time.monotonic()  # before the signal: the notice cannot have begun earlier, however late this thread is run again
    server.process.send_signal(signal.SIGTERM)
    time.sleep(0.2)
    status, _, body = server.ask("GET", "/ready", None)
    assert (status, body) == (503, {"ready": False, "reason": "the server is shutting down"})
    assert server.ask("GET", "/live", None)[0] == 200
    assert server.ask()[0] == 200
    for thread in clients:
        thread.join(20)
    assert server.process.wait(20) == 0
    assert len(found) > 50
    assert set(found) == {200}
    assert len(turned_away) == 4
    assert min(turned_away) - told >= 1.0


def test_a_request_that_was_begun_is_answered_after_the_server_stopped_listening(run, artifacts):
    server = run(artifacts["text"], notice_s=0)
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as connection:
        connection.sendall(b"POST /predict HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 18\r\n\r\n" + ROW.encode()[:5])
        time.sleep(0.1)
        server.process.send_signal(signal.SIGTERM)
        time.sleep(0.4)
        with pytest.raises(ConnectionRefusedError):
            server.ask()
        connection.sendall(ROW.encode()[5:])
        assert connection.recv(65536).startswith(b"HTTP/1.1 200 OK")
    assert server.process.wait(20) == 0


def test_sighup_swaps_to_what_the_path_leads_to_now_and_keeps_the_old_one_if_that_fails(run, tmp_path):
    old, new = (serve_toys.write(serve_toys.ToyText(), tmp_path / name, shift) for name, shift in (("old", 0.0), ("new", 2.0)))
    link = tmp_path / "current"
    link.symlink_to(old)
    server = run(link)
    before = server.ask()
    _relink(link, tmp_path / "nothing")
    server.process.send_signal(signal.SIGHUP)
    time.sleep(0.3)
    assert server.ask()[2] == before[2]
    _relink(link, new)
    server.process.send_signal(signal.SIGHUP)
    deadline = time.monotonic() + 10
    while server.ask()[1]["thuja-model"] == before[1]["thuja-model"]:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert server.ask()[2]["label"] == "spam"
    errors = server.end()[2]
    assert errors.splitlines()[0] == (f"still serving the old artefact: {link}: expected an artefact folder, found nothing there. "
                                      "Name a folder that `thuja export` has written.")


def _relink(link: Path, target: Path) -> None:
    beside = link.with_name("beside")
    beside.symlink_to(target)
    beside.rename(link)


def test_a_taken_port_is_told_in_four_parts(artifacts):
    with listener("127.0.0.1", 0) as taken:
        port = taken.getsockname()[1]
        environment = {**os.environ, "PYTHONPATH": f"{HERE}{os.pathsep}{HERE.parents[1]}"}
        command = [sys.executable, str(HERE / "run_server.py"), str(artifacts["text"]), json.dumps({"port": port})]
        done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=20, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (f"serve.port: expected a free port, found port {port}, taken by another program. "
                           "Choose another with --port, or --port 0 for any free one.\n")


def test_an_address_of_another_machine_is_told_in_four_parts():
    for host in ("192.0.2.1", "no such host"):
        with pytest.raises(ThujaError) as error:
            listener(host, 0)
        assert str(error.value) == f"serve.host: expected an address of this machine, found {host!r}. Use 127.0.0.1, or 0.0.0.0 for all."


def test_the_address_can_be_typed_into_a_browser():
    with listener("127.0.0.1", 0) as listening:
        port = listening.getsockname()[1]
        assert [address(host, listening) for host in ("127.0.0.1", "0.0.0.0", "::1")] == [
            f"http://127.0.0.1:{port}", f"http://127.0.0.1:{port}", f"http://[::1]:{port}"]


def test_slow_and_endless_headers_end_the_connection(run, artifacts):
    server = run(artifacts["text"], header_s=0.3, max_header_bytes=4096, body_s=0.3, body_bytes_per_s=1000)
    host = b"Host: 127.0.0.1\r\n"
    start = time.monotonic()
    assert server.raw(b"") == b""  # says nothing
    assert server.raw(b"GET /live HTTP/1.1\r\nHost: 127") == b""  # stops in the middle
    twice = server.raw(b"GET /live HTTP/1.1\r\n" + host + b"\r\nGET /live HTTP/1.1\r\nX-Slow: ")  # stops in the second request of a connection
    assert twice.count(b"200 OK") == 1
    assert time.monotonic() - start < 3
    assert server.raw(b"GET /live HTTP/1.1\r\n" + host + b"X-Long: " + b"a" * 100_000).startswith(b"HTTP/1.1 431 ")
    assert server.raw(b"GET /live HTTP/1.1\r\n" + host + b"X-Long: " + b"a" * 5000 + b"\r\n\r\n").startswith(b"HTTP/1.1 431 ")
    assert server.raw(b"GET /live HTTP/1.1\r\n" + host + b"X: a\r\n" * 5000).startswith(b"HTTP/1.1 431 ")
    slow = server.raw(b"POST /predict HTTP/1.1\r\n" + host + b"Content-Length: 100\r\n\r\n{")
    assert slow.startswith(b"HTTP/1.1 408 ")
    assert server.raw(b"not http at all\r\n\r\n").startswith(b"HTTP/1.1 400 ")
    assert server.ask()[0] == 200


def test_a_large_body_is_read_whole_and_one_too_large_is_refused(run, artifacts):
    server = run(artifacts["text"], max_body_bytes=300_000)
    rows = {"rows": [{"message": "a" * 2000}] * 100}
    status, _, body = server.ask(body=json.dumps(rows))
    assert (status, len(body["rows"])) == (200, 100)
    status, _, body = server.ask(body=json.dumps({"rows": rows["rows"] * 2}))
    assert (status, body["detail"][:45]) == (413, "body: expected at most 300000 bytes, found 40")
    chunk = b"1\r\na\r\n"
    answer = server.raw(b"POST /predict HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\n\r\n" + chunk * 300_001)
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert server.ask()[0] == 200


def test_a_client_that_hangs_up_does_no_harm(run, artifacts):
    server = run(artifacts["text"])
    for _ in range(20):
        with socket.create_connection(("127.0.0.1", server.port), timeout=10) as connection:
            connection.sendall(b"POST /predict HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 18\r\n\r\n" + ROW.encode())
    assert server.ask()[0] == 200
    assert server.end()[::2] == (0, "")


def streamed(server: Server, prompt: str) -> tuple[http.client.HTTPConnection, http.client.HTTPResponse]:
    """An answer that is being streamed, one event of it read."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)
    connection.request("POST", "/predict", json.dumps({"prompt": prompt}), {"Accept": "text/event-stream"})
    answer = connection.getresponse()
    assert (answer.status, answer.readline(), answer.readline()) == (200, b'data: {"delta":"x"}\n', b"\n")
    return connection, answer


@pytest.mark.parametrize(("drain_s", "last"), [
    (10, {"answer": {"text": "x" * 80, "tokens": 80}}), (1, "server: expected an answer, found a server that leaves. Ask again.")])
def test_a_server_that_leaves_finishes_its_streams_or_says_that_it_cannot(run, artifacts, drain_s, last):
    server = run(artifacts["parrot"], max_delay_ms=30, drain_s=drain_s)  # 80 steps, each of which waits for company: 2.4 s
    connection, answer = streamed(server, "x" * 80)
    server.process.send_signal(signal.SIGTERM)
    event = json.loads(answer.read().split(b"\n\n")[-2].removeprefix(b"data: "))
    connection.close()
    assert event.get("error", {}).get("detail", event) == last
    assert server.process.wait(10) == 0


def test_a_client_that_hangs_up_stops_the_model(run, artifacts):
    server = run(artifacts["parrot"], max_delay_ms=30)
    connection, answer = streamed(server, "x" * 90)
    answer.close()
    connection.close()
    time.sleep(0.3)

    def rows() -> float:
        with_metrics = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)
        with_metrics.request("GET", "/metrics")
        text = with_metrics.getresponse().read().decode()
        assert "thuja_streams 0.0" in text.splitlines()
        return next(float(line.split()[1]) for line in text.splitlines() if line.startswith("thuja_rows_total"))

    before = rows()
    time.sleep(0.3)
    assert rows() == before < 40
