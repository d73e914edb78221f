"""Pictures with masks: segmentation."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from thuja.core.errors import DataError, did_you_mean
from thuja.data.folder import is_picture
from thuja.data.guess import Guess
from thuja.data.masks import MASKS, MasksSource
from thuja.data.rows import Source
from thuja.data.split import settle
from thuja.settings import Data

SAMPLE = 100
VOID = re.compile(r"void|un-?label+ed|ignored?|unknown|don'?t care", re.IGNORECASE)
"""Names of classes that are none."""
WHO = ("group", "patient", "patient_id", "subject", "case")


def recognise(parts: Mapping[str, Source], target: str | None) -> Guess | None:
    """A guess where there are pictures and a column of masks. Raises: DataError when `target` is no column."""
    source = parts.get("train") or parts["all"]
    named = [name for name in source.names if source.kinds[name] in ("image", "file") or _are_files(source, name)]
    masks = [name for name in named if name == target or name.lower() in MASKS]
    if len(named) < 2 or not masks:
        return None
    if target is not None and target not in source.names:
        raise DataError("target", expected="the name of a column", found=repr(target), fix=did_you_mean(target, source.names))
    mask = target or masks[0]
    if mask not in named:
        return None
    image = next(name for name in named if name != mask)
    notes = [", ".join(f"{len(part):,} {'pictures' if name == 'all' else name + ' pictures'} with masks" for name, part in parts.items()) + "."]
    task: dict[str, Any] = {"kind": "segmentation", "image": image, "target": mask}
    data: dict[str, Any] = {"files": [name for name in (image, mask) if source.kinds[name] == "text"]}
    if classes := getattr(source, "classes", {}):
        void = [number for number, name in classes.items() if VOID.fullmatch(name)]
        known = {number: name for number, name in classes.items() if number not in void}
        task |= {"values": list(known), "classes": list(known.values()), "void": void}
        notes.append(f"Classes, from classes.txt: {', '.join(known.values())}." + (f" Not judged: {', '.join(classes[n] for n in void)}." if void else ""))
    if who := next((name for name in WHO if name in source.names), None):
        data["group"] = who
        notes.append(f"{who!r} says which pictures belong together; they stay in one part, and intervals are over groups.")
    lacking = sum(len(part.bad) for part in parts.values())
    if lacking:
        notes.append(f"{lacking} files lack the other one, such as {next(bad for part in parts.values() for bad in part.bad).id}.")
    how = settle(parts, Data(group=data.get("group")))
    notes.append(f"Split: {how.value.kind}, because {how.reason}.")
    return Guess(task, {name: value for name, value in data.items() if value}, notes)


def _are_files(source: Source, name: str) -> bool:
    """Whether a column of texts names files of pictures."""
    if source.kinds[name] != "text" or isinstance(source, MasksSource):
        return False
    values = [value for value in source.take(np.arange(min(len(source), SAMPLE)), (name,))[name] if value is not None]
    return bool(values) and all(is_picture(Path(str(value)).name) for value in values)
