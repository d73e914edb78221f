"""The dashboard in a real browser: on a phone and on a desk, light and dark, without its script, and with hostile words in it. Skipped without a browser."""

import contextlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import shops
from browsing import SHOTS, browsing, chromium, page_in

from thuja.life.challenge import Minute, begun
from thuja.life.deployment import Deployment
from thuja.life.plan import Audit, Plan, Record
from thuja.server.settings import ServeSettings
from thuja.server.watching import served

pytestmark = browsing
HOSTILE = "<img src=x onerror=alert(1)> & " + "long" * 60
CONTRAST = """() => {
    const parse = (text) => (text.match(/[\\d.]+/g) || []).map(Number);
    const light = ([r, g, b]) => [r, g, b].map((v) => (v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
        .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
    const ground = (element) => { for (let e = element; e; e = e.parentElement) {
        const colour = parse(getComputedStyle(e).backgroundColor); if (colour.length === 3 || colour[3] > 0) return colour; } return [255, 255, 255]; };
    const weak = [];
    const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    while (walk.nextNode()) {
        const element = walk.currentNode.parentElement;
        if (!walk.currentNode.textContent.trim() || !element.getClientRects().length || element.closest('[aria-hidden=true], svg .likely')) continue;
        const style = getComputedStyle(element);
        const [a, b] = [light(parse(element.closest('svg') ? style.fill : style.color)), light(ground(element))].sort((x, y) => y - x);
        if ((a + 0.05) / (b + 0.05) < 4.5) weak.push(walk.currentNode.textContent.trim() + ' ' + ((a + 0.05) / (b + 0.05)).toFixed(2));
    }
    return weak;
}"""


def eventful(path: Path) -> Deployment:
    """A life with all that can be shown: an alarm, a fault, a challenge that waits, questions, hostile words."""
    plan = Plan(record=Record(inputs="full"), audit=Audit(per_window=8), owner=HOSTILE, ends="2024-03-31")
    deployment = shops.begin(path / "shop", plan)
    shops.live(deployment, 12, labelled=True)
    shops.live(deployment, 1, count=60, stuck=True)
    shops.live(deployment, 5, labelled=True)
    shops.live(deployment, 12, shift=45.0)
    shops.through(deployment, shops.add(deployment, 2.1), "TRAINED", "CANDIDATE", "SHADOW", "CANARY")
    shops.say(deployment, "share", "2", share=0.1)
    trial = begun(plan.challenge).after_minute(plan.challenge, Minute(100, 0, 10.0), Minute(100, 1, 12.0))
    trial = trial.after_labels(*(shops.np.full(120, loss) for loss in (0.5, 0.48)))
    shops.say(deployment, "comparison", "2", trial=trial.plain(), verdict="promote", words=HOSTILE, until=0.0, labels=0, waits_for_a_person=True)
    shops.say(deployment, "drill", by=HOSTILE, words="rolled back in 0.2 s")
    shops.live(deployment, 1, labelled=False)
    deployment.clock.now += 3600  # type: ignore[attr-defined]
    return deployment


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with served(eventful(tmp_path_factory.mktemp("life")), ServeSettings(port=0), None) as address:
        yield address


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as running:
        yield running


@pytest.fixture
def opened(browser: Any, url: str) -> Iterator[Any]:
    """Opens the dashboard."""
    with contextlib.ExitStack() as pages:

        def begin(width: int = 390, scheme: str = "light", script: bool = True) -> Any:
            page = pages.enter_context(page_in(browser, viewport={"width": width, "height": 844}, color_scheme=scheme, java_script_enabled=script))
            page.goto(url + "/life")
            return page

        yield begin


@pytest.mark.parametrize("width", [390, 1200])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_fits_and_can_be_read(opened: Any, width: int, scheme: str) -> None:
    page = opened(width, scheme)
    if SHOTS:
        page.screenshot(path=f"{SHOTS}/life-{width}-{scheme}.png", full_page=True)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.evaluate(CONTRAST) == []
    sizes = page.locator("svg.sketch text").evaluate_all("all => all.map((t) => t.getBoundingClientRect().height)")
    assert min(sizes) >= 11, "letters in charts are letters on a phone"


def test_everything_is_there(opened: Any) -> None:
    page = opened()
    titles = ["Vital signs", "Alarms", "What is left", "Challenge", "Labels", "Calendar", "Versions", "History"]
    assert [title for title in page.get_by_role("heading", level=2).all_inner_texts() if title != "What has moved"] == titles
    assert page.locator(".status").inner_text().startswith("◆ Look")
    names = [image.get_attribute("aria-label") for image in page.get_by_role("img").all()]
    assert len(names) == 4 and all(len(name) > 40 for name in names)
    assert page.locator("svg path.alarm").count() >= 2 and page.locator("svg rect.fault").count() >= 1
    assert "Planning estimate" in page.locator("section", has_text="What is left").first.inner_text()


def test_the_figures_behind_a_chart_open_with_the_keyboard(opened: Any) -> None:
    page = opened()
    table = page.locator("details table")
    assert table.is_hidden()
    page.locator("summary").focus()
    page.keyboard.press("Enter")
    table.wait_for()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    assert re.match(r"2023-1\d-\d\d 00:00", table.locator("tbody td").first.inner_text())


def test_it_needs_no_script(opened: Any) -> None:
    page = opened(script=False)
    assert page.locator("svg.sketch").count() == 4 and page.get_by_role("heading", level=2).count() >= 8


def test_hostile_words_are_words(opened: Any) -> None:
    page = opened()
    assert page.locator("img").count() == 0 and page.get_by_text("<img src=x onerror=alert(1)>").count() >= 2


def test_it_is_shown_anew_and_what_is_open_stays_open(opened: Any) -> None:
    page = opened()
    page.locator("summary").click()
    page.evaluate("document.activeElement.blur(); document.querySelector('.status').textContent = 'old'")
    page.evaluate("renew()")
    page.locator(".status", has_text="Look").wait_for()
    assert page.locator("details[open]").count() == 1
