"""The board as a page of text: 80 columns or more, two columns of facts from 110 on. What colour says is said by a mark and a word as well."""

import textwrap
from collections.abc import Iterable, Sequence
from itertools import zip_longest
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from thuja.life.board import Board
    from thuja.life.story import Happened
    from thuja.life.words import Section

NAMES = 15
"""Columns for the names of facts."""
WIDE, GAP = 110, 3
LEAST = 60
BLOCKS = "▁▂▃▄▅▆▇█"
MARKS = {"good": "●", "look": "◆", "bad": "▲", "plain": "·"}
TONES = {"good": "FINE", "look": "LOOK", "bad": "ACT"}
FEWEST = 4
"""Lines of history that are shown in any case."""


class Line(NamedTuple):
    """Some words, and what colour would say of them."""

    text: str
    tone: str = ""


def page(board: "Board", columns: int = 80, rows: int = 0) -> list[list[Line]]:
    """The page, each line in pieces, of at most `columns` columns. `rows`: how many fit; 0 or less where nobody counts. The history gives way first."""
    from thuja.life.words import sections

    width = max(LEAST, columns)
    top = [*_head(board, width), Line(""), *_losses(board, width)]
    found = sections(board)
    if width >= WIDE:
        half = (width - GAP) // 2
        left, right = ([line for section in some for line in _section(section, half)] for some in _halves(found))
        body = [[Line(a.text.ljust(half + GAP), a.tone), b] for a, b in zip_longest(left, right, fillvalue=Line(""))]
    else:
        body = [[line] for section in found for line in _section(section, width)]
    made = [[line] for line in top] + body
    history = list(_history(board.history, width))
    return made + [[line] for line in (history[: max(FEWEST, rows - len(made))] if rows > 0 else history)]


def told(one: "Happened") -> str:
    """One line of the history."""
    from thuja.life.story import when

    by = "" if one.by == "policy" else f" By {one.by}."
    return clean(f"{when(one.at)}  {MARKS[one.tone]} {one.words}{by}")


def clean(text: str) -> str:
    """Without what a terminal would obey: reasons and names may come from anywhere.

    >>> clean("red\\x1b[31m alert\\n")
    'red\ufffd[31m alert\ufffd'
    """
    return "".join(letter if letter.isprintable() else "\ufffd" for letter in text)


def _head(board: "Board", width: int) -> list[Line]:
    from thuja.life.story import when

    owner = f" · {board.owner} answers for it" if board.owner else ""
    lines = [Line(clean(f"{board.name}, as of {when(board.now)} UTC{owner}")[:width], "bold")]
    lines += [Line(line, board.tone) for line in _wrapped(f"{MARKS[board.tone]} {TONES[board.tone]}  {board.status}", width, 2)]
    return lines + [Line(line, "bad") for trouble in board.trouble for line in _wrapped(f"! {trouble}", width, 2)]


def _losses(board: "Board", width: int) -> list[Line]:
    """The audited loss of the newest windows as a row of blocks, alarms and faults under it."""
    seen = board.windows[-(width - NAMES) :]
    known = [one.loss for one in seen if one.loss is not None]
    if len(known) < 2:
        return []
    most = max(*known, board.vital.floor or 0.0, 1e-9)
    row = "".join(" " if one.loss is None else BLOCKS[min(7, int(8 * one.loss / most))] for one in seen)
    marks = "".join("▲" if one.alarm else "x" if one.fault else " " for one in seen)
    legend = _wrapped(f"{len(seen)} windows, the last on the right; a full block is {most:.3f}", width - NAMES, 0)
    lines = [Line("Loss".ljust(NAMES) + row), *(Line(" " * NAMES + line) for line in legend)]
    if marks.strip():
        lines.insert(1, Line(f"{'▲ alarm x fault':{NAMES}}"[:NAMES] + marks, "bad"))
    return [*lines, Line("")]


def _halves(found: "Sequence[Section]") -> "tuple[Sequence[Section], Sequence[Section]]":
    """The sections in two columns of about equal height."""
    sizes = [len(section.facts) + 2 for section in found]
    place = min(range(len(found) + 1), key=lambda cut: abs(sum(sizes[:cut]) - sum(sizes[cut:])))
    return found[:place], found[place:]


def _section(section: "Section", width: int) -> Iterable[Line]:
    yield Line(section.title, "bold")
    for fact in section.facts:
        first, *rest = _wrapped(fact.words, width - NAMES, 0) or [""]
        name = clean(fact.name)
        yield Line(f"{name if len(name) < NAMES else name[: NAMES - 2] + '…':{NAMES}}{first}")
        yield from (Line(" " * NAMES + line) for line in rest)
    yield Line("")


def _history(history: "Sequence[Happened]", width: int) -> Iterable[Line]:
    if history:
        yield Line("History", "bold")
    yield from (Line(line, one.tone) for one in history for line in _wrapped(told(one), width, 20))


def _wrapped(text: str, width: int, indent: int) -> list[str]:
    return textwrap.wrap(clean(text), width, subsequent_indent=" " * indent, break_on_hyphens=False)
