"""The page of galleries in a real browser, on a phone and with the keyboard alone. Skipped where there is no browser."""

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import serve_toys
from browsing import answering, browsing, chromium, page_in, shot
from PIL import Image as Pillow

from thuja.server.app import create_app
from thuja.server.settings import ServeSettings

pytestmark = browsing
TOKEN = "a-token-of-some-length"


@pytest.fixture
def url(tmp_path: Path) -> Iterator[str]:
    settings = ServeSettings(galleries=tmp_path / "kept", max_pictures=3)
    with answering(create_app(serve_toys.write(serve_toys.ToyFace(), tmp_path / "face"), settings, TOKEN)) as address:
        yield address


@pytest.fixture
def page() -> Iterator[Any]:
    """A page on a phone, logged in as a browser is, where every question is answered with yes."""
    with chromium() as browser, page_in(browser, " 4", http_credentials={"username": "x", "password": TOKEN}) as made:
        made.on("dialog", lambda dialog: dialog.accept())
        yield made


def photo(person: int, take: int = 0) -> dict[str, Any]:
    squares = np.random.default_rng(person).integers(0, 256, (4, 4)) + np.random.default_rng((person, take)).integers(-9, 10, (4, 4))
    out = io.BytesIO()
    Pillow.fromarray(squares.clip(0, 255).astype(np.uint8)).resize((120, 120), Pillow.Resampling.NEAREST).save(out, "PNG")
    return {"name": f"{person}-{take}.png", "mimeType": "image/png", "buffer": out.getvalue()}


def says(page: Any, words: str) -> None:
    page.locator("#answer").get_by_text(words).wait_for(timeout=5000)


def enrol(page: Any, name: str, *pictures: dict[str, Any]) -> None:
    page.get_by_label("Name", exact=True).fill(name)
    page.get_by_label("Pictures, up to 3").set_input_files(list(pictures))
    page.get_by_label("This person knows what it is for and has agreed.").check()
    page.get_by_role("button", name="Enrol").click()


def test_enrol_search_and_delete(page: Any, url: str) -> None:
    page.goto(f"{url}/gallery")
    page.get_by_role("button", name="Search").click()
    says(page, "Type the token first.")
    assert page.evaluate("document.activeElement.id") == "token"
    page.keyboard.type(TOKEN)
    page.keyboard.press("Enter")  # the keyboard alone is enough
    page.locator("#people").get_by_text("There is no gallery of this name yet").wait_for()
    enrol(page, "Ann <b>Böll", photo(1), photo(1, 1))
    says(page, "Ann <b>Böll is enrolled with 2 pictures.")
    enrol(page, "Bo", photo(2))
    says(page, "Bo is enrolled with 1 picture.")
    assert [item.split(" (")[0] for item in page.locator("#people li span").all_inner_texts()] == ["Ann <b>Böll", "Bo"]
    page.get_by_label("Picture of one face").set_input_files(photo(1, 5))
    page.get_by_role("button", name="Search").click()
    says(page, "passes the threshold")
    assert page.locator("#answer li").first.inner_text().startswith("Ann <b>Böll, similarity 0.9")
    shot(page, "gallery")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390, "nothing runs off a phone"
    page.get_by_role("button", name="Delete Bo").click()
    says(page, "Bo is deleted.")
    assert page.locator("#people li").count() == 1
    page.get_by_role("button", name="Delete this gallery").click()
    says(page, "The gallery people is deleted.")


def test_what_the_page_refuses_or_tells_of(page: Any, url: str) -> None:
    page.goto(f"{url}/gallery")
    page.get_by_label("Token").fill("something-else-altogether")
    page.get_by_role("button", name="Show").click()
    says(page, "This is not the token of this server.")
    page.get_by_label("Token").fill(TOKEN)
    page.get_by_label("Name", exact=True).fill("Ann")
    page.get_by_label("Pictures, up to 3").set_input_files([photo(1)])
    page.get_by_role("button", name="Enrol").click()
    says(page, "Nobody is enrolled without having agreed.")
    enrol(page, "Ann", photo(1))
    says(page, "Ann is enrolled with 1 picture.")
    enrol(page, "Ann", photo(1, 1))
    says(page, "expected someone who is not enrolled yet, found 'Ann'.")
    enrol(page, "Bo", {"name": "a.png", "mimeType": "image/png", "buffer": b"just words"})
    says(page, "images[0]: expected a picture, found text 'just words'.")


def test_the_answer_to_one_picture_is_shown_as_numbers(page: Any, url: str) -> None:
    page.goto(url)
    assert page.get_by_role("link", name="galleries").get_attribute("href") == "/gallery"
    page.get_by_label("photo").set_input_files(photo(1))
    page.locator("#answer dd.numbers").wait_for()
    assert len(page.locator("#answer dd.numbers").inner_text().split()) == 16
