"""Boxes that are none, and boxes that go beyond their picture: the codec leaves out the first and cuts off the second, and here a person is told."""

from collections.abc import Iterator

import numpy as np

from thuja.codec import Ragged
from thuja.data.checks.finding import Finding, Looked, ids, share
from thuja.data.rows import Source, column
from thuja.fields.boxes import usable

SLACK = 1.0
"""Pixels beyond an edge that say nothing: some tools count from one."""
PLACED = "_placed"
"""Ends the name of the encoded column in which the last two numbers are the width and height of a picture."""


def odd_boxes(looked: Looked) -> Iterator[Finding]:
    """Of every part: degenerate, inverted and outside boxes; boxes that are cut off by more than a pixel."""
    for target in looked.targets:
        placed = next((name for name in looked.encoded["train"].columns if name.endswith(PLACED)), None)
        if placed is None or not isinstance(looked.encoded["train"].columns.get(target), Ragged):
            continue
        for part, source in looked.parts.items():
            kept = looked.encoded[part].kept
            yield from _findings(part, source, kept, column(source, target), np.asarray(looked.encoded[part].columns[placed])[:, -2:])


def _findings(part: str, source: Source, kept: np.ndarray, values: list[object], sizes: np.ndarray) -> Iterator[Finding]:
    entries = [[entry["box"] for entry in values[place]] for place in kept]
    corners = np.array([box for boxes in entries for box in boxes], np.float64).reshape(-1, 4)
    row = np.repeat(np.arange(len(kept)), list(map(len, entries)))
    if not len(corners):
        return
    inside, good = usable(corners, sizes.astype(np.float64)[row])
    beyond = good & (np.abs(inside - corners).max(1) > SLACK)
    for name, wrong, what, fix in (
        ("degenerate-boxes", ~good, "have no width or height inside their picture, or are inverted, and are left out", "Draw them again, or remove them."),
        ("boxes-beyond-picture", beyond, "go beyond their picture and are cut off at its edge",
         "Look at a few: boxes of another size of the picture, or of one turned by EXIF, are wrong throughout."),
    ):
        if wrong.any():
            places = kept[np.unique(row[wrong])]
            yield Finding(name, "warn", int(wrong.sum()), ids(source, places), f"{share(int(wrong.sum()), len(wrong))} {part} boxes {what}.", fix)
