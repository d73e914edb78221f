"""`thuja replay`: a history is lived through as if it had been deployed at its beginning."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from thuja.cli.terminal import note, say, table
from thuja.core.errors import SpecError

if TYPE_CHECKING:
    from thuja.verbs.replay import Life, Replayed

UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 7 * 86400.0}


def duration(text: str) -> float:
    """A span of time in seconds. Raises: SpecError.

    >>> duration("90"), duration("6h"), duration("7d")
    (90.0, 21600.0, 604800.0)
    """
    number, unit = (text[:-1], UNITS[text[-1]]) if text[-1:] in UNITS else (text, 1.0)
    try:
        found = float(number) * unit
    except ValueError as error:
        raise SpecError("a span of time", expected="a number with s, m, h, d or w", found=repr(text)[:40], fix="Write 90s, 6h, 7d or 2w.") from error
    if not 0 <= found < float("inf"):
        raise SpecError("a span of time", expected="nothing or more", found=repr(text)[:40], fix="Write 90s, 6h, 7d or 2w.")
    return found


@click.command()
@click.argument("spec", type=click.Path(path_type=Path), default="thuja.yaml")
@click.option("--set", "overrides", multiple=True, metavar="NAME=VALUE", help="Change a value of the spec, such as life.renew.cost=1.")
@click.option("--out", type=click.Path(path_type=Path), default="replayed", show_default=True, help="The deployment that it leaves.")
@click.option("--from", "start", metavar="DATE", help="Rows before it train the first model; the first three tenths when left out.")
@click.option("--to", "end", metavar="DATE", help="Where it stops; the last row when left out.")
@click.option("--step", metavar="TIME", help="Between two ticks, such as 1d; a window of the plan when left out.")
@click.option("--delay", metavar="TIME", default="0s", show_default=True, help="Until what is true of a row becomes known.")
@click.option("--labelled", type=click.FloatRange(0, 1), default=1.0, show_default=True, help="Share of the rows of which it ever does.")
@click.option("--pace", metavar="TIME", default="1d", show_default=True, help="From row to row, where rows have only an order.")
@click.option("--cuts", type=click.IntRange(0), default=6, show_default=True, help="Past dates at which the ageing test trains first; 0 leaves it out.")
@click.option("--against", is_flag=True, help="Compare with never, always, and the best rhythm with hindsight: trains 12 models more.")
def replay(  # noqa: PLR0913 - a parameter an option
        spec: Path, overrides: tuple[str, ...], out: Path, start: str | None, end: str | None, step: str | None, delay: str, labelled: float, pace: str,
        cuts: int, against: bool) -> None:
    """Live through a history: answers, late labels, alarms, trainings, challenges, with the code of production. Needs rows with dates, or in their order."""
    from thuja import spec as specs
    from thuja.verbs.replay import Asked, live_through, moment, opened

    if cuts in (1, 2):
        raise SpecError("--cuts", expected="0, or at least 3", found=str(cuts), fix="Three models are the fewest that say how others age.")
    asked = Asked(start=moment(start) if start else None, until=moment(end) if end else None, step=duration(step) if step else None, delay=duration(delay),
                  labelled=labelled, pace=duration(pace), cuts=cuts)
    read = specs.read(spec, overrides)
    history = opened(read, spec if spec.is_dir() else spec.parent, None, asked)
    found = live_through(read, history, out, asked, tell)
    said(found, out)
    if against:
        compared(found, read, history)


def tell(one: Any, life: "Life") -> None:
    """A line for every step in which something was worth telling."""
    for event in life.news:
        if words := worth_telling(event):
            say(f"{date(event.at)}  {words}")


def worth_telling(event: Any) -> str:
    """The words of an event that people want to hear of; empty for the others."""
    from thuja.verbs.timeline import words

    body = event.body
    match event.kind:
        case "moved" if body["to"] == "CANARY" and event.by != "policy":
            return ""  # the first version, whom nobody was before
        case "version" | "alarm" | "frozen" | "thawed":
            return words(event)
        case "training" if body["outcome"] == "failed":
            return f"a training came to nothing: {body['words']}"
        case "moved" if body["to"] in ("CANARY", "CHAMPION", "ROLLED_BACK") or (body["from"], body["to"]) == ("SHADOW", "CANDIDATE"):
            return words(event)
        case _:
            return ""


def said(found: "Replayed", out: Path) -> None:
    """What it came to."""
    events = found.events()
    count = {kind: sum(event.kind == kind for event in events) for kind in ("look", "alarm", "frozen")}
    standings = found.deployment.standings()
    say(f"\n{found.rows:,} rows answered, mean loss {found.loss:.4f} (0 is right, 1 wholly wrong). Looks {count['look']}, alarms {count['alarm']}, "
        f"frozen {count['frozen']} times, trained anew {found.trainings} times; version {standings.champion or 'none'} answers.")
    say(f"Look at it: thuja timeline {out}, thuja watch {out}")


def compared(found: "Replayed", spec: Any, history: Any) -> None:
    """As lived, beside other rhythms."""
    from thuja.verbs.against import against

    rivals = against(found, spec, history, on_date=lambda number: note(f"model {number + 1}"))
    say()
    table([(one.name, f"{one.loss:.4f}", str(one.trainings), f"{one.cost:.2f}") for one in rivals], ("trained", "loss", "trainings", "cost"))


def date(at: float) -> str:
    """The day of a time."""
    from thuja.verbs.replay import written

    return written(at)[:10]
