"""Pictures in a folder for each person: face recognition."""

import re
from collections import Counter
from collections.abc import Mapping
from typing import Any

from thuja.core.errors import DataError, did_you_mean
from thuja.data.folder import FolderSource
from thuja.data.guess import Guess
from thuja.data.rows import Source
from thuja.data.split import settle
from thuja.settings import Data

FOLDER = re.compile(r"(^|[^a-z])(faces?|lfw|yaleb?|vggface2?|casia-?webface)([^a-z]|$)", re.IGNORECASE)
"""Names of folders that hold faces."""
PERSON = re.compile(r"(s|subject|person|individual|yaleb?)[ _-]?\d+", re.IGNORECASE)
"""Names of folders that hold the pictures of one person, by number."""


def recognise(parts: Mapping[str, Source], target: str | None) -> Guess | None:
    """A guess where the folder is called after faces, or each of its folders after a numbered person. Raises: DataError when `target` is no column."""
    source = parts.get("train") or parts["all"]
    if not isinstance(source, FolderSource):
        return None
    called = next((name for name in source.folder.resolve().parts[:-3:-1] if FOLDER.search(name)), "")
    if not called and not all(PERSON.fullmatch(label) for label in set(source.labels)):
        return None
    if target is not None and target not in source.names:
        raise DataError("target", expected="the name of a column", found=repr(target), fix=did_you_mean(target, source.names))
    if target not in (None, "label"):
        return None
    counts = Counter(source.labels)
    single = sum(count == 1 for count in counts.values())
    why = f"because of the name {called!r}" if called else "because folders are named after numbered people"
    notes = [", ".join(f"{len(part):,} {'pictures' if name == 'all' else name + ' pictures'}" for name, part in parts.items())
             + f" of {len(counts):,} people, {why}. For names of anything else, set task.kind to image-classification.",
             "Every picture must show one face, cut out alike in all of them: there is no face detector."]
    if single:
        notes.append(f"{single:,} of {len(counts):,} people have a single picture: they help little in training, and no pair can be made of them in a test.")
    if "all" not in parts:
        how = settle(parts, Data())
        return Guess({"kind": "face-recognition"}, {}, [*notes, f"Split: {how.value.kind}, because {how.reason}."])
    split: dict[str, Any] = {"kind": "group", "column": "label"}
    notes.append("Split: group, so that the test is of people never seen in training. To test known people on other pictures, see the guide: data.pattern.")
    return Guess({"kind": "face-recognition"}, {"split": split}, notes)
