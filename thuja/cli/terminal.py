"""What a person sees: plain lines everywhere, a live line where there is a terminal. Obeys NO_COLOR."""

import os
import sys
from collections.abc import Sequence

import click


def say(text: str = "") -> None:
    """One line on standard output."""
    click.echo(text)


def note(text: str) -> None:
    """One line on standard error: progress and remarks, so that standard output stays clean for pipes."""
    click.echo(text, err=True)


def heading(text: str) -> None:
    """A line that starts a section; bold where colour is allowed."""
    colour = sys.stdout.isatty() and "NO_COLOR" not in os.environ
    click.echo(click.style(text, bold=True) if colour else text)


def table(rows: Sequence[Sequence[str]], header: Sequence[str]) -> None:
    """Columns aligned with spaces; numbers to the right."""
    cells = [list(map(str, header)), *[list(map(str, row)) for row in rows]]
    widths = [max(len(row[i]) for row in cells) for i in range(len(header))]
    right = [all(row[i][:1].isdigit() or row[i][:1] in "-+." for row in cells[1:] if row[i]) for i in range(len(header))]
    for row in cells:
        line = "  ".join(c.rjust(w) if r else c.ljust(w) for c, w, r in zip(row, widths, right, strict=True))
        click.echo(line.rstrip())


class Live:
    """A line that is rewritten in place on a terminal, and printed about every `seconds` elsewhere."""

    def __init__(self, seconds: float = 10.0) -> None:
        self.terminal = sys.stderr.isatty()
        self.seconds = 0.2 if self.terminal else seconds
        self._next = 0.0

    def show(self, text: str, now: float, *, last: bool = False) -> None:
        """Show `text` if it is time; always the last one."""
        if now < self._next and not last:
            return
        self._next = now + self.seconds
        if self.terminal:
            width = os.get_terminal_size(sys.stderr.fileno()).columns - 1
            sys.stderr.write(f"\r{text[:width]:<{width}}" + ("\n" if last else ""))
        else:
            sys.stderr.write(f"{text}\n")
        sys.stderr.flush()


def seconds(value: float) -> str:
    """A duration for people.

    >>> seconds(0.25), seconds(9.0), seconds(75), seconds(7300)
    ('0.25 s', '9.0 s', '1 min 15 s', '2 h 01 min')
    """
    if value < 60:
        return f"{value:.2f} s" if value < 1 else f"{value:.1f} s"
    if value < 3600:
        return f"{int(value // 60)} min {int(value % 60):02d} s"
    return f"{int(value // 3600)} h {int(value % 3600 // 60):02d} min"


def size(count: float) -> str:
    """A number of bytes for people.

    >>> size(900), size(1_234_567)
    ('900 B', '1.2 MB')
    """
    for unit in ("B", "kB", "MB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} GB"
