"""`thuja watch`: one page in the terminal, shown anew each turn, and the dashboard in a browser."""

import math
import os
import shutil
import signal
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from thuja.cli.page import page, told
from thuja.cli.terminal import note, say

if TYPE_CHECKING:
    from thuja.cli.page import Line
    from thuja.verbs.watch import Turn

COLUMNS = 80
"""Of a page that is not shown on a terminal."""
CLEAR = "\x1b[H\x1b[2J"
COLOURS = {"good": "green", "look": "yellow", "bad": "red"}


class Period(click.ParamType[float]):
    """A time such as 30s, 5m or 1h."""

    name = "time"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """In seconds."""
        if isinstance(value, float):
            return value
        text, unit = str(value), {"s": 1.0, "m": 60.0, "h": 3600.0}.get(str(value)[-1:], 0.0)
        try:
            found = float(text[:-1]) * unit if unit else float(text)
        except ValueError:
            found = math.nan
        if not 1 <= found < math.inf:
            self.fail(f"{text!r} is no time of at least a second, such as 30s, 5m or 1h", param, ctx)
        return found


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--once", is_flag=True, help="Do what is due, show the page, and end.")
@click.option("--every", type=Period(), default="60s", show_default=True, help="Time between two turns.")
@click.option("--train", "training", is_flag=True, help="Train when the policy wishes it and the plan allows it, in a process of its own.")
@click.option("--serve", is_flag=True, help="Show the dashboard in a browser as well; no model is loaded.")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address of the dashboard; anything but loopback needs a token.")
@click.option("--port", default=8001, show_default=True, help="Port of the dashboard; 0 takes a free one.")
@click.option("--token-file", type=click.Path(path_type=Path), help="File with the bearer token of the dashboard (or set THUJA_TOKEN).")
def watch(folder: Path, once: bool, every: float, training: bool, serve: bool, **where: Any) -> None:
    """Show how the deployment in FOLDER fares, do what is due, and tell people. Stop with Ctrl-C."""
    from thuja.life.deployment import Deployment
    from thuja.verbs.watch import watch as verb

    deployment = Deployment.open(folder)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # leaves as Ctrl-C does
    with ExitStack() as held:
        address = ""
        if serve:
            from thuja.server.auth import token
            from thuja.server.settings import ServeSettings
            from thuja.server.watching import served

            settings = ServeSettings(**where)
            address = held.enter_context(served(deployment, settings, token(settings, os.environ)))
            note(f"Dashboard: {address}/life")
        screen = Screen(address)
        verb(deployment, screen.show, every=every, once=once, training=training)


class Screen:
    """Where the page is shown: drawn over on a terminal; elsewhere once, and then only what is new."""

    def __init__(self, address: str = "") -> None:
        self.address = address
        self.terminal = sys.stdout.isatty()
        self.colour = self.terminal and "NO_COLOR" not in os.environ
        self._told = -1

    def show(self, turn: "Turn") -> None:
        """One turn."""
        history = turn.board.history
        if self.terminal or self._told < 0:
            columns, rows = shutil.get_terminal_size() if self.terminal else (COLUMNS, 0)
            lines = page(turn.board, columns, rows - 2)
            say((CLEAR if self.terminal else "") + "\n".join(map(self._painted, lines)))
            if self.address:
                say(f"Dashboard: {self.address}/life")
        else:
            for one in reversed([one for one in history if one.number > self._told]):
                say(told(one))
        if turn.trouble:
            note(f"Not done this time: {turn.trouble}")
        self._told = max((one.number for one in history), default=max(self._told, 0))

    def _painted(self, line: "list[Line]") -> str:
        """A line of pieces, each padded to its width; what colours say stands in the words too."""
        if not self.colour:
            return "".join(piece.text for piece in line).rstrip()
        return "".join(click.style(piece.text, fg=COLOURS.get(piece.tone), bold=piece.tone in ("bold", "bad")) for piece in line)
