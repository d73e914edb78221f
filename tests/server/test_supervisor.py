import http.client
import json
import os
import signal
import time
from pathlib import Path

import living
import pytest

from reliability.serving import serving
from thuja.core.clock import wall
from thuja.core.errors import ArtifactError
from thuja.server import server
from thuja.server.settings import ServeSettings
from thuja.server.supervisor import supervise

ANY = ServeSettings(port=0)


def nobody(url: str) -> None:
    raise AssertionError(url)


def test_an_error_of_the_child_is_raised_in_the_parent(tmp_path):
    with pytest.raises(ArtifactError) as error:
        supervise(tmp_path / "nothing", ANY, nobody)
    assert str(error.value) == (f"{tmp_path}/nothing: expected an artefact folder, found nothing there. Name a folder that `thuja export` has written.")


def test_a_child_that_is_killed_before_it_answers_is_not_tried_again(monkeypatch):
    tried = os.pipe()

    def killed(*_: object) -> None:
        os.write(tried[1], b"x")
        os.kill(os.getpid(), signal.SIGKILL)

    monkeypatch.setattr(server, "answer", killed)
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(ArtifactError) as error:
        supervise(Path("model"), ANY, nobody)
    assert str(error.value) == ("model: expected a program that loads and answers, found SIGKILL while it was loaded. "
                                "Run `thuja verify` on it; look into the kernel's log for lack of memory.")
    assert os.read(tried[0], 9) == b"x"
    assert signal.getsignal(signal.SIGTERM) is before


def test_the_code_of_a_child_that_leaves_is_the_parents(monkeypatch):
    monkeypatch.setattr(server, "answer", lambda *_: os._exit(3))
    with pytest.raises(SystemExit) as leaving:
        supervise(Path("model"), ANY, nobody)
    assert leaving.value.code == 3


def test_a_child_leaves_when_its_parent_is_gone(artifacts):
    with serving(artifacts["text"]) as running:
        worker = running.worker
        running.process.kill()
        running.process.wait(20)
        assert gone(worker)


def test_sigterm_ends_both_with_code_0(artifacts):
    with serving(artifacts["text"]) as running:
        worker = running.worker
        assert running.end() == 0
        assert gone(worker)


def test_a_child_that_is_killed_comes_back_with_the_champion_of_the_ledger_and_loses_what_it_had_not_written(tmp_path):
    deployment = living.deployed(tmp_path, clock=wall)
    with serving(deployment.path) as running:
        first, worker = ask(running.port), running.worker
        living.until(lambda: list(deployment.calls.between(0, wall() + 9)))
        os.kill(worker, signal.SIGKILL)
        living.promote(deployment, "2")  # while nobody answers
        second = ask(running.port)
        assert (first["label"], second["label"]) == ("ham", "spam") and running.worker != worker
        os.kill(running.worker, signal.SIGKILL)
        deployment.go_back("a drill")
        assert ask(running.port)["label"] == "ham"
        assert running.end() == 0
    assert {call.version for call in deployment.calls.between(0, wall() + 9)} == {"1"}  # a child that leaves by itself has written all that it kept


def ask(port: int) -> dict[str, str]:
    """What is answered, on another connection where the first is cut."""
    for _ in range(20):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
        try:
            connection.request("POST", "/predict", json.dumps({"message": "a"}), {"Content-Type": "application/json"})
            return dict(json.loads(connection.getresponse().read()))
        except (OSError, http.client.HTTPException):
            time.sleep(0.05)
        finally:
            connection.close()
    raise AssertionError("nobody answers")


def gone(worker: int) -> bool:
    """Whether a process ends within twenty seconds."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        try:
            if Path(f"/proc/{worker}/stat").read_text("ascii").rpartition(")")[2].split()[0] == "Z":
                return True
        except FileNotFoundError:
            return True
        time.sleep(0.05)
    return False
