"""Artefacts, predictors and clients for the server's tests."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import serve_toys
from starlette.testclient import TestClient

from thuja.apps import CODECS
from thuja.artifact.runtime import Predictor
from thuja.server.app import create_app, opened
from thuja.server.settings import ServeSettings

Start = Callable[..., TestClient]


@pytest.fixture(autouse=True)
def _known_codecs(monkeypatch: pytest.MonkeyPatch) -> None:
    for kind, place in serve_toys.KINDS.items():
        monkeypatch.setitem(CODECS, kind, place)


@pytest.fixture(scope="session")
def artifacts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """One artefact of each kind."""
    root = tmp_path_factory.mktemp("artefacts")
    codecs = {"text": serve_toys.ToyText(), "image": serve_toys.ToyImage(), "table": serve_toys.ToyTable(),
              "parrot": serve_toys.ToyParrot(), "simple": serve_toys.ToyParrot(simple=True),
              "face": serve_toys.ToyFace(), "painter": serve_toys.ToyPainter()}
    return {name: serve_toys.write(codec, root / name) for name, codec in codecs.items()}


@pytest.fixture
def predictor(artifacts: dict[str, Path]) -> Predictor:
    """Of the text artefact."""
    return opened(artifacts["text"])


@pytest.fixture
def start(artifacts: dict[str, Path]) -> Iterator[Start]:
    """Start a server in this process: `start("text", token=None, **settings)` gives its client."""
    clients: list[TestClient] = []

    def begin(source: object = "text", token: str | None = None, gallery_key: bytes | None = None, **settings: object) -> TestClient:
        place = artifacts[source] if isinstance(source, str) else source
        app = create_app(place, ServeSettings.model_validate(settings), token, gallery_key)  # type: ignore[arg-type]
        client = TestClient(app, base_url="http://127.0.0.1")
        client.__enter__()
        clients.append(client)
        return client

    yield begin
    for client in clients:
        client.__exit__(None, None, None)
