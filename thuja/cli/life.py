"""`thuja age`: what comes before and after a deployment."""

import math
from pathlib import Path

import click

from thuja.cli.terminal import note, say, seconds, table


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


def span(window: float, *, dated: bool) -> str:
    """A window for people.

    >>> span(864000.0, dated=True), span(5400.0, dated=True), span(140.0, dated=False)
    ('10 days', '1 h 30 min', '140 rows')
    """
    if not dated:
        return f"{window:.0f} rows"
    return seconds(window) if window < 2 * 86400 else f"{window / 86400:.3g} days"
