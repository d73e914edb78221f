"""`thuja age`, `label`, `drill` and `timeline`: what comes before a deployment, what it is told, and what it has been through."""

import json
import math
import textwrap
from pathlib import Path

import click

from thuja.cli.deploy import by, folder
from thuja.cli.terminal import note, say, seconds, table
from thuja.core.errors import ArtifactError, DeploymentError

MOST, WIDTH = 20, 80
"""Wrong lines that are named one by one; columns of a timeline."""


@click.command()
@click.argument("spec", type=click.Path(path_type=Path), default="thuja.yaml")
@click.option("--set", "overrides", multiple=True, metavar="NAME=VALUE", help="Change a value of the spec, such as train.steps=500.")
@click.option("--cuts", type=click.IntRange(3), default=8, show_default=True, help="Past dates at which a model is trained.")
@click.option("--windows", type=click.IntRange(6), default=24, show_default=True, help="Spans of time into which what follows the first date is divided.")
@click.option("--margin", type=click.FloatRange(0, 1, min_open=True), default=0.05, show_default=True,
              help="Loss above that of a fresh model at which one is over.")
@click.option("--cost", type=click.FloatRange(0), default=0.2, show_default=True, help="Of a training, in windows of answers that are all wrong.")
def age(spec: Path, overrides: tuple[str, ...], cuts: int, windows: int, margin: float, cost: float) -> None:
    """Train at past dates, judge each model on what came afterwards, and say how often to train anew. Needs rows with dates, and no traffic.

    SPEC may be the folder of a run: what is found is kept there, for its report, its card and its artefact.
    """
    from thuja.verbs.age import Asked
    from thuja.verbs.age import age as verb

    found = verb(spec, overrides=overrides, asked=Asked(cuts, windows, margin, cost),
                 on_cut=lambda number, cut: note(f"model {number + 1}: loss {cut.losses[0]:.3f} in its first window, {cut.losses[-1]:.3f} in the last"))
    say(f"\nLoss by age, in windows of {span(found.window, dated=found.dated)} (0 is right, 1 wholly wrong):")
    curve = found.curve
    table([(str(place), f"{loss:.3f}", f"{low:.3f} to {high:.3f}", str(models))
           for place, (loss, low, high, models) in enumerate(zip(curve.loss, curve.low, curve.high, curve.cuts, strict=True)) if not math.isnan(loss)],
          ("age", "loss", "90 % interval", "models"))
    ended = sum(life.ended for life in found.lives)
    half = found.survival.quantile(0.5)
    say(f"\n{ended} of {len(found.lives)} models became worse by {margin:g} for good"
        + (f"; half of them within {half:.0f} windows." if math.isfinite(half) else "; most were still good when last seen."))
    every = found.calendar.every
    say(f"Cheapest rhythm: train every {every:.0f} windows." if math.isfinite(every) else "Cheapest rhythm: none. Training anew on a calendar would not pay.")
    if (spec / "spec.yaml").is_file():
        say(f"Kept in {spec}. Next: thuja evaluate {spec}, so that report and card say it, then thuja export {spec}")


@click.command()
@folder
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--by-input", metavar="NAME", default="", help="Find answers by this input, such as order_id; needs requests that are kept whole.")
@by
def label(deployment: Path, file: Path, by_input: str, by: str) -> None:
    """Bring what turned out to be true: a CSV or JSON lines.

    Each line has `call` (the header Thuja-Call of the answer), what was true by the name of the output, of the target or under `truth`, and, if you like, `at`,
    when that became known. Wrong lines are named and left out; the rest is kept.
    """
    from thuja.verbs.label import label as verb

    found = verb(deployment, file, by=by, by_input=by_input)
    for wrong in found.wrong[:MOST]:
        note(f"{file.name}:{wrong.line}: {wrong.reason}")
    if len(found.wrong) > MOST:
        note(f"... and {len(found.wrong) - MOST:,} more wrong lines")
    say(f"{found.kept:,} labels kept; {len(found.wrong):,} lines wrong, {found.unknown:,} about answers that are not kept.")
    half = found.delay.quantile(0.5) if found.delay is not None else math.inf
    say("Fewer than half of the kept answers have a label so far." if math.isinf(half) else f"Half of them had a label within {span(half, dated=True)}.")


@click.command()
@folder
@click.option("--live", is_flag=True, help="In the deployment itself, while it serves, in place of a copy of it.")
@click.option("--hold", default=2.0, show_default=True, help="Seconds for which the copy answers in a live drill.")
@by
def drill(deployment: Path, live: bool, hold: float, by: str) -> None:
    """Rehearse promotion and rollback with a copy of the champion, and compare its answers before and after, to the bit."""
    from thuja.verbs.drill import drill as verb
    from thuja.verbs.timeline import drilled

    found = verb(deployment, live=live, by=by, hold=hold)
    for step in found.steps:
        say(f"  {step}")
    text = drilled(found._asdict())
    if not found.same_bits:
        raise DeploymentError("drill", expected="the same answers before and after", found=text, fix="Do not rely on a rollback: compare the artefacts.")
    say(text[0].upper() + text[1:] + ".")


@click.command()
@folder
@click.option("--version", "version", default="", help="Only what is about this version.")
@click.option("--json", "as_json", is_flag=True, help="Print the events as JSON.")
def timeline(deployment: Path, version: str, as_json: bool) -> None:
    """All that has happened, in plain words, times in UTC, and whether the log is what was written."""
    from thuja.verbs.timeline import timeline as verb

    found = verb(deployment, version)
    if as_json:
        say(json.dumps(found.plain(), indent=1, ensure_ascii=False))
    else:
        for line in found.lines:
            head = f"{line.when} {line.number:>5} "
            say(textwrap.fill(line.words, WIDTH, initial_indent=head, subsequent_indent=" " * len(head), break_on_hyphens=False))
        if found.ending:
            say(f"Beware: {found.ending}.")
        if found.torn:
            say(f"Beware: the last {found.torn:,} bytes of the log are half written or damaged, and left out.")
        if not found.damage:
            say(f"{found.events} events in all; the chain of hashes holds, the last is {found.last[:16]}.")
    if found.damage:
        raise ArtifactError(str(deployment), expected="the log that was written", found=f"damage after event {found.events}",
                            fix=found.damage)


def span(window: float, *, dated: bool) -> str:
    """A window for people.

    >>> span(864000.0, dated=True), span(5400.0, dated=True), span(140.0, dated=False)
    ('10 days', '1 h 30 min', '140 rows')
    """
    if not dated:
        return f"{window:.0f} rows"
    return seconds(window) if window < 2 * 86400 else f"{window / 86400:.3g} days"
