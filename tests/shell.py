"""The command line in this process, and the small data that its tests run on."""

import contextlib
import io
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image as Pillow

from thuja.__main__ import main


class Said(NamedTuple):
    """What a command did."""

    code: int
    out: str
    err: str


def thuja(*arguments: object, stdin: str = "", hide: Path | None = None) -> Said:
    """Run `thuja ARGUMENTS` as the shell would; `hide` is a folder of this machine, shown as `~`."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err), _standard_input(stdin):
        code = 0
        try:
            main([str(argument) for argument in arguments])
        except SystemExit as stop:
            code = stop.code if isinstance(stop.code, int) else int(stop.code is not None)
    return Said(code, *(text.getvalue().replace(str(hide), "~") if hide else text.getvalue() for text in (out, err)))


@contextlib.contextmanager
def _standard_input(text: str) -> Iterator[None]:
    before, sys.stdin = sys.stdin, io.StringIO(text)
    try:
        yield
    finally:
        sys.stdin = before


def write_table(path: Path, rows: int = 120, *, head: str = "age,city,bought", seed: int = 1) -> Path:
    """A CSV that can be learned: most people above 40 buy."""
    rng = np.random.default_rng(seed)
    lines = [head]
    for i in range(rows):
        age, city = int(rng.integers(18, 80)), ["Bonn", "Lima", "Oslo"][int(rng.integers(3))]
        lines.append(f"{age}.{i},{city},{'yes' if (age > 40) != (rng.random() < 0.2) else 'no'}")
    path.write_text("\n".join(lines) + "\n", "utf-8")
    return path


def write_pictures(folder: Path, each: int = 20, seed: int = 1) -> Path:
    """Dark and light pictures, a folder per class."""
    rng = np.random.default_rng(seed)
    for label, low in (("dark", 0), ("light", 128)):
        (folder / label).mkdir(parents=True)
        for i in range(each):
            blocks = rng.integers(low, low + 128, size=(4, 4, 3), dtype=np.uint8)
            Pillow.fromarray(blocks).resize((16, 16), Pillow.Resampling.NEAREST).save(folder / label / f"{i}.png")
    return folder


def write_texts(path: Path, rows: int = 120, seed: int = 1) -> Path:
    """A CSV of short sentences with a class."""
    rng = np.random.default_rng(seed)
    words = {"good": ["lovely", "bright", "kind", "fine"], "bad": ["awful", "dull", "rude", "broken"]}
    lines = ["sentence,label"]
    for i in range(rows):
        label = ("good", "bad")[i % 2]
        picked = rng.choice(words[label], 2)
        lines.append(f"The {picked[0]} film number {i} was {picked[1]} and {int(rng.integers(1000))} saw it,{label}")
    path.write_text("\n".join(lines) + "\n", "utf-8")
    return path
