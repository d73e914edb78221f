"""The page where an answer is a mask."""

import json

from thuja.fields import Mask, Number
from thuja.server import page


def test_the_page_knows_the_classes_of_every_mask() -> None:
    fields = {"mask": Mask(names=("road", "car")), "objects": Mask(names=("a",), instances=True), "share": Number()}
    assert json.loads(page.masks(fields)) == {"mask": ["road", "car"], "objects": []}
    script = page.static("mask.js").body.decode()
    assert "innerHTML" not in script
    assert "function overlay(" in script
