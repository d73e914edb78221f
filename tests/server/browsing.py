"""A real browser for tests of pages: a server in a thread, a page that fails the test on whatever goes wrong in it, screenshots for people (THUJA_SHOTS)."""

import contextlib
import os
import re
import shutil
import threading
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
import uvicorn

from thuja.server.listening import listener

BROWSER = next((found for name in ("chromium-headless-shell", "chromium", "google-chrome") if (found := shutil.which(name))), None)
SHOTS = os.environ.get("THUJA_SHOTS")
browsing = pytest.mark.skipif(BROWSER is None, reason="no chromium here: apt-get install chromium-headless-shell")
OWN = ("http://127.0.0.1", "blob:http://127.0.0.1", "data:")
"""Where a page may ask for anything."""


@contextlib.contextmanager
def answering(app: Any) -> Iterator[str]:
    """The address of an application that is served in a thread."""
    listening = listener("127.0.0.1", 0)
    server = uvicorn.Server(uvicorn.Config(app, log_config=None, ws="none", lifespan="on"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(10)


@contextlib.contextmanager
def chromium(arguments: Sequence[str] = ()) -> Iterator[Any]:
    """A browser."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=BROWSER, args=["--no-sandbox", *arguments])
        yield running
        running.close()


@contextlib.contextmanager
def page_in(browser: Any, refused: str = "", **how: Any) -> Iterator[Any]:
    """A page, on a phone unless `how` (Playwright's options of a context) says otherwise. Fails on a script error, an error or warning in the console, and
    a request to anybody else. `refused`: statuses of requests, as a regular expression, of which the console may complain."""
    context = browser.new_context(**{"viewport": {"width": 390, "height": 844}, "color_scheme": "light"} | how)
    made, wrong = context.new_page(), watched(context, refused)
    yield made
    context.close()
    assert wrong == []


def watched(context: Any, refused: str = "") -> list[str]:
    """What goes wrong in the pages of a context from now on."""
    wrong: list[str] = []
    allowed = re.compile(refused) if refused else None

    def said(message: Any) -> None:
        if message.type in ("error", "warning") and not (allowed and allowed.search(message.text)):
            wrong.append(message.text)

    context.on("weberror", lambda error: wrong.append(str(error.error)))
    context.on("console", said)
    context.on("request", lambda request: None if request.url.startswith(OWN) else wrong.append(request.url))
    return wrong


def shot(page: Any, name: str) -> None:
    """Screenshots for people: both widths, light and dark."""
    if SHOTS:
        for width in (390, 1200):
            for scheme in ("light", "dark"):
                page.set_viewport_size({"width": width, "height": 844})
                page.emulate_media(color_scheme=scheme)
                page.screenshot(path=f"{SHOTS}/{name}-{width}-{scheme}.png", full_page=True)
        page.set_viewport_size({"width": 390, "height": 844})
