"""Boxes on the try-it page, in a real browser: drawn over the chosen picture in its own pixels, and told in words. Skipped where there is no browser."""

import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import serve_toys
from browsing import answering, browsing, chromium, page_in
from PIL import Image as Pillow

from thuja.server.app import create_app
from thuja.server.settings import ServeSettings

pytestmark = browsing
FOUND = [{"label": "cat", "box": [10.4, 20, 110, 220], "score": 0.93}, {"label": "<b>dog</b>", "box": [0, 0, 300, 400], "score": 0.41}]


@pytest.fixture
def url(tmp_path: Path) -> Iterator[str]:
    with answering(create_app(serve_toys.write(serve_toys.ToyImage(), tmp_path / "image"), ServeSettings())) as address:
        yield address


@pytest.fixture
def page() -> Iterator[Any]:
    """A page on a phone."""
    with chromium() as browser, page_in(browser) as made:
        yield made


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
