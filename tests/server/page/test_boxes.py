"""Boxes on the try-it page, in a real browser: drawn over the chosen picture in its own pixels, and told in words. Skipped where there is no browser."""

import io
import json
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import serve_toys
import uvicorn
from PIL import Image as Pillow

from thuja.server.app import create_app
from thuja.server.listening import listener
from thuja.server.settings import ServeSettings

BROWSER = next((found for name in ("chromium-headless-shell", "chromium", "google-chrome") if (found := shutil.which(name))), None)
pytestmark = pytest.mark.skipif(BROWSER is None, reason="no chromium here: apt-get install chromium-headless-shell")
FOUND = [{"label": "cat", "box": [10.4, 20, 110, 220], "score": 0.93}, {"label": "<b>dog</b>", "box": [0, 0, 300, 400], "score": 0.41}]


@pytest.fixture
def url(tmp_path: Path) -> Iterator[str]:
    listening = listener("127.0.0.1", 0)
    server = uvicorn.Server(uvicorn.Config(create_app(serve_toys.write(serve_toys.ToyImage(), tmp_path / "image"), ServeSettings()), log_config=None, ws="none",
                                           lifespan="on"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    server.should_exit = True
    thread.join(10)


@pytest.fixture
def page() -> Iterator[Any]:
    """A page that fails the test on any script error or message of the console."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=BROWSER, args=["--no-sandbox"])
        made = running.new_page(viewport={"width": 390, "height": 844})
        wrong: list[str] = []
        made.on("pageerror", lambda error: wrong.append(str(error)))
        made.on("console", lambda message: wrong.append(message.text) if message.type in ("error", "warning") else None)
        yield made
        running.close()
    assert wrong == []


def sideways() -> dict[str, Any]:
    """A file of 400 x 300 pixels that is seen as 300 x 400."""
    exif, out = Pillow.Exif(), io.BytesIO()
    exif[0x0112] = 6
    Pillow.new("RGB", (400, 300), (90, 120, 60)).save(out, "JPEG", exif=exif)
    return {"name": "a.jpg", "mimeType": "image/jpeg", "buffer": out.getvalue()}


def test_boxes_lie_over_the_upright_picture(page: Any, url: str) -> None:
    page.route("**/predict", lambda route: route.fulfill(content_type="application/json", body=json.dumps({"boxes": FOUND})))
    page.goto(url)
    page.get_by_label("photo").set_input_files(sideways())
    page.locator("#answer svg.boxes rect").first.wait_for()
    drawing = page.locator("#answer svg.boxes")
    assert (drawing.get_attribute("viewBox"), drawing.get_attribute("aria-label")) == ("0 0 300 400", "2 found")
    corners = page.locator("#answer svg.boxes rect").evaluate_all("all => all.map((r) => ['x', 'y', 'width', 'height'].map((n) => Number(r.getAttribute(n))))")
    assert corners == [[0, 0, 300, 400], [10.4, 20, 99.6, 200]]  # the surest on top
    assert page.locator("#answer .found li").all_inner_texts() == ["cat 93.0 % at 10, 20, 110, 220", "<b>dog</b> 41.0 % at 0, 0, 300, 400"]
    assert page.locator("#answer b").count() == 0


def test_nothing_found_is_said(page: Any, url: str) -> None:
    page.route("**/predict", lambda route: route.fulfill(content_type="application/json", body=json.dumps({"boxes": []})))
    page.goto(url)
    page.get_by_label("photo").set_input_files(sideways())
    page.locator("#answer dd", has_text="none").wait_for()
