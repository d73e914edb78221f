"""The labelling page in a real browser: with buttons, keys, numbers and boxes, on a phone and without a mouse; labels arrive in the deployment's folder."""

import base64
import contextlib
import io
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import living
import pytest
import serve_toys
from browsing import answering, browsing, chromium, page_in, shot
from PIL import Image as Pillow

from thuja.life.calls import Call
from thuja.life.deployment import Deployment
from thuja.life.plan import Audit, Plan, Record
from thuja.life.queue import SETTLED
from thuja.server.app import create_app
from thuja.server.settings import ServeSettings

pytestmark = browsing
DAY = 86400.0
BEGIN = living.BEGIN // DAY * DAY
FULL = Plan(record=Record(inputs="full"), audit=Audit(per_window=3, uncertain=0.0))
HOSTILE = "<b>win</b> <script>alert(1)</script>"


def asked(deployment: Deployment, inputs: Callable[[int], dict[str, Any]], answer: dict[str, Any]) -> Deployment:
    """A day of kept answers, and a moment at which some of them are asked about."""
    deployment.calls.add([Call(deployment.calls.new_id(BEGIN + n), BEGIN + n, "1", inputs(n), answer, 1.0, 1.0) for n in range(30)])
    deployment.clock.now = BEGIN + DAY + SETTLED + 1  # type: ignore[attr-defined]
    return deployment


def picture() -> str:
    out = io.BytesIO()
    picture = Pillow.new("RGB", (400, 300), (60, 90, 60))
    picture.paste((200, 60, 60), (100, 50, 200, 150))
    picture.save(out, "JPEG")
    return base64.b64encode(out.getvalue()).decode()


@pytest.fixture
def texts(tmp_path: Path) -> Deployment:
    return asked(living.deployed(tmp_path, plan=FULL), lambda n: {"message": f"{HOSTILE} {n}"}, {"label": "ham", "probability": 0.6})


@pytest.fixture
def serve() -> Iterator[Callable[[Deployment], str]]:
    """Serves a deployment; its address."""
    with contextlib.ExitStack() as servers:
        yield lambda deployment: servers.enter_context(answering(create_app(deployment, ServeSettings())))


@pytest.fixture
def page() -> Iterator[Any]:
    """A page on a phone."""
    with chromium() as browser, page_in(browser, "422") as made:
        yield made


def progress(page: Any, words: str) -> None:
    page.locator("#progress", has_text=words).wait_for()


def truths(deployment: Deployment) -> list[Any]:
    return [next(iter(label.truth.values())) for label in deployment.labels.between(0, 2e9)]


def test_classes_by_keys_alone(page: Any, serve: Any, texts: Deployment) -> None:
    page.goto(serve(texts) + "/label")
    waiting = len(texts_queue(texts))
    progress(page, f"{waiting} questions left.")
    assert page.locator("#question dd").inner_text().startswith(HOSTILE) and page.locator("#question b").count() == 0
    assert page.locator("#model pre").is_hidden(), "the model's answer would decide for the person"
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    assert all(button.bounding_box()["height"] >= 44 for button in page.get_by_role("button").all() if button.is_visible())
    shot(page, "label-text")
    page.keyboard.press("2")
    progress(page, f"{waiting - 1} questions left. 1 labelled by you.")
    page.keyboard.press("0")
    progress(page, f"{waiting - 1} questions left. 1 labelled by you.")
    page.get_by_role("button", name="Back").click()
    page.get_by_role("button", name="Back").click()
    assert page.locator("[aria-pressed=true]").inner_text().endswith("spam"), "what was said before"
    asked = page.locator("#question").inner_text()
    page.get_by_role("button", name="ham").click()  # the later label counts
    for _ in range(waiting - 1):
        page.wait_for_function("before => document.getElementById('question').innerText !== before", arg=asked)
        asked = page.locator("#question").inner_text()
        page.keyboard.press("1")
    progress(page, "Nothing waits for a label.")
    assert truths(texts) == ["spam", "ham", *["ham"] * (waiting - 1)]
    assert page.locator(".classes").count() == 0 and page.get_by_role("button", name="Cannot say").is_hidden()


def texts_queue(deployment: Deployment) -> list[Any]:
    from thuja.life.queue import Queue

    return Queue(Deployment.open(deployment.path, deployment.clock)).open()


def test_a_name_is_kept_with_the_labels_and_on_the_device(page: Any, serve: Any, texts: Deployment) -> None:
    url = serve(texts)
    page.goto(url + "/label")
    page.get_by_text("Your name").click()
    page.get_by_label("Kept with your labels").fill("Ada <i>")
    page.get_by_role("button", name="spam").click()
    progress(page, "1 labelled by you.")
    assert texts.labels.between(0, 2e9)[0].by == "Ada <i>" and texts.labels.between(0, 2e9)[0].evenly
    page.goto(url + "/label")
    page.get_by_text("Your name").click()
    assert page.get_by_label("Kept with your labels").input_value() == "Ada <i>"


def test_amounts_are_typed_and_a_row_is_a_table(page: Any, serve: Any, tmp_path: Path) -> None:
    rows = living.deployed(tmp_path, codec=serve_toys.ToyTable(), plan=FULL)
    asked(rows, lambda n: {"amount": None, "count": n, "colour": "red"}, {"value": 2.0})
    page.goto(serve(rows) + "/label")
    page.locator("#question table").wait_for()
    cells = page.locator("#question th, #question td").all_inner_texts()
    assert cells[:3] == ["amount", "unknown", "count"] and cells[4:] == ["colour", "red"]
    page.keyboard.press("Enter")
    page.get_by_text("Type a number.").wait_for()
    page.keyboard.type("12.5")
    shot(page, "label-row")
    page.keyboard.press("Enter")
    progress(page, "1 labelled by you.")
    assert truths(rows) == [12.5] and page.evaluate("document.activeElement.id") == "said"


def test_pictures_are_shown(page: Any, serve: Any, tmp_path: Path) -> None:
    pictures = living.deployed(tmp_path, codec=serve_toys.ToyImage(), plan=FULL)
    asked(pictures, lambda n: {"photo": picture()}, {"label": "ham", "probability": 0.6})
    page.goto(serve(pictures) + "/label")
    image = page.get_by_alt_text("The picture photo that was asked about")
    image.wait_for()
    assert image.evaluate("image => image.decode().then(() => image.naturalWidth)") == 400
    shot(page, "label-picture")


BOXES = {"call": "x-1", "at": "2026-01-01 00:00", "version": "1", "left": 1, "answer": [],
         "inputs": [{"name": "photo", "kind": "image", "value": f"data:image/jpeg;base64,{picture()}", "description": ""}],
         "asked": {"name": "cells", "kind": "boxes", "names": ["red", "white"], "most": 100}}


@pytest.fixture
def drawing(page: Any, serve: Any, texts: Deployment) -> tuple[Any, list[Any]]:
    """The page asking for boxes, and what it sends."""
    sent: list[Any] = []
    page.route("**/label/next*", lambda route: route.fulfill(json=BOXES if not sent else {"left": 0, "why": "Done."}))
    page.route("**/feedback", lambda route: (sent.append(json.loads(route.request.post_data)), route.fulfill(status=202, json={"kept": 1})))
    page.goto(serve(texts) + "/label")
    page.locator("svg.over[viewBox]").wait_for()
    return page, sent


def test_boxes_are_drawn_moved_and_resized_with_a_pointer(drawing: tuple[Any, list[Any]]) -> None:
    page, sent = drawing
    frame = page.locator("svg.over").bounding_box()
    scale = frame["width"] / 400

    def drag(start: tuple[float, float], end: tuple[float, float]) -> None:
        page.mouse.move(frame["x"] + start[0] * scale, frame["y"] + start[1] * scale)
        page.mouse.down()
        page.mouse.move(frame["x"] + end[0] * scale, frame["y"] + end[1] * scale, steps=4)
        page.mouse.up()

    page.locator("svg.over").scroll_into_view_if_needed()
    frame = page.locator("svg.over").bounding_box()
    drag((100, 50), (200, 150))
    drag((300, 200), (301, 201))  # a slip of the finger is no box
    assert page.locator("svg.over g").count() == 1
    page.get_by_role("button", name="white").click()
    drag((250, 200), (300, 250))
    drag((275, 225), (285, 225))  # moves it
    drag((310, 250), (330, 270))  # by its corner
    shot(page, "label-boxes")
    frame = page.locator("svg.over").bounding_box()
    page.get_by_role("button", name="Save").click()
    progress(page, "Done.")
    first, second = sent[0]["truth"]["cells"]
    assert sent[0]["call"] == "x-1" and sent[0]["audit"] and (first["label"], second["label"]) == ("red", "white")
    assert first["box"] == pytest.approx([100, 50, 200, 150], abs=2) and second["box"] == pytest.approx([260, 200, 330, 270], abs=3)


def test_boxes_are_drawn_without_a_mouse(drawing: tuple[Any, list[Any]]) -> None:
    page, sent = drawing
    page.get_by_role("button", name="Add a box").focus()
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.getAttribute('aria-label')") == "red at 133, 100, 267, 200"
    for key in ("ArrowRight", "ArrowUp", "Shift+ArrowLeft", "Shift+ArrowDown", "2"):
        page.keyboard.press(key)
    assert page.evaluate("document.activeElement.getAttribute('aria-label')") == "white at 137, 96, 267, 200"
    page.get_by_role("button", name="Add a box").focus()
    page.keyboard.press("Enter")
    page.keyboard.press("Delete")
    assert page.locator("svg.over g").count() == 1 and page.locator(".people li").count() == 1
    page.keyboard.press("Control+Enter")
    progress(page, "Done.")
    assert sent[0]["truth"]["cells"][0]["label"] == "white"


def test_what_is_refused_is_told_and_can_be_mended(page: Any, serve: Any, texts: Deployment) -> None:
    page.route("**/feedback", lambda route: route.fulfill(status=422, json={"expected": "the name of a class", "found": "7", "fix": "Send text."}))
    page.goto(serve(texts) + "/label")
    page.get_by_role("button", name="spam").click()
    page.get_by_role("alert").get_by_text("Expected the name of a class, found 7. Send text.").wait_for()
    page.unroute("**/feedback")
    page.get_by_role("button", name="spam").click()
    progress(page, "1 labelled by you.")


def test_without_rows_it_says_what_to_set(page: Any, serve: Any, tmp_path: Path) -> None:
    page.goto(serve(living.deployed(tmp_path)) + "/label")
    progress(page, "set record.inputs to full in plan.json")
    shot(page, "label-nothing")
