"""`thuja train`, `thuja evaluate`, `thuja explain`, `thuja runs`."""

import time
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from thuja.cli.terminal import Live, heading, note, say, seconds, table
from thuja.core.errors import ThujaError
from thuja.run import Run

if TYPE_CHECKING:
    from thuja.verbs.train import Progress


def latest(root: Path, run: Path | None) -> Run:
    """The run that was named, or the newest. Raises: ArtifactError when there is none."""
    if run is not None:
        return Run.open(run)
    runs = Run.all(root)
    return runs[-1] if runs else Run.open(root / "0001")


@click.command()
@click.argument("spec", type=click.Path(path_type=Path), default="thuja.yaml")
@click.option("--set", "overrides", multiple=True, metavar="NAME=VALUE", help="Change a value of the spec, such as train.steps=500.")
@click.option("--runs", "root", type=click.Path(path_type=Path), default="runs", show_default=True, help="Where runs are kept.")
@click.option("--resume", type=click.Path(path_type=Path), help="Continue this run, to the same bits as if it had never stopped.")
def train(spec: Path, overrides: tuple[str, ...], root: Path, resume: Path | None) -> None:
    """Train what SPEC says; checks the data first."""
    from thuja.verbs.train import train as verb

    live = Live()

    def show(progress: "Progress") -> None:
        if progress.note:
            note(progress.note)
        live.show(line(progress), time.monotonic(), last=progress.step == progress.steps)

    run = verb(spec if resume is None else None, overrides=overrides, root=root, resume=resume, progress=show)
    say(f"Trained: {run.path}. Next: thuja evaluate {run.path}")


def line(progress: "Progress") -> str:
    """One line of progress.

    `step 120/500  loss 0.231  accuracy 0.934  8123 rows/s  12 s left`
    """
    losses = "  ".join(f"{name} {value:.3f}" for name, value in list(progress.losses.items())[:3])
    metric = f"  {progress.metric} {progress.value:.4f}" if progress.value is not None else ""
    return f"step {progress.step}/{progress.steps}  {losses}{metric}  {progress.rows_per_s:.0f} rows/s  {seconds(progress.seconds_left)} left"


@click.command()
@click.argument("run", type=click.Path(path_type=Path), required=False)
@click.option("--runs", "root", type=click.Path(path_type=Path), default="runs", help="Where runs are kept; the newest is taken.")
def evaluate(run: Path | None, root: Path) -> None:
    """Score a run on its test rows, once: metrics with intervals, a baseline beside them, report.html."""
    from thuja.verbs.evaluate import evaluate as verb

    opened = latest(root, run)
    _tell_torn(opened, opened.records())
    note(f"evaluating {opened.path}")
    scores = verb(opened)
    table(scores.rows(), ("metric", "network", "95 % interval", scores.baseline_name or "baseline", "difference"))
    say(f"\n{scores.recommendation}\nReport: {opened.path / 'report.html'}. Next: thuja export {opened.path}")


@click.command()
@click.argument("what", type=click.Path(path_type=Path), default="thuja.yaml")
@click.option("--set", "overrides", multiple=True, metavar="NAME=VALUE", help="Change a value of the spec.")
def explain(what: Path, overrides: tuple[str, ...]) -> None:
    """Say what a spec (or a run) will do: every settled choice with its reason, and the network layer by layer."""
    from thuja.verbs.explain import explain as verb

    result = verb(what, overrides=overrides)
    heading("Choices")
    table([(name, str(choice.value), choice.reason) for name, choice in result.choices.items()], ("key", "value", "why"))
    say()
    heading("Network")
    network = result.network
    table([(layer.name, layer.kind, " x ".join(map(str, layer.shape)), f"{layer.parameters:,}", f"{layer.flops:,}", layer.start) for layer in network.layers],
          ("layer", "kind", "output", "parameters", "FLOPs", "weights now"))
    seen = f"; one place of the last feature map sees {network.receptive_field[0]} x {network.receptive_field[1]} pixels" if network.receptive_field else ""
    say(f"\n{network.parameters:,} parameters ({network.trainable:,} trained), {network.flops:,} FLOPs for one example forward{seen}.")


@click.command()
@click.option("--runs", "root", type=click.Path(path_type=Path), default="runs", show_default=True, help="Where runs are kept.")
def runs(root: Path) -> None:
    """List runs with what they reached."""
    rows, found = [], Run.all(root)
    for run in found:
        try:
            rows.append(_row(run))
        except ThujaError as error:
            note(str(error))
    if rows:
        table(rows, ("run", "began", "task", "steps", "metric", "validation", ""))
    elif not found:
        say(f"No runs in {root} yet. Start one with: thuja train")


def _row(run: Run) -> tuple[str, ...]:
    """Raises: ArtifactError where its spec or its log is damaged."""
    records, spec = run.records(), run.spec_data()
    _tell_torn(run, records)
    looks = [r for r in records if "metric" in r]
    value = f"{looks[-1]['value']:.4f}" if looks else ""
    when = datetime.fromtimestamp((run.path / "spec.yaml").stat().st_mtime).strftime("%Y-%m-%d %H:%M")
    done = max((r.get("step", 0) for r in records), default=0)
    return (run.path.name, when, spec["task"]["kind"], f"{done}/{spec.get('train', {}).get('steps', '')}", looks[-1]["metric"] if looks else "", value,
            "scored" if (run.path / "scores.json").exists() else "")


def _tell_torn(run: Run, records: list[dict[str, Any]]) -> None:
    if records and records[-1].get("event") == "torn":
        note(f"{run.path}: the last {records[-1]['bytes']} bytes of its log are half written or damaged, and left out")

