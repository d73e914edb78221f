"""`thuja init`: look at the data, say what they are, and write a spec in which every key is explained."""

import os
from pathlib import Path
from typing import Any

from thuja import spec as specs
from thuja.core.errors import SpecError
from thuja.core.storage import write_atomic
from thuja.data.infer import Guess, infer
from thuja.data.source import open_source
from thuja.settings import Data


def init(path: Path | str, *, target: str | None = None, kind: str | None = None, out: Path | str = specs.SPEC_NAME, data: dict[str, Any] | None = None,
         force: bool = False) -> tuple[Path, list[str]]:
    """Write a spec for the data at `path`.

    Args:
        path: a folder or file.
        target: the column to predict; guessed, with the reason among the notes, when left out.
        kind: the application, where the data would do for another one than is guessed: pictures in classes can be told apart, or made.
        out: where the spec goes.
        data: keys of the data section that are known already, such as {"test": "adult.test", "names": [...]}.
        force: overwrite an existing spec.

    Returns: the spec's path and the notes, in plain words, of what was found and decided.
    Raises: DataError for data that cannot be read; SpecError when `out` is there already.
    """
    out, path = Path(out), Path(path)
    if out.is_dir():
        out = out / specs.SPEC_NAME
    if out.exists() and not force:
        raise SpecError(str(out), expected="no spec there yet", found="one", fix="Give another name with --out, or overwrite it with --force.")
    root = out.resolve().parent
    known = {key: os.path.relpath(Path(value).resolve(), root) if key in ("test", "validation") else value for key, value in (data or {}).items()}
    section = Data.model_validate({"path": os.path.relpath(path.resolve(), root)} | known)
    guess = infer(open_source(section, root), target)
    task, notes = (guess.task, guess.notes) if kind in (None, guess.task["kind"]) else _another(guess, str(kind))
    settled = specs.parse({"task": task, "data": {"path": section.path, **known, **guess.data}}, str(out))
    head = ["What Thuja found, and what it decided. Change any value; a typed one is never overruled.", *notes, ""]
    text = "".join(f"# {line}".rstrip() + "\n" for line in head) + specs.dumps(settled, comments=True)
    specs.read_text(text, str(out))  # what is written can be read back
    write_atomic(out, text.encode())
    return out, list(notes)


def _another(guess: Guess, kind: str) -> tuple[dict[str, Any], list[str]]:
    """The task section for an application that was named, with the columns that were found, and a note. Raises: SpecError for one that is unknown, or has no
    use for the column to predict."""
    known = specs.task_class(kind, "--kind").model_fields
    found = {name: value for name, value in guess.task.items() if name in known and name != "kind"}
    if "target" in guess.task and "target" not in known:
        raise SpecError("--kind", expected=f"an application that learns a column such as {guess.task['target']!r}", found=repr(kind),
                        fix=f"These data look like {guess.task['kind']}; for {kind} see its page in the guide.")
    return {"kind": kind, **found}, [*guess.notes, f"Taken for {kind}, as you said; by itself Thuja would have said {guess.task['kind']}."]
