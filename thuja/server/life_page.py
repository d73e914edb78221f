"""The dashboard: the board as HTML and inline SVG, made on the server. It works without its script, which only shows it anew from time to time."""

from typing import Any, NamedTuple

from markupsafe import Markup

from thuja.life.board import Board, Seen, Tone
from thuja.life.story import when
from thuja.life.words import Fact, loss, sections
from thuja.server import sketch

TONES: dict[Tone, str] = {"good": "Fine", "look": "Look", "bad": "Act"}
MARKS = {"good": "●", "look": "◆", "bad": "▲", "plain": "·"}
"""Beside words: shapes that differ without colour."""
ROWS = 30
"""Windows of a table."""


class Table(NamedTuple):
    """Figures behind a chart, for those who do not see it or want them exactly."""

    header: tuple[str, ...]
    rows: list[tuple[str, ...]]


class Card(NamedTuple):
    """One section with its charts."""

    key: str
    title: str
    charts: list[tuple[str, Markup]]
    """Caption and picture."""
    facts: tuple[Fact, ...]
    table: Table | None = None


def view(board: Board, *, labels: bool) -> dict[str, Any]:
    """What the template shows. `labels`: whether this server takes labels."""
    return {"board": board, "tone": TONES[board.tone], "mark": MARKS[board.tone], "marks": MARKS, "when": when, "loss": loss, "labels": labels,
            "cards": [_card(board, section.key, section.title, section.facts) for section in sections(board)]}


def _card(board: Board, key: str, title: str, facts: tuple[Fact, ...]) -> Card:
    match key:
        case "vital":
            return Card(key, title, _shown(("Loss of each window: 0 is right, 1 is wholly wrong", sketch.losses(board.windows, board.vital))), facts,
                        _table(board.windows))
        case "alarms":
            return Card(key, title, _shown(("The alarm's statistic, each line ten times the one below", sketch.statistic(board.windows, board.alarms))), facts)
        case "ahead":
            return Card(key, title, _shown(("Planning estimate", sketch.ahead(board.ahead))), facts)
        case "challenge":
            assert board.challenge is not None, "it has facts"
            return Card(key, title, _shown(("Share of the requests, and odds", sketch.evidence(board.challenge))), facts)
        case _:
            return Card(key, title, [], facts)


def _shown(*charts: tuple[str, Markup | None]) -> list[tuple[str, Markup]]:
    return [(caption, chart) for caption, chart in charts if chart is not None]


def _table(windows: tuple[Seen, ...]) -> Table | None:
    if not windows:
        return None
    rows: list[tuple[str, ...]] = [
            (when(seen.end), seen.version, f"{seen.requests:,}", f"{seen.labels:,}", loss(seen.loss) if seen.loss is not None else "",
             loss(seen.estimated) if seen.estimated is not None else "", f"{seen.statistic:,.3g}", "alarm" if seen.alarm else "fault" if seen.fault else "")
            for seen in reversed(windows[-ROWS:])]
    return Table(("until", "version", "requests", "labels", "loss", "without labels", "statistic", ""), rows)
