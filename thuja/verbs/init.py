"""`thuja init`: look at the data, say what they are, and write a spec in which every key is explained."""

import os
from pathlib import Path
from typing import Any

from thuja import spec as specs
from thuja.core.errors import SpecError
from thuja.core.storage import write_atomic
from thuja.data.infer import infer
from thuja.data.source import open_source
from thuja.settings import Data


def init(path: Path | str, *, target: str | None = None, out: Path | str = specs.SPEC_NAME, data: dict[str, Any] | None = None,
         force: bool = False) -> tuple[Path, list[str]]:
    """Write a spec for the data at `path`.

    Args:
        path: a folder or file.
        target: the column to predict; guessed, with the reason among the notes, when left out.
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
    settled = specs.parse({"task": guess.task, "data": {"path": section.path, **known, **guess.data}}, str(out))
    head = ["What Thuja found, and what it decided. Change any value; a typed one is never overruled.", *guess.notes, ""]
    text = "".join(f"# {line}".rstrip() + "\n" for line in head) + specs.dumps(settled, comments=True)
    specs.read_text(text, str(out))  # what is written can be read back
    write_atomic(out, text.encode())
    return out, list(guess.notes)
