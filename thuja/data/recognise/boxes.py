"""Pictures with boxes drawn in them: object detection."""

from collections import Counter
from collections.abc import Mapping

from thuja.core.errors import DataError
from thuja.data.boxes.labelled import BOXES, IMAGE, BoxesSource
from thuja.data.guess import Guess
from thuja.data.rows import Source
from thuja.data.split import settle
from thuja.settings import Data

SHOWN = 12
"""Classes counted in words."""


def recognise(parts: Mapping[str, Source], target: str | None) -> Guess | None:
    """A guess where the data were read as VOC, COCO or YOLO. Raises: DataError for a target that is not the column of boxes."""
    source = parts.get("train") or parts["all"]
    if not isinstance(source, BoxesSource):
        return None
    if target not in (None, BOXES):
        raise DataError("target", expected=f"the column of boxes, {BOXES!r}", found=repr(target), fix="Leave it out.")
    counts = Counter(entry["label"] for entries in source.boxes for entry in entries)
    empty = sum(not entries for entries in source.boxes)
    listed = ", ".join(f"{name} {count:,}" for name, count in counts.most_common(SHOWN)) + (", ..." if len(counts) > SHOWN else "")
    notes = [", ".join(f"{len(part):,} {'pictures' if name == 'all' else name + ' pictures'}" for name, part in parts.items()) + ".",
             f"{counts.total():,} boxes of {len(counts)} classes: {listed}."]
    notes += [f"{empty:,} pictures have nothing in them; they teach what is background."] if empty else []
    notes += [f"{name}: {len(part.bad)} cannot be used, such as {part.bad[0].id} ({part.bad[0].reason})." for name, part in parts.items() if part.bad]
    how = settle(parts, Data())
    notes.append(f"Split: {how.value.kind}, because {how.reason}.")
    return Guess({"kind": "object-detection", "image": IMAGE, "target": BOXES}, {}, notes)
