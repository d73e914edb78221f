"""The page of text: it fits, says with words what colours say, and lets nothing through that a terminal would obey."""

import pytest
import shops
from shops import begin, live

from thuja.cli.page import page
from thuja.life.board import board
from thuja.life.plan import Plan


def text(made, columns=80, rows=0):
    return ["".join(piece.text for piece in line).rstrip() for line in page(made, columns, rows)]


@pytest.fixture
def made(tmp_path):
    deployment = begin(tmp_path / "shop", Plan(owner="Ada Böll"))
    live(deployment, 8)
    live(deployment, 6, shift=60.0)
    live(deployment, 1, count=60, stuck=True)
    return board(deployment, waiting=4)


@pytest.mark.parametrize("columns", [60, 80, 120, 200])
def test_it_fits_and_everything_is_there(made, columns):
    lines = text(made, columns)
    whole = "\n".join(lines)
    assert max(map(len, lines)) <= columns
    assert lines[0].startswith("shop, as of 2023-11-29 00:00 UTC · Ada Böll answers for it"[:columns])
    assert lines[1].startswith("▲ ACT  Something is broken: size")
    for word in ("Vital signs", "Alarms", "What is left", "Labels", "Calendar", "History", "4 questions wait", "A planning"):
        assert word in whole


def test_wide_pages_have_two_columns(made):
    assert len(text(made, 120)) < len(text(made, 80))
    assert any(line.startswith("Vital signs ") and line.split("  ")[-1] for line in text(made, 120))


def test_losses_are_a_row_of_blocks_with_marks_under_it(made):
    lines = text(made)
    row = next(line for line in lines if line.startswith("Loss "))
    marks = lines[lines.index(row) + 1]
    assert len(row) <= 15 + 15 and "█" in row and marks.startswith("▲ alarm x fault"[:15]) and marks[15:].count("x") == 1 and "▲" in marks[15:]
    place = marks.index("▲", 15)
    assert made.windows[place - 15].alarm


def test_the_history_gives_way_to_what_fits(made):
    whole = text(made)
    assert len(text(made, rows=len(whole) - 3)) == len(whole) - 3
    assert "History" in text(made, rows=10)[-4]


def test_nothing_that_a_terminal_would_obey_gets_through(tmp_path):
    deployment = begin(tmp_path / "shop", Plan(owner="\x1b[31mred"))
    shops.say(deployment, "drill", by="\x1b]0;mine\x07", words="bell \x07 and \x1b[2J clear")
    lines = text(board(deployment))
    assert not any(character < " " or character == "\x7f" for line in lines for character in line)
    assert any("Drill: bell" in line for line in lines)
