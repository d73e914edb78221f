"""Small real data for the three applications, and their specs, for harnesses that go through the verbs: 569 tumours (a table of 30 measurements), 120 pictures
of blood cells, and the lines of Thuja's own guide and reference (which of the two does a line come from?)."""

import csv
import functools
import hashlib
import json
import os
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any

import torch

import thuja
from reliability.forks import finish, home, lifetime
from reliability.work import TIMES, Outcome, difference, outcome
from thuja.core.errors import ArtifactError
from thuja.run import Run
from thuja.training.session import Progress
from thuja.verbs.init import init
from thuja.verbs.train import train

APPLICATIONS = ("table", "image", "text")
STEPS = 24
HURRY = (f"train.steps={STEPS}", "train.evaluate_every=5", "train.save_every=4", "train.ema=0.9", "train.watch=false", "train.compile=false",
         "train.precision=float32", "train.threads=1", "train.batch=16", "check.enabled=false")
"""A short run in which much goes on; nothing in it is settled by the clock."""
SMALLER = {"table": (), "image": ("task.size=20",), "text": ()}
PICTURES = 120
BOOKS = ("guide", "reference")


def spec(application: str, root: Path) -> Path:
    """The spec of an application in a folder of its name inside `root`, beside its data; both are made where they are absent."""
    folder = root / application
    path = folder / "thuja.yaml"
    if not path.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        data, target = {"table": tumours, "image": cells, "text": lines}[application](folder)
        init(data, target=target, out=path)
    return path


def tumours(folder: Path) -> tuple[Path, str]:
    """Wisconsin diagnostic breast cancer, as scikit-learn ships it."""
    from sklearn.datasets import load_breast_cancer

    found = load_breast_cancer()
    rows = [[*map(float, row), found.target_names[label]] for row, label in zip(found.data, found.target, strict=True)]
    return written(folder / "tumours.csv", [*map(str, found.feature_names), "diagnosis"], rows), "diagnosis"


def cells(folder: Path) -> tuple[Path, str]:
    """The pictures of `thuja demo`: some of its 1,113 blood cells, of every kind."""
    with as_file(files("thuja") / "demo" / "cells.zip") as archive, zipfile.ZipFile(archive) as pictures:
        pictures.extractall(folder)
    with (folder / "cells.csv").open(encoding="utf-8", newline="") as file:
        head, *rows = list(csv.reader(file))
    return written(folder / "cells.csv", head, rows[:: max(1, len(rows) // PICTURES)]), "label"


def lines(folder: Path) -> tuple[Path, str]:
    """The longer lines of Thuja's documents, each once."""
    docs = Path(thuja.__file__).parent.parent / "docs"
    pages = [(book, page) for book in BOOKS for page in sorted((docs / book).glob("*.md"))]
    found = {line.strip(): book for book, page in pages for line in page.read_text("utf-8").splitlines() if len(line.split()) > 4}
    return written(folder / "lines.csv", ["line", "book"], [[line, book] for line, book in found.items()]), "book"


def written(path: Path, head: list[str], rows: list[list[Any]]) -> Path:
    """A CSV file."""
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([head, *rows])
    return path


def learn(spec_path: Path, root: Path, cache: Path, progress: Callable[[Progress], None] | None = None) -> Run:
    """What a person does after a process died: continue the run that is under `root`, or, where none got as far as step one, train again."""
    runs = Run.all(root)
    if not runs:
        return fresh(spec_path, root, cache, progress=progress)
    os.environ["THUJA_CACHE"] = str(cache)
    return train(None, resume=runs[-1].path, progress=progress)


def fresh(spec_path: Path, root: Path, cache: Path, more: tuple[str, ...] = (), progress: Callable[[Progress], None] | None = None) -> Run:
    """A new run. `more`: "name=value" changes of the spec."""
    os.environ["THUJA_CACHE"] = str(cache)
    return train(spec_path, overrides=[*HURRY, *SMALLER[spec_path.parent.name], *more], root=root, progress=progress)


@functools.cache
def warm(application: str) -> None:
    """Train once in this process, so that what torch loads on first use is loaded before the forks."""
    torch.set_num_threads(1)
    with home() as folder, environment(THUJA_CACHE=""):
        learn(spec(application, folder), folder / "runs", folder / "cache")


def unbroken(application: str, root: Path) -> float:
    """Make the run of an application that others are compared with, `root/<application>-whole`; how long it lives, in seconds."""
    warm(application)
    path = spec(application, root)
    return lifetime(functools.partial(learn, path, root / f"{application}-whole", root / "cache-whole"))


def continued(going: Callable[[], object], root: Path, whole: Path) -> str:
    """Let a run that was stopped come to its end; what differs from the unbroken one, empty where nothing does."""
    said = root.with_suffix(".said")
    ended = finish(going, log=str(said))
    different = difference(result(whole), result(root)) if ended.code == 0 else f"exit code {ended.code}: {said.read_text('utf-8')[-300:]}"
    return different and f"{root.name}: {different}"


def result(root: Path) -> Outcome:
    """What the run under `root` came to."""
    runs = Run.all(root)
    if len(runs) != 1:
        raise ArtifactError(str(root), expected="one run", found=str(len(runs)))
    return outcome(runs[0].path)


def scores(run: Run) -> str:
    """SHA-256 of the scores and of the outputs for every row, without how long anything took (a file of outputs says so beside its columns)."""
    import pyarrow as pa
    from pyarrow import parquet

    found = hashlib.sha256(json.dumps(timeless(run.read("scores.json")), sort_keys=True).encode())
    for path in sorted(run.path.glob("outputs-*.parquet")):
        table = parquet.read_table(path).replace_schema_metadata(None).combine_chunks()
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, table.schema) as stream:
            stream.write_table(table)
        found.update(sink.getvalue())
    return found.hexdigest()


def timeless(value: Any) -> Any:
    """Plain data without what the clock decides: durations, and the sentence that names them."""
    if isinstance(value, dict):
        return {k: timeless(v) for k, v in value.items() if k not in (*TIMES, "baseline_seconds", "recommendation")}
    return [timeless(v) for v in value] if isinstance(value, list) else value


@contextmanager
def environment(**values: str) -> Iterator[None]:
    """Some environment variables while inside."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
