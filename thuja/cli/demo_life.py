"""`thuja demo life`: three decades of real weather in under a minute. Nothing of it is staged but two plants, a sensor that sticks and a model that learned
from wrong units: what is found, and when, is found by the code that runs in production."""

import csv
import io
import math
import time
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from importlib.resources import as_file, files
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from thuja.cli.replay import date, worth_telling
from thuja.cli.terminal import heading, note, say, seconds, table

if TYPE_CHECKING:
    from thuja.verbs.replay import Asked, Life, Replayed

DAY = 86400.0
YEAR = 365.25 * DAY
ENDS = "1998-09-19"
"""The rows are 18,159 days in order, from 1949 on; days without records were left out, so that the true end is a year later."""
STARTS = "1970-01-01"
STUCK = ("1980-02-01", "1981-02-01")
WRONG = "1990-01-01"
FAHRENHEIT = ("temperature", "dew_point", "warmest", "coldest")
MODEL = {"kind": "tabular", "members": 2, "width": 32, "embedding": 4, "bins": 16, "dropout": 0.0}
PLAN: dict[str, Any] = {
    "harm": {"window": YEAR / 4, "false_alarms_a_year": 0.1, "margin": 0.1},
    "renew": {"cost": 0.5},
    "challenge": {"step": YEAR / 12, "fewest": 120, "most": 2000, "margin": 0.05},
    "alone": ["retrain", "shadow", "canary", "promote", "rollback"],
    "owner": "the demo"}


class Show(NamedTuple):
    """What is shown."""

    starts: str = STARTS
    ends: str = ENDS
    cuts: int = 6
    steps: int = 150


@click.command()
@click.option("--folder", type=click.Path(path_type=Path), default="demo-life", show_default=True, help="Where everything goes.")
def life(folder: Path) -> None:
    """Live through three decades of real weather: alarms, a fault, trainings, challenges, a bad model."""
    began = time.monotonic()
    tell(lived(folder, Show()), folder, time.monotonic() - began)


def lived(folder: Path, show: Show) -> "Replayed":
    """The life itself, told as it goes."""
    from thuja.core.errors import DeploymentError
    from thuja.spec import parse
    from thuja.verbs.replay import Asked, moment, replay

    if folder.exists() and any(folder.iterdir()):
        raise DeploymentError(str(folder), expected="an empty or absent folder", found="files", fix="Name another one with --folder.")
    rows = weather()
    heading(f"1. 18,159 days at a station in Nebraska: will it rain? Two decades train the first model; it lives from {show.starts[:4]} on")
    asked = Asked(start=moment(show.starts), end=moment(ENDS), step=YEAR / 12, delay=7 * DAY, pace=DAY, cuts=show.cuts)
    note(f"   planted: the pressure sensor sticks from {STUCK[0]} to {STUCK[1]}; in {WRONG[:4]} somebody trains on degrees Celsius")
    numbers = [name for name in rows if name != "rain"]
    spec = parse({"task": {"kind": "table", "target": "rain", "problem": "binary", "categories": [], "numbers": numbers, "model": MODEL},
                  "data": {"split": {"kind": "order"}}, "train": {"steps": show.steps, "batch": 256, "threads": 1},
                  "evaluate": {"resamples": 200, "baseline": False}, "life": PLAN})
    heading("2. Train, look how models like it have aged, evaluate, export with a certificate, deploy")
    teller = Teller()
    until = None if show.ends == ENDS else moment(show.ends)
    return replay(spec, folder / "weather", data=stuck(rows, asked), asked=replace(asked, until=until), on_step=teller)


def weather() -> dict[str, list[Any]]:
    """The rows that are shipped, column by column."""
    with as_file(files("thuja") / "demo" / "weather.zip") as path, zipfile.ZipFile(path) as archive:
        found = list(csv.DictReader(io.StringIO(archive.read("weather.csv").decode())))
    return {name: [row[name] if name == "rain" else float(row[name]) for row in found] for name in found[0]}


def stuck(rows: Mapping[str, Sequence[Any]], asked: "Asked") -> dict[str, list[Any]]:
    """The rows with a pressure sensor that shows one value for a year."""
    from thuja.verbs.replay import moment

    made = {name: list(values) for name, values in rows.items()}
    assert asked.end is not None, "the end says which day is which"
    first, last = (len(made["pressure"]) - round((asked.end - moment(day)) / asked.pace) for day in STUCK)
    made["pressure"][first:last] = [made["pressure"][first]] * (last - first)
    return made


def celsius(rows: Mapping[str, Sequence[Any]]) -> dict[str, list[Any]]:
    """The rows with other units, as a script might hand them over."""
    return {name: [round((value - 32) / 1.8, 1) for value in values] if name in FAHRENHEIT else list(values) for name, values in rows.items()}


class Teller:
    """Tells what happens, and plants the bad model when its time has come."""

    def __init__(self) -> None:
        self.began, self.planted = False, ""

    def __call__(self, one: Any, life: "Life") -> None:
        if not self.began:
            heading("3. It lives: a look every quarter, labels a week late")
            self.began = True
        for event in life.news:
            if words := worth_telling(event):
                say(f"   {date(event.at)}  {words}")
        self._plant(one, life)

    def _plant(self, one: Any, life: "Life") -> None:
        from thuja.verbs.replay import moment
        from thuja.verbs.retrain import retrain

        now = one.standings
        if self.planted or now.beside or now.frozen or one.end < moment(WRONG):
            return
        say(f"   {date(one.end)}  (planted: somebody trains on degrees Celsius; its own test rows have the same mistake, so every gate is open)")
        self.planted = retrain(life.deployment, data=celsius(life.history.known(one.end)), by="somebody")


def tell(found: "Replayed", folder: Path, took: float) -> None:
    """What it came to."""
    events = found.events()
    heading("\nIn short")
    looks = [event for event in events if event.kind == "look"]
    table([(f"   {decade}", f"{sum(n for _, n in some):,}", f"{sum(loss * n for loss, n in some) / sum(n for _, n in some):.1%}")
           for decade, some in _by_lustrum(found).items()], ("   years", "days", "wrong"))
    count = {kind: sum(event.kind == kind for event in events) for kind in ("alarm", "frozen", "thawed")}
    stood = found.deployment.standings()
    say(f"  Looks: {len(looks)}. Alarms: {count['alarm']}. Faults that froze learning: {count['frozen']}, over again: {count['thawed']}. "
        f"Trainings that the policy wished for: {found.trainings}.")
    for name, version in stood.versions.items():
        if version.standing != "RETIRING":
            say(f"  Version {name} ended as {version.standing}.")
    say(f"  {found.rows:,} days answered, {found.loss:.1%} of them wrongly. All of it took {seconds(took)}.\n")
    say(f"  The whole story:   thuja timeline {folder / 'weather'}")
    say("  Your own history:  thuja replay SPEC --out FOLDER")


def _by_lustrum(found: "Replayed") -> dict[str, list[tuple[float, int]]]:
    by: dict[str, list[tuple[float, int]]] = {}
    for one in found.lived:
        if one.judged and not math.isnan(one.loss):
            year = 1970 + 5 * int(one.start / YEAR // 5)
            by.setdefault(f"{year} to {year + 4}", []).append((one.loss, one.judged))
    return by

