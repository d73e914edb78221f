"""`thuja demo`: the whole path on real pictures of blood cells (BCCD, MIT licence), in about a minute; `thuja demo life`: what comes after."""

import base64
import json
import os
import re
import subprocess
import sys
import time
import urllib.request
import zipfile
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any

import click

from thuja.cli.demo_life import life
from thuja.cli.terminal import Live, heading, note, say, seconds, size, table


@click.group(invoke_without_command=True)
@click.option("--folder", type=click.Path(path_type=Path), default="demo", show_default=True, help="Where everything goes.")
@click.option("--budget", default="12s", show_default=True, help="Training time.")
@click.pass_context
def demo(ctx: click.Context, folder: Path, budget: str) -> None:
    """Init, check, train, evaluate, export, verify, serve and predict on 1,113 pictures of blood cells."""
    if ctx.invoked_subcommand is None:
        _all_of_it(folder, budget)


demo.add_command(life)


def _all_of_it(folder: Path, budget: str) -> None:
    start = time.monotonic()
    spec = _look(folder)
    run = _learn(spec, folder, budget)
    scores = _judge(run)
    artifact, bytes_ = _ship(run)
    latency = _ask(artifact, folder)
    heading("\nIn short")
    accuracy = scores.metrics["accuracy"]
    say(f"  {accuracy.value:.1%} of {scores.count} unseen cells named rightly (95 % interval {accuracy.low:.1%} to {accuracy.high:.1%}).")
    say(f"  {scores.recommendation}")
    say(f"  Artefact {size(bytes_)}, verified here against a live server; {latency:.1f} ms a picture over HTTP, without torch.")
    say(f"  All of it took {seconds(time.monotonic() - start)}.\n")
    say(f"  Look at the report:   {run.path / 'report.html'}")
    say(f"  Try it in a browser:  thuja serve {artifact}")
    say("  Use your own data:    thuja init DATA")


def _look(folder: Path) -> Path:
    from thuja.verbs.init import init

    cells = folder / "cells"
    with as_file(files("thuja") / "demo" / "cells.zip") as archive, zipfile.ZipFile(archive) as pictures:
        pictures.extractall(cells)  # ours, made by tools/make_demo_data.py
    heading("1. Init: 1,113 pictures of red cells, white cells and platelets, cut from 364 photographs")
    spec, notes = init(cells / "cells.csv", target="label", out=folder / "thuja.yaml", force=True, data={"group": "photo"})
    for line in notes:
        say(f"   {line}")
    return spec


def _learn(spec: Path, folder: Path, budget: str) -> Any:
    from thuja.cli.model import line
    from thuja.verbs.train import train

    heading("2. Check and train: cells of one photograph stay on one side of the split")
    live = Live(seconds=3.0)
    return train(spec, overrides=[f"train.budget={budget}"], root=folder / "runs",
                 progress=lambda p: live.show("   " + line(p), time.monotonic(), last=p.step == p.steps))


def _judge(run: Any) -> Any:
    from thuja.verbs.evaluate import evaluate

    heading("3. Evaluate: each unseen cell once, a classical model beside the network")
    scores = evaluate(run)
    table([("   " + row[0], *row[1:]) for row in scores.rows()[:4]], ("   metric", "network", "95 % interval", "baseline", "difference"))
    return scores


def _ship(run: Any) -> tuple[Path, int]:
    from thuja.proof.certificate import verify
    from thuja.verbs.export import export

    heading("4. Export and verify: training code, artefact and live server answer the same raw pictures alike")
    artifact = export(run)
    for agreement in verify(artifact.path).agreements:
        say(f"   {agreement}")
    return artifact.path, sum(p.stat().st_size for p in artifact.path.iterdir())


def _ask(artifact: Path, folder: Path) -> float:
    heading("5. Serve and predict over HTTP")
    began = time.monotonic()
    command = [sys.executable, "-m", "thuja", "serve", str(artifact), "--port", "0"]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=os.environ | {"PYTHONUNBUFFERED": "1"})
    try:
        assert server.stdout is not None
        url = ""
        while not url and server.poll() is None:
            found = re.search(r"http://\S+", server.stdout.readline())
            url = found.group(0).rstrip("/") if found else ""
        note(f"   serving after {seconds(time.monotonic() - began)}")
        times = []
        for picture in sorted((folder / "cells").glob("*.jpg"))[::40]:
            body = json.dumps({"image": base64.b64encode(picture.read_bytes()).decode()}).encode()
            request = urllib.request.Request(f"{url}/predict", body, {"Content-Type": "application/json"})  # noqa: S310  # loopback, ours
            began = time.monotonic()
            with urllib.request.urlopen(request, timeout=10) as response:  # noqa: S310
                answer = json.load(response)
            times.append(time.monotonic() - began)
        say(f"   {picture.name}: {answer['label']} ({answer['probability']:.0%})")
        return 1000 * sorted(times)[len(times) // 2]
    finally:
        server.terminate()
        server.wait(timeout=10)
