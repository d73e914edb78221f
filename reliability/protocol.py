"""S12 on our own server: the conformance suite on every model name of the three applications, and on servers with a planted deviation."""

import asyncio
import base64
import random
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

import msgspec
import numpy as np

from reliability import applications
from reliability.conformance import over_http, table
from reliability.conformance_model import Ask, Json, Reply
from reliability.inprocess import Client
from reliability.live import served
from reliability.outcome import Control, Harness, Outcome
from thuja.fields import Image
from thuja.server import edge, protocol_v2, tensors
from thuja.server.app import create_app
from thuja.server.settings import ServeSettings


@contextmanager
def asking(path: Path) -> Iterator[Ask]:
    """The server of an artefact in this process."""
    with asyncio.Runner() as runner:
        app = create_app(path, ServeSettings())
        runner.run(app.service.start())
        client = Client(app)

        def ask(method: str, place: str, body: bytes, headers: Mapping[str, str]) -> Reply:
            return Reply(*runner.run(client.ask(method, place, body, headers)))

        try:
            yield ask
        finally:
            runner.run(app.service.stop())


def samples(path: Path) -> dict[str, Json | None]:
    """The names an artefact answers to, with a request where its metadata cannot give one."""
    kind = msgspec.json.decode((path / "codec.json").read_bytes())["kind"]
    field = next(iter(msgspec.json.decode((path / "schema.json").read_bytes())["inputs"]))
    photo = base64.b64encode(Image().fake(np.random.default_rng(0), 1)[0]).decode()
    picture = {"inputs": [{"name": field, "datatype": "BYTES", "shape": [1], "data": [{"b64": photo}]}]}
    return {kind: picture if kind.startswith("image") else None, f"{kind}-tensors": None}


@contextmanager
def forgets_ids() -> Iterator[None]:
    """A deviation: the id is not given back."""
    true = protocol_v2._response

    def response(model: Any, encoded: bool, request: Any, outputs: Any) -> Any:
        return true(model, encoded, msgspec.structs.replace(request, id=""), outputs)

    with patch.object(protocol_v2, "_response", response):
        yield


@contextmanager
def turns_bytes() -> Iterator[None]:
    """A deviation: binary outputs are big-endian."""
    def write(values: Any) -> bytes:
        return values.astype(values.dtype.newbyteorder(">")).tobytes() if isinstance(values, np.ndarray) else tensors_write(values)

    tensors_write = tensors.write_binary
    with patch.object(tensors, "write_binary", write):
        yield


@contextmanager
def takes_any_shape() -> Iterator[None]:
    """A deviation: a shape is not compared with the number of values."""
    def elements(tensor: Any, most: int) -> int:
        return len(msgspec.json.decode(tensor.data)) if tensor.data else 1

    with patch.object(tensors, "_elements", elements):
        yield


PLANTED = {"id": forgets_ids, "binary: out": turns_bytes, "datatype": takes_any_shape}


def run(trials: int, rng: random.Random) -> Outcome:
    """All checks on every model name; with many trials, over a socket as well."""
    places = list(applications.artifacts().values())
    failures, count = [], 0
    for path in places:
        with asking(path) as ask:
            for name, sample in samples(path).items():
                found = table(ask, name, sample)
                count += len(found)
                failures += [f"{name}: {title}: {wrong}" for title, wrong in found if wrong]
    if trials > count:
        for path in places:
            with served(path) as server:
                for name, sample in samples(path).items():
                    found = table(over_http(server.url), name, sample)
                    count += len(found)
                    failures += [f"{name}, over a socket: {title}: {wrong}" for title, wrong in found if wrong]
    caught = 0
    for plant in PLANTED.values():
        with asking(places[0]) as ask, plant(), patch.object(edge.LOG, "disabled", True):
            found = [line for name, sample in samples(places[0]).items() for line in table(ask, name, sample)]
        caught += any(wrong for _, wrong in found)
    control = Control("ids forgotten; big-endian numbers; shapes not compared with data", len(PLANTED), caught)
    return Outcome(count, failures, control, {"checks a model": len(found) // 2})


HARNESSES = (Harness("S12", "the server keeps the Open Inference Protocol, check by check", run, short=1, long=1000),)
