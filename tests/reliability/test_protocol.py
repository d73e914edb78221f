"""S12 in short, and what its questions take for a deviation."""

import json
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from reliability.conformance import table
from reliability.conformance_checks import CHECKS
from reliability.conformance_model import Deviation, Reply, made_up, nested, outputs, refused, twice, unpacked
from reliability.live import served
from reliability.protocol import HARNESSES, PLANTED, asking, samples

JSON = {"content-type": "application/json"}


def test_our_server_conforms(artifacts: dict[str, Path]) -> None:
    outcome = HARNESSES[0].run(HARNESSES[0].short, random.Random(0))
    assert outcome.passed, (outcome.failures, outcome.control)
    assert outcome.trials >= 6 * 60


@pytest.mark.parametrize("name", PLANTED)
def test_each_deviation_is_caught_by_the_check_that_asks_for_it(artifacts: dict[str, Path], name: str) -> None:
    with asking(artifacts["table"]) as ask, PLANTED[name]():
        wrong = [title for title, found in table(ask, "table-tensors") if found]
    assert any(name in title for title in wrong), wrong


def test_from_the_command_line_over_a_socket(artifacts: dict[str, Path]) -> None:
    with served(artifacts["table"]) as server:
        command = [sys.executable, "-m", "reliability.conformance", server.url, "--model"]
        good = subprocess.run([*command, "table"], capture_output=True, text=True, timeout=60, cwd=Path(__file__).parents[2])
    assert good.returncode == 0, good.stdout + good.stderr
    assert good.stdout.endswith(f"{len(CHECKS)} of {len(CHECKS)} hold\n") and good.stdout.startswith("ok      live\n")


def test_pictures_have_a_sample_with_bytes(artifacts: dict[str, Path]) -> None:
    sample = samples(artifacts["image"])["image-classification"]
    assert sample is not None and set(sample["inputs"][0]["data"][0]) == {"b64"}
    assert samples(artifacts["text"]) == {"text-classification": None, "text-classification-tensors": None}


@pytest.mark.parametrize("reply", [
    Reply(500, JSON, b'{"error": "x"}'), Reply(200, JSON, b'{"error": "x"}'), Reply(400, JSON, b'{"error": ""}'), Reply(400, JSON, b'{"detail": "x"}'),
    Reply(400, JSON, b'{"error": "x", "y": NaN}'), Reply(400, {"content-type": "text/html"}, b'{"error": "x"}'),
])
def test_what_is_no_refusal(reply: Reply) -> None:
    refused(Reply(400, JSON, b'{"error": "x"}'))
    with pytest.raises(Deviation):
        refused(reply)


def test_requests_are_made_from_metadata() -> None:
    tensor = made_up({"name": "x", "datatype": "FP32", "shape": [-1, 3]})
    assert tensor == {"name": "x", "datatype": "FP32", "shape": [1, 3], "data": [0, 0, 0]}
    assert twice({"inputs": [tensor]})["inputs"][0] == tensor | {"shape": [2, 3], "data": [0] * 6}
    assert nested([1, 2, 3, 4], [2, 2]) == [[1, 2], [3, 4]] and nested([1, 2], [2]) == [1, 2]


def test_binary_answers_are_read_back() -> None:
    head: dict[str, Any] = {"outputs": [{"name": "a", "datatype": "BYTES", "shape": [2], "parameters": {"binary_data_size": 11}},
                                        {"name": "b", "datatype": "INT16", "shape": [1], "parameters": {"binary_data_size": 2}}]}
    text = json.dumps(head).encode()
    blob = b"\x02\0\0\0hi\x01\0\0\0x\x01\x02"
    found = outputs(unpacked(Reply(200, {"inference-header-content-length": str(len(text))}, text + blob)))
    assert found == {"a": ("BYTES", [2], ["hi", "x"]), "b": ("INT16", [1], [513])}
    with pytest.raises(Deviation, match="no bytes after"):
        unpacked(Reply(200, {"inference-header-content-length": str(len(text))}, text + blob + b"x"))
    with pytest.raises(Deviation, match="the header"):
        unpacked(Reply(200, {}, text + blob))
