"""The try-it page in a real browser: Debian's chromium, headless. Skipped where there is none."""

import contextlib
import io
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import serve_toys
from browsing import answering, browsing, chromium, page_in, shot
from PIL import Image as Pillow

from thuja.server.app import create_app
from thuja.server.settings import ServeSettings

"""A folder for screenshots, for people who want to look."""
pytestmark = browsing


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as running:
        yield running


@pytest.fixture
def urls(artifacts: dict[str, Path], tmp_path: Path) -> Iterator[dict[str, str]]:
    """Addresses of a server for each artefact; the text one has examples."""
    text = serve_toys.write(serve_toys.ToyText(), tmp_path / "text", certificate={"rows": {"message": ["", "zebra <b>zoo</b>", "abc"]}})
    with contextlib.ExitStack() as servers:
        yield {name: servers.enter_context(answering(create_app(path, ServeSettings()))) for name, path in {**artifacts, "text": text}.items()}


@pytest.fixture
def page(browser: Any) -> Iterator[Any]:
    """A page on a phone in light mode."""
    with page_in(browser, "40[0-9]|422") as made:
        yield made


def answered(page: Any) -> str:
    page.locator("#answer").get_by_text(re.compile(r"answered in \d+ ms")).wait_for()
    text: str = page.locator("#answer").inner_text()
    return text


def picture(level: int) -> dict[str, Any]:
    out = io.BytesIO()
    Pillow.new("RGB", (320, 200), (level, level, level)).save(out, "JPEG")
    return {"name": "photo.jpg", "mimeType": "image/jpeg", "buffer": out.getvalue()}


def test_a_text_is_typed_and_answered_without_a_mouse(page, urls):
    page.goto(urls["text"])
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.name") == "message"
    page.keyboard.type("www vvv")
    page.keyboard.press("Control+Enter")
    assert answered(page).splitlines()[:4] == ["label", "spam", "probability", "66.9 %"]
    assert [bar.get_attribute("width") for bar in page.locator("rect").all()] == ["66.92%", "33.08%"]
    assert page.locator("#answer").get_attribute("aria-live") == "polite"
    shot(page, "text")


def test_examples_come_from_the_artefact_and_are_text_not_html(page, urls):
    page.goto(urls["text"])
    page.get_by_role("button", name="Example").click()
    answered(page)
    assert page.get_by_label("message").input_value() == "zebra <b>zoo</b>"


def test_a_picture_is_chosen_previewed_and_answered(page, urls):
    page.goto(urls["image"])
    page.get_by_label("photo").set_input_files(picture(250))
    assert answered(page).splitlines()[1] == "spam"
    assert page.locator(".drop img").evaluate("image => image.naturalWidth") == 320
    page.get_by_label("photo").set_input_files(picture(5))
    page.locator("#answer dd", has_text="ham").wait_for()
    shot(page, "image")


def test_a_picture_that_was_made_is_shown_and_says_what_was_asked_for(page, urls):
    page.goto(urls["painter"])
    page.get_by_label("light").fill("100")
    page.keyboard.press("Enter")
    answered(page)
    shown = page.locator("#answer img")
    assert shown.get_attribute("alt") == "The picture made for light 100"
    assert shown.evaluate("image => [image.naturalWidth, image.naturalHeight]") == [5, 3]
    assert shown.evaluate("image => getComputedStyle(image).imageRendering") == "pixelated"
    page.get_by_label("seed").fill("7")
    page.get_by_role("button", name="Ask").click()
    page.locator("#answer img[alt='The picture made for light 100, seed 7']").wait_for()
    shot(page, "made")


def test_a_picture_is_dropped(page, urls):
    page.goto(urls["image"])
    page.evaluate("""data => {
        const transfer = new DataTransfer();
        transfer.items.add(new File([Uint8Array.from(data)], "dropped.jpg", {type: "image/jpeg"}));
        document.querySelector(".drop").dispatchEvent(new DragEvent("drop", {dataTransfer: transfer, bubbles: true, cancelable: true}));
    }""", list(picture(250)["buffer"]))
    assert answered(page).splitlines()[1] == "spam"


def test_a_file_that_is_no_picture_is_refused_at_its_field(page, urls):
    page.goto(urls["image"])
    page.get_by_label("photo").set_input_files({"name": "a.txt", "mimeType": "text/plain", "buffer": b"just words"})
    error = page.locator(".field .error")
    error.wait_for()
    assert error.inner_text() == "Expected a picture, found text 'just words'. Send a whole JPEG, PNG, WebP, BMP, GIF, TIFF or PPM file."
    assert page.get_by_label("photo").get_attribute("aria-invalid") == "true"
    shot(page, "refused")


def test_a_form_is_filled_and_answered(page, urls):
    page.goto(urls["table"])
    page.get_by_role("button", name="Ask").click()
    assert page.locator(".field .error:visible").all_inner_texts() == ["Type a number."]
    assert page.evaluate("document.activeElement.name") == "count"
    page.get_by_label("count").fill("3")
    page.get_by_label("colour").select_option("green")
    page.get_by_role("button", name="Ask").click()
    assert answered(page).splitlines()[:2] == ["value", "8"]
    page.get_by_label("count").fill("1000")
    page.get_by_role("button", name="Ask").click()
    page.get_by_text("Expected at most 100, found 1000. Check the unit.").wait_for()
    shot(page, "table")


def test_the_interface_page_needs_no_script(page, urls):
    page.goto(urls["table"] + "/docs")
    assert page.get_by_role("heading").all_inner_texts() == ["Interface", "Ask", "Fields in", "Fields out", "Errors", "Routes"]
    assert "one of: red, green, blue" in page.inner_text("main")
    shot(page, "docs")


def test_an_answer_that_is_made_step_by_step_is_shown_as_it_grows(page, urls):
    page.goto(urls["simple"])
    page.get_by_label("prompt").fill("a parrot repeats <b>everything</b>")
    page.evaluate("""() => {
        window.seen = [];
        new MutationObserver(() => {
            const growing = document.querySelector(".growing");
            if (growing) window.seen.push([growing.textContent, answer.getAttribute("aria-busy")]);
        }).observe(answer, {childList: true, subtree: true, characterData: true});
    }""")
    page.get_by_role("button", name="Ask").click()
    assert answered(page).splitlines()[:4] == ["text", "a parrot repeats <b>everything</b>", "tokens", "34"]
    seen = page.evaluate("window.seen")
    assert [text for text, _ in seen[1:3]] == ["a", "a "] and {busy for _, busy in seen} == {"true"}
    assert page.locator("#answer").get_attribute("aria-busy") is None
    assert page.get_by_role("button", name="Stop").is_hidden()
    page.get_by_label("max_tokens").fill("101")
    page.get_by_role("button", name="Ask").click()
    page.get_by_text("Expected at most 100, found 101. Check the unit.").wait_for()


def test_a_conversation_without_a_mouse(page, urls):
    page.goto(urls["parrot"])
    assert page.evaluate("document.activeElement.id") == "message"
    page.keyboard.type("Hello")
    page.keyboard.press("Shift+Enter")
    page.keyboard.type("<i>you</i>")
    page.keyboard.press("Enter")
    page.get_by_role("button", name="New conversation").wait_for()
    assert page.locator("#transcript li").all_inner_texts() == ["You\n\nHello\n<i>you</i>", "Model\n\nHello\n<i>you</i>"]
    assert page.get_by_role("status").text_content() == "Hello\n<i>you</i>"
    assert page.evaluate("document.activeElement.id") == "message"
    page.keyboard.type("again")
    page.keyboard.press("Enter")
    page.locator("#transcript li").nth(3).get_by_text("again").wait_for()  # it has heard the whole conversation
    page.get_by_role("button", name="New conversation").wait_for()
    assert page.locator("#transcript li").nth(3).inner_text() == "Model\n\nHello\n<i>you</i>\nHello\n<i>you</i>\nagain"
    shot(page, "chat")
    page.get_by_role("button", name="New conversation").click()
    assert page.locator("#transcript li").count() == 0


def test_a_conversation_that_is_refused_can_be_sent_again(page, urls):
    page.goto(urls["parrot"])
    page.get_by_text("Settings").click()
    page.get_by_label("max tokens").fill("101")
    page.get_by_label("Your message").fill("Hello")
    page.get_by_role("button", name="Send").click()
    page.get_by_role("alert").get_by_text("max_tokens: expected at most 100, found 101. Check the unit.").wait_for()
    assert page.get_by_label("Your message").input_value() == "Hello"
    assert page.locator("#transcript li").count() == 0


def test_a_conversation_is_stopped(page, urls):
    page.goto(urls["parrot"])
    held = []
    page.route("**/v1/chat/completions", lambda route: held.append(route))  # an answer that never comes
    page.get_by_label("Your message").fill("Hello")
    page.keyboard.press("Enter")
    page.get_by_role("button", name="Stop").click()
    page.get_by_role("button", name="New conversation").wait_for()
    assert page.locator("#transcript li").count() == 2
    assert not page.get_by_role("button", name="Send").is_disabled()


@pytest.mark.parametrize("name", ["text", "image", "table", "parrot", "simple"])
def test_the_pages_fit_a_phone_and_name_every_control(page, urls, name):
    for path in ("/", "/docs"):
        page.goto(urls[name] + path)
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
    page.goto(urls[name])
    controls = "[...document.querySelectorAll('input, select, textarea, button')].filter(e => !e.hidden)"
    assert page.evaluate(controls + ".filter(e => !e.labels?.length && !e.textContent.trim()).length") == 0
    assert page.evaluate(controls + ".filter(e => e.getBoundingClientRect().height < 44).length") == 0


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_words_stand_out_from_their_ground(page, urls, scheme):
    page.emulate_media(color_scheme=scheme)
    page.goto(urls["text"])
    root = json.loads(page.evaluate("""() => {
        const style = getComputedStyle(document.documentElement);
        const names = ["ground", "card", "ink", "soft", "accent", "on-accent", "bar", "bad"];
        return JSON.stringify(Object.fromEntries(names.map(n => [n, style.getPropertyValue("--" + n).trim()])));
    }"""))
    pairs = [("ink", "ground"), ("ink", "card"), ("ink", "bar"), ("soft", "ground"), ("soft", "card"), ("accent", "card"), ("on-accent", "accent"),
             ("bad", "card")]
    assert {f"{a} on {b}": _contrast(root[a], root[b]) >= 4.5 for a, b in pairs} == {f"{a} on {b}": True for a, b in pairs}


def _contrast(one: str, other: str) -> float:
    """WCAG 2 contrast ratio of two #rrggbb colours."""
    def light(colour: str) -> float:
        parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        red, green, blue = (p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue

    dark, bright = sorted((light(one), light(other)))
    return (bright + 0.05) / (dark + 0.05)
