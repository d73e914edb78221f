"""The commands of a deployment: `thuja deploy`, `retrain`, `challenge`, `promote`, `rollback`, `retire`; each is one decision, and prints what came of it."""

from pathlib import Path
from typing import Any

import click

from thuja.cli.terminal import note, say
from thuja.core.errors import DeploymentError

by = click.option("--by", metavar="NAME", envvar=["THUJA_BY", "USER"], default="", help="Who decides; your user name when left out.")
waivers = click.option("--waive", "waive", multiple=True, metavar="GATE=WHY", help="Let a shut gate pass, and say why. It is written down.")
folder = click.argument("deployment", type=click.Path(path_type=Path))


def reasons(waive: tuple[str, ...]) -> dict[str, str]:
    """What `--waive` says. Raises: DeploymentError where no reason is given.

    >>> reasons(("ageing=the rows are new",))
    {'ageing': 'the rows are new'}
    """
    pairs = [text.partition("=") for text in waive]
    for text, (gate, _, why) in zip(waive, pairs, strict=True):
        if not gate.strip() or not why.strip():
            raise DeploymentError(f"--waive {text}", expected="GATE=WHY", found=repr(text), fix="For example --waive ageing='the rows are all of this year'.")
    return {gate.strip(): why.strip() for gate, _, why in pairs}


@click.command()
@click.argument("what", type=click.Path(path_type=Path))
@click.argument("to", type=click.Path(path_type=Path))
@click.option("--plan", type=click.Path(path_type=Path), help="YAML file with the plan of a new deployment; the spec's `life` section when left out.")
@click.option("--rows", type=click.Path(path_type=Path), help="A table with what is true of its rows, for an artefact that brings no reference.")
@by
@waivers
def deploy(what: Path, to: Path, plan: Path | None, rows: Path | None, by: str, waive: tuple[str, ...]) -> None:
    """Put the artefact (or run) WHAT into service in the folder TO: the first answers at once, a later one is a candidate."""
    from thuja.verbs.deploy import deploy as verb

    made = verb(what, to, plan=plan, rows=rows, by=by, waive=reasons(waive))
    standings = made.standings()
    version = list(standings.versions.values())[-1]
    if version.facts["faults_only"]:
        note(f"version {version.name} is watched for faults alone: {version.facts['faults_only']}")
    if version.name == standings.champion:
        say(f"Version {version.name} answers in {to}. Next: thuja serve {to}")
    else:
        say(f"Version {version.name} is a candidate in {to}. Next: thuja challenge {to} {version.name}")


@click.command()
@folder
@click.option("--data", help="A folder or file with newer rows; the data of the spec when left out, where rows have been added.")
@click.option("--set", "overrides", multiple=True, metavar="NAME=VALUE", help="Change a value of the champion's spec, such as train.steps=500.")
@click.option("--runs", "root", type=click.Path(path_type=Path), help="Where the run is kept; `runs` in the deployment when left out.")
@click.option("--warm/--scratch", "warm", default=None, help="Go on from the champion's weights, or begin with none; as the plan says when left out.")
@click.option("--traffic", is_flag=True, help="Learn from requests that were kept whole and have labels, too.")
@by
@waivers
def retrain(deployment: Path, data: str | None, overrides: tuple[str, ...], **more: Any) -> None:
    """Train the champion's spec on newer rows; the new version is put beside the champion where the plan lets it."""
    from thuja.verbs.challenge import opened
    from thuja.verbs.retrain import Ways
    from thuja.verbs.retrain import retrain as verb

    ways = Ways(more["warm"], more["traffic"], reasons(more["waive"]))
    there = opened(deployment)
    name = verb(there, data=data, overrides=overrides, root=more["root"], by=more["by"], ways=ways)
    standings = there.standings()
    version = standings.of(name)
    for line in changes(version.facts["changed"]):
        say(line)
    waits = "" if version.standing == "SHADOW" else f" Next: thuja challenge {deployment} {name}"
    say(f"Version {name} is in {version.standing} beside version {standings.champion}.{waits}")


def changes(changed: dict[str, Any]) -> list[str]:
    """What a new version has learned from, and how it compares.

    >>> changes({"rows": {"train": 1050, "test": 300}, "compared": 300, "loss_before": 0.37, "loss_after": 0.323, "unseen": False})[1]
    'Loss on the same 300 newest rows: 0.370 before, 0.323 now (0 is right, 1 wholly wrong); the champion may have learned from some of them.'
    """
    lines = ["Learned from " + ", ".join(f"{rows:,} {part} rows" for part, rows in changed["rows"].items()) + "."]
    if "compared" in changed:
        seen = "" if changed["unseen"] else "; the champion may have learned from some of them"
        lines.append(f"Loss on the same {changed['compared']:,} newest rows: {changed['loss_before']:.3f} before, "
                     f"{changed['loss_after']:.3f} now (0 is right, 1 wholly wrong){seen}.")
    return lines


@click.command()
@folder
@click.argument("version")
@by
@waivers
def challenge(deployment: Path, version: str, by: str, waive: tuple[str, ...]) -> None:
    """Put the candidate VERSION beside the champion: it is asked what the champion is asked, and nobody sees its answers yet."""
    from thuja.verbs.challenge import challenge as verb

    verb(deployment, version, by=by, waive=reasons(waive))
    say(f"Version {version} is in SHADOW. It is compared from now on; thuja promote {deployment} makes it the champion by hand.")


@click.command()
@folder
@by
@waivers
def promote(deployment: Path, by: str, waive: tuple[str, ...]) -> None:
    """Let the challenger answer from now on. Gates that are shut must be waived, each with a reason."""
    from thuja.verbs.challenge import promote as verb

    event = verb(deployment, by=by, waive=reasons(waive))[-1]
    say(f"Version {event.version} answers now. Back again: thuja rollback {deployment} --why ...")


@click.command()
@folder
@click.option("--why", required=True, help="The reason; it is written down.")
@by
def rollback(deployment: Path, why: str, by: str) -> None:
    """End a canary, or put the champion before back in its place."""
    from thuja.verbs.challenge import opened
    from thuja.verbs.challenge import rollback as verb

    there = opened(deployment)
    events = verb(there, why=why, by=by)
    say(f"Version {events[0].version} is now {events[0].body['to']}. Version {there.standings().champion} answers.")


@click.command()
@folder
@click.argument("version", required=False)
@click.option("--end", is_flag=True, help="Retire every version: the end of the deployment.")
@click.option("--why", default="", help="The reason of an end; it is written down.")
@click.option("--days", default=7.0, show_default=True, help="Without an answer, before a version counts as unused.")
@by
@waivers
def retire(deployment: Path, version: str | None, end: bool, why: str, **more: Any) -> None:
    """Let VERSION go for good; it cannot come back. With --end, all of them."""
    from thuja.verbs import challenge as verbs

    if end == (version is not None):
        raise DeploymentError("thuja retire", expected="a version, or --end", found="both" if end else "neither",
                              fix=f"Name one: thuja retire {deployment} 2; or end it: thuja retire {deployment} --end --why ...")
    if version is not None:
        verbs.retire(deployment, version, by=more["by"], days=more["days"], waive=reasons(more["waive"]))
        say(f"Version {version} is retired.")
        return
    for life in verbs.end(deployment, why=why, by=more["by"])[-1].body["lives"]:
        say(lived(life))
    say(f"{deployment} has ended: nobody answers.")


def lived(life: dict[str, Any]) -> str:
    """How long a version answered, against what had been forecast.

    >>> lived({"version": "1", "windows": 12.0, "harmed": True, "forecast": {"quantiles": [3, 10, None]}})
    'Version 1 answered for 12 windows, with an alarm. Forecast when it began: half of such models end within 10, one in ten within 3.'
    """
    quantiles = (life["forecast"] or {}).get("quantiles")
    known = "none" if not quantiles else f"half of such models end within {_windows(quantiles[1])}, one in ten within {_windows(quantiles[0])}"
    alarm = "with an alarm" if life["harmed"] else "without an alarm"
    return f"Version {life['version']} answered for {life['windows']:g} windows, {alarm}. Forecast when it began: {known}."


def _windows(value: float | None) -> str:
    return "no horizon" if value is None else f"{value:g}"
