"""The third witness: a real server process over real HTTP."""

import http.client
import importlib.metadata
import os
import re
import signal
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
import toys

from thuja.apps.table.codec import CategoryColumn, NumberColumn, TableCodec
from thuja.artifact import folder
from thuja.artifact.folder import Artifact
from thuja.core.errors import ArtifactError, ParityError
from thuja.fields import Number, Schema
from thuja.proof import certificate as proof
from thuja.proof import live
from thuja.verbs import export

CODEC = TableCodec(target="price", problem="regression", numbers=(NumberColumn(name="size", quantiles=(0.0, 1.0)),),
                   categories=(CategoryColumn(name="shop", names=("north", "south")),))


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A table artefact of the real application: price = 2 x size."""
    folder.write(tmp_path / "a", toys.plain_files(CODEC), kind="table")
    return tmp_path / "a"


def test_verify_asks_the_artefact_and_a_live_server(place: Path) -> None:
    verdict = proof.verify(place)
    assert [(a.way, a.probes, a.answers, a.near_ties) for a in verdict.agreements] == [("artifact", 2, 8, 0), ("server", 2, 2, 0)]
    assert str(verdict.agreements[1]) == "server: 2 probes asked 2 times in different company, largest difference 0.0e+00"
    assert verdict.digest == Artifact.open(place).digest


def test_a_live_server_answers_alone_and_in_company(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "BODY_BYTES", 60)  # so that company is split over requests
    monkeypatch.setenv("THUJA_TOKEN", "x" * 40)  # the operator's token is not for this server
    with live.serving(place, CODEC.schema()) as ask:
        assert ask({"size": [1.0], "shop": ["north"]}) == {"value": [2.0]}
        sizes = [float(i) for i in range(17)]
        assert ask({"size": sizes, "shop": [None] * 17}) == {"value": [2 * s for s in sizes]}
    assert "THUJA_TOKEN" in os.environ


def test_a_row_that_the_server_refuses_is_a_disagreement(place: Path) -> None:
    wider = Schema(inputs={**CODEC.schema().inputs, "extra": Number(missing=True)}, outputs=CODEC.schema().outputs)
    with live.serving(place, wider) as ask, pytest.raises(ParityError) as caught:
        ask({"size": [1.0], "shop": ["north"], "extra": [1.0]})
    assert caught.value.parts()["where"] == "server" and caught.value.found.startswith('status 422: {"type":')


def test_a_server_that_does_not_come_up_says_why(place: Path) -> None:
    (place / "card.md").write_text("edited")
    with pytest.raises(ArtifactError) as caught, live.serving(place, CODEC.schema()):
        pass
    assert caught.value.where == "server" and caught.value.expected == "an answer within 60 s"
    assert "card.md: expected 7 bytes, found 6" in caught.value.found


def test_the_server_process_has_no_torch(place: Path) -> None:
    code = ("import sys\nsys.modules['torch'] = sys.modules['pyarrow'] = sys.modules['onnx'] = sys.modules['rich'] = None\n"
            "from pathlib import Path\nfrom thuja.proof.certificate import verify\n"
            f"print(len(verify(Path({str(place)!r}), server=False).agreements), 'sklearn' in sys.modules, 'matplotlib' in sys.modules)")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "1 False False\n"


def test_requirements_are_what_a_server_loads_and_no_more(place: Path) -> None:
    """Every page and route is asked once; then what was imported is compared with what the artefact asks for."""
    command = [sys.executable, "-X", "importtime", "-m", "thuja.proof.live", str(place)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None and process.stderr is not None
        stderr: list[bytes] = []
        reader = threading.Thread(target=lambda: stderr.extend(process.stderr or []))
        reader.start()
        port = int(process.stdout.readline())
        for path in ("/", "/docs", "/schema", "/openapi.json", "/metrics", "/live", "/ready", "/v2"):
            connection = http.client.HTTPConnection(live.HOST, port, timeout=10)
            connection.request("GET", path)
            assert connection.getresponse().status == 200, path
        form = b'--x\r\nContent-Disposition: form-data; name="size"\r\n\r\n2\r\n--x--\r\n'
        connection = http.client.HTTPConnection(live.HOST, port, timeout=10)
        connection.request("POST", "/predict", form, {"Content-Type": "multipart/form-data; boundary=x"})
        assert connection.getresponse().read() == b'{"value":4.0}'
        process.send_signal(signal.SIGINT)
        reader.join()
    loaded = {line.split(b"|")[-1].strip().split(b".")[0].decode() for line in stderr if line.startswith(b"import time:")}
    modules = {"prometheus-client": "prometheus_client", "python-multipart": "python_multipart", "pillow": "PIL", "scikit-learn": "sklearn",
               "ruamel.yaml": "ruamel"}
    ours = {re.split(r"[<>=;\[ ]", line)[0] for line in importlib.metadata.requires("thuja") or [] if "extra ==" not in line}
    named = {line.partition("==")[0] for line in export.requirements(CODEC).splitlines()}
    assert named == {name for name in ours if modules.get(name, name) in loaded} | {"click"}  # the command line itself


def test_a_forged_artefact_behind_a_server_is_caught(place: Path, tmp_path: Path) -> None:
    forged = toys.rewrite(place, tmp_path / "f", "table", predict_onnx=toys.linear(np.full((1, 1), 2.001)))
    with pytest.raises(ParityError) as caught:
        proof.verify(forged)
    assert str(caught.value) == (
        "artifact: made-up 0, value (asked with 0 others): expected 6 within 0.0001, as training answered, found 6.00299978. "
        "Do not serve this artefact: it decides otherwise than what was trained and evaluated. Export it again.")
