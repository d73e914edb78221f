"""The three applications as artefacts, each trained for a few steps and exported: what the harnesses of the server ask."""

import atexit
import json
import os
import shutil
import tempfile
import zipfile
from functools import cache
from importlib.resources import as_file, files
from pathlib import Path

from tests import shell

HURRY = ("train.watch=false", "check.enabled=false")
STEPS = 30


@cache
def artifacts() -> dict[str, Path]:
    """Folders by application, "table", "image" and "text": made once a process from small data, the pictures being real ones; gone when it ends."""
    root = Path(tempfile.mkdtemp(prefix="thuja-applications-"))
    atexit.register(_remove, root, os.getpid())
    os.environ.setdefault("THUJA_CACHE", str(root / "cache"))
    return {"table": made(shell.write_table(root / "people.csv", 400), root / "table", target="bought"),
            "image": made(cells(root / "cells"), root / "image", target="label"),
            "text": made(shell.write_texts(root / "films.csv", 400), root / "text", target="label")}


@cache
def conversation() -> Path:
    """A small model that answers in turn, and so speaks the protocol of chat completions; made once a process, gone when it ends."""
    root = Path(tempfile.mkdtemp(prefix="thuja-conversation-"))
    atexit.register(_remove, root, os.getpid())
    os.environ.setdefault("THUJA_CACHE", str(root / "cache"))
    opposite = {"black": "white", "white": "black"}
    talks = [[{"role": "user", "content": f"{i} {colour}"}, {"role": "assistant", "content": opposite[colour]}] for i in range(200) for colour in opposite]
    (root / "talks.jsonl").write_text("".join(json.dumps({"messages": talk}) + "\n" for talk in talks), "utf-8")
    small = ("vocabulary_size=300", "context=64", "max_tokens=16", "model.dim=32", "model.depth=1", "model.heads=2", "model.hidden=64")
    return made(root / "talks.jsonl", root / "chat", overrides=tuple(f"task.{change}" for change in small))


@cache
def faces() -> Path:
    """A small model that makes vectors of faces, and so keeps galleries; made once a process, gone when it ends."""
    import numpy as np
    from PIL import Image

    root = Path(tempfile.mkdtemp(prefix="thuja-faces-"))
    atexit.register(_remove, root, os.getpid())
    os.environ.setdefault("THUJA_CACHE", str(root / "cache"))
    for person in range(12):
        (root / "faces" / f"s{person}").mkdir(parents=True)
        own = np.random.default_rng(person).integers(30, 226, (7, 6))
        for take in range(5):
            squares = own + np.random.default_rng((person, take)).integers(-20, 21, own.shape)
            Image.fromarray(squares.astype(np.uint8)).resize((24, 28)).save(root / "faces" / f"s{person}" / f"{take}.png")
    small = ("model.widths=[8,16]", "model.dim=16")
    return made(root / "faces", root / "run", steps=10, overrides=tuple(f"task.{change}" for change in small))


def _remove(root: Path, owner: int) -> None:
    if os.getpid() == owner:  # a forked child must not take it from its parent
        shutil.rmtree(root, ignore_errors=True)


def cells(folder: Path) -> Path:
    """The pictures of `thuja demo`: 1,113 blood cells and the table that names them."""
    with as_file(files("thuja") / "demo" / "cells.zip") as archive, zipfile.ZipFile(archive) as pictures:
        pictures.extractall(folder)
    return folder / "cells.csv"


def made(data: Path, folder: Path, *, target: str | None = None, steps: int = STEPS, overrides: tuple[str, ...] = ()) -> Path:
    """The artefact of whatever `init` makes of `data`, with these changes, trained for some steps in `folder`."""
    from thuja.verbs.export import export
    from thuja.verbs.init import init
    from thuja.verbs.train import train

    folder.mkdir(parents=True, exist_ok=True)
    spec, _ = init(data, target=target, out=folder / "thuja.yaml")
    run = train(spec, overrides=[f"train.steps={steps}", *HURRY, *overrides], root=folder / "runs")
    return export(run).path
