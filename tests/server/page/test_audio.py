"""Recordings over HTTP, and the try-it page that makes them, in a real browser with a made-up microphone. Skipped where there is no browser."""

import base64
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import serve_toys
from browsing import answering, browsing, chromium, page_in

from thuja.fields.audio import wav
from thuja.server.app import create_app
from thuja.server.settings import ServeSettings

SECOND = wav(0.3 * np.sin(np.arange(8000) / 9), 8000)


@pytest.fixture
def artefact(tmp_path: Path) -> Path:
    return serve_toys.write(serve_toys.ToyAudio(), tmp_path / "audio", certificate={"rows": {"voice": [base64.b64encode(SECOND).decode()]}})


@pytest.fixture
def url(artefact: Path) -> Iterator[str]:
    with answering(create_app(artefact, ServeSettings())) as address:
        yield address


@pytest.fixture
def page() -> Iterator[Any]:
    """A page with a made-up microphone."""
    arguments = ["--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"]
    with chromium(arguments) as browser, page_in(browser, "422", permissions=["microphone"]) as made:
        yield made


def answered(page: Any) -> float:
    """The value of the answer."""
    page.locator("#answer").get_by_text(re.compile(r"answered in \d+ ms")).wait_for()
    return float(page.locator("#answer dd").inner_text())


def test_a_recording_comes_as_json_as_a_form_and_bare(artefact: Path, start: Any) -> None:
    from thuja.server.app import opened

    client = start(opened(artefact))
    assert client.post("/predict", json={"voice": base64.b64encode(SECOND).decode()}).json() == {"value": 2.0}
    assert client.post("/predict", files={"voice": ("a.wav", SECOND)}).json() == {"value": 2.0}
    for kind in ("audio/wav", "audio/x-wav", "application/octet-stream"):
        assert client.post("/predict", content=SECOND, headers={"content-type": kind}).json() == {"value": 2.0}
    refused = client.post("/predict", content=b"hello", headers={"content-type": "audio/wav"})
    assert (refused.status_code, refused.json()["found"]) == (422, "text 'hello'")
    other = client.post("/predict", content=SECOND, headers={"content-type": "image/png"})
    assert (other.status_code, other.json()["expected"]) == (415, "application/json, multipart/form-data, audio/*")
    assert "audio/*" in client.get("/openapi.json").json()["paths"]["/predict"]["post"]["requestBody"]["content"]
    tensor = {"name": "voice", "shape": [1], "datatype": "BYTES", "data": [base64.b64encode(SECOND).decode()]}
    assert client.post("/v2/models/toy-audio/infer", json={"inputs": [tensor]}).json()["outputs"][0]["data"] == [2.0]


@browsing
def test_the_microphone_is_recorded_with_the_keyboard_alone(page: Any, url: str) -> None:
    page.goto(url)
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "record"
    page.keyboard.press("Enter")
    page.get_by_role("button", name="Stop").wait_for()
    assert page.get_by_role("status").inner_text() == "Recording; it stops after 5 s at the latest."
    page.wait_for_timeout(600)
    page.keyboard.press("Enter")
    assert 0.4 < answered(page) / 2 < 4
    assert page.get_by_role("button", name="Record again").get_attribute("aria-pressed") == "false"
    assert page.locator(".drop audio").is_visible()


@browsing
def test_a_microphone_that_may_not_be_used_is_said(page: Any, url: str) -> None:
    page.add_init_script("navigator.mediaDevices.getUserMedia = () => Promise.reject(new DOMException('Permission denied', 'NotAllowedError'))")
    page.goto(url)
    page.get_by_role("button", name="Record").click()
    error = page.locator(".field .error")
    error.wait_for()
    assert error.inner_text() == "The browser was not allowed to use the microphone. Allow it in the address bar, or choose a file."


@browsing
def test_a_file_is_chosen_and_an_example_played(page: Any, url: str) -> None:
    page.goto(url)
    page.get_by_label("voice").set_input_files({"name": "a.wav", "mimeType": "audio/wav", "buffer": SECOND})
    assert answered(page) == 2.0
    page.get_by_label("voice").set_input_files({"name": "a.txt", "mimeType": "text/plain", "buffer": b"just words"})
    error = page.locator(".field .error")
    error.wait_for()
    assert error.inner_text() == "Expected a recording, found text 'just words'. Send a whole WAV, FLAC, Ogg or MP3 file."
