"""The dashboard as HTML: each section with its charts and its figures, from whatever is known."""

import re

import shops

from thuja.life.board import board
from thuja.life.deployment import Deployment
from thuja.life.plan import Plan
from thuja.server import life_page, page


def html(made, labels=True):
    return page.life(life_page.view(made, labels=labels)).body.decode()


def test_a_life_with_its_figures(tmp_path):
    deployment = shops.begin(tmp_path / "shop")
    shops.live(deployment, 40)
    shown = html(board(deployment, waiting=7))
    assert shown.count("<svg") == 3 and len(shown) < 40_000
    table = re.search(r"<tbody>(.*?)</tbody>", shown, re.DOTALL)[1]
    assert table.count("<tr>") == life_page.ROWS and table.index("2023-12-24") < table.index("2023-12-23"), "the newest first"
    assert 'href="/label">Label 7</a>' in shown and "Label 7" not in html(board(deployment, waiting=7), labels=False)
    assert "Label 0" not in html(board(deployment, waiting=0))


def test_nothing_yet(tmp_path):
    shown = html(board(Deployment.create(tmp_path / "empty", Plan()), now=0.0))
    assert "<svg" not in shown and "Nothing has been deployed yet." in shown and "<table" not in shown


def test_every_tone_has_a_word_and_a_shape_of_its_own():
    assert set(life_page.TONES) <= set(life_page.MARKS) and len(set(life_page.MARKS.values())) == len(life_page.MARKS)
