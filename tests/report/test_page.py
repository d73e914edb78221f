import re
from html.parser import HTMLParser

import numpy as np
import pytest
import synthetic

from thuja.report import page
from thuja.report.page import confused, confusion_table

VOID = {"meta", "img", "br", "link", "input", "hr", "use", "path"}


class Page(HTMLParser):
    """Checks nesting and gathers what a reader of the source would look for."""

    def __init__(self, html):
        super().__init__()
        self.open, self.tags, self.attributes, self.text = [], [], [], []
        self.feed(html)
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [(tag, *pair) for pair in attrs]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [(tag, *pair) for pair in attrs]

    def handle_endtag(self, tag):
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)


@pytest.fixture(scope="module", params=["digits", "messages", "prices"])
def made(request):
    material = getattr(synthetic, request.param)()
    return request.param, material, page.render(material)


def test_the_page_is_small_whole_and_asks_nobody_for_anything(made):
    _, _, html = made
    page = Page(html)
    assert len(html.encode()) < 2_000_000
    assert "script" not in page.tags
    assert not {"link", "iframe", "object"} & set(page.tags)
    for tag, name, value in page.attributes:
        if name in ("src", "href", "xlink:href"):
            assert value.startswith(("data:", "#")), (tag, name, value[:60])
    assert not re.search(r"url\((?!#)", html)
    assert "@import" not in html


def test_the_page_is_for_phones_dark_rooms_and_screen_readers(made):
    _, _, html = made
    page = Page(html)
    assert ("meta", "name", "viewport") in page.attributes
    assert "prefers-color-scheme: dark" in html
    drawings = page.tags.count("svg")
    assert drawings
    assert sum(tag == "svg" and name == "aria-label" and bool(value) for tag, name, value in page.attributes) == drawings
    assert sum(tag == "img" and name == "alt" and bool(value) for tag, name, value in page.attributes) == page.tags.count("img")
    ids = [value for _, name, value in page.attributes if name == "id"]
    assert len(ids) == len(set(ids))


def test_no_drawing_fixes_a_colour(made):
    drawings = "".join(re.findall(r"<svg.*?</svg>", made[2], flags=re.S))
    assert not re.findall(r"#[0-9a-f]{6}\b", drawings.replace("xlink:href=\"#", ""))


def test_sections_follow_the_outputs_and_fields(made):
    name, _, html = made
    titles = re.findall(r"<figcaption>(.*?)</figcaption>", html)
    if name == "prices":
        assert titles == ["Learning curve", "Predicted and actual", "Errors"]
        assert "Confusion" not in html
        assert "<dt>area</dt>" in html
    else:
        assert titles == ["Learning curve", "ROC curve", "Precision and recall", "Calibration"]
        assert "Confusion table" in html
    assert ("<img" in html) == (name == "digits")
    assert ("Accuracy by language" in html) == (name == "messages")


def test_words_of_the_data_are_never_markup():
    html = page.render(synthetic.messages())
    assert "<b>Message" not in html
    assert "&lt;b&gt;Message" in html
    assert "equal &lt;train&gt; rows" in html


def test_the_top_says_how_good_how_sure_and_what_to_do():
    html = page.render(synthetic.messages())
    head = html[html.index("<header>") : html.index("</header>")]
    assert "On 900 test rows (300 groups) it had not seen, its accuracy is 96.7 % (95 % interval 95.2 to 97.8 %)." in head
    assert "The classical baseline, logistic regression on word pairs, reaches 88.9 %" in head
    assert "Use the network" in head


def test_findings_waivers_and_unreadable_rows_are_shown():
    html = page.render(synthetic.digits())
    assert "(waived: templates of the same sender)" in html
    assert "photos/7.jpg: expected a whole picture" in html
    assert "/somewhere/private" not in html


def test_confusions_are_counted_and_ordered():
    material = synthetic.digits()
    table = confusion_table(material)
    assert sum(count for _, cells in table for count, _ in cells) == 600
    assert all(sum(share for _, share in cells) == pytest.approx(1) for _, cells in table)
    pairs = confused(material)
    assert [n for *_, n in pairs] == sorted((n for *_, n in pairs), reverse=True)
    assert all(truth != decision for truth, decision, _ in pairs)


def test_many_classes_get_a_list_in_place_of_a_table():
    material = synthetic.digits()
    outputs = material.outputs
    wide = np.concatenate([outputs.arrays["probability"], np.zeros((600, 20), np.float32)], axis=1)
    ours = outputs._replace(arrays={"probability": wide}, names=tuple(f"c{i}" for i in range(30)))
    material = material._replace(answered=material.answered._replace(ours=ours))
    assert confusion_table(material) == []
    html = page.render(material)
    assert "Confusion table" not in html
    assert "Commonest confusions" in html


def test_equal_materials_give_equal_pages():
    assert page.render(synthetic.prices()) == page.render(synthetic.prices())
