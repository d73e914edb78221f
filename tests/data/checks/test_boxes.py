"""What `check` says of boxes that are none, and of boxes beyond their picture."""

import numpy as np

from thuja.apps.object_detection.codec import ObjectDetectionCodec
from thuja.data.checks.boxes import odd_boxes
from thuja.data.checks.finding import Looked
from thuja.data.columns import Encoded
from thuja.data.objects import from_object
from thuja.settings import Data


def looked(boxes: list[list[list[float]]]) -> Looked:
    codec = ObjectDetectionCodec(image="image", target="boxes", names=("a",), height=32, width=32)
    source = from_object({"image": [np.full((40, 60, 3), i, np.uint8) for i in range(len(boxes))],
                          "boxes": [[{"label": "a", "box": box} for box in of_picture] for of_picture in boxes]})
    columns = codec.encode(source.take(np.arange(len(boxes))))
    return Looked({"train": source}, {"train": Encoded(columns, np.arange(len(boxes)), [])}, ("image",), ("boxes",), Data(), {})


def test_odd_boxes_are_counted_and_named() -> None:
    found = list(odd_boxes(looked([[[0, 0, 9, 9], [5, 5, 5, 9]], [], [[9, 1, 3, 5], [70, 0, 90, 9], [50, 30, 65, 40], [0, 0, 60.5, 40]]])))
    assert [(finding.check, finding.severity, finding.count, finding.rows) for finding in found] == [
        ("degenerate-boxes", "warn", 3, ["row:1", "row:3"]), ("boxes-beyond-picture", "warn", 1, ["row:3"])]
    assert found[0].message == "3 of 6 (50 %) train boxes have no width or height inside their picture, or are inverted, and are left out."
    assert found[1].message == "1 of 6 (17 %) train boxes go beyond their picture and are cut off at its edge."


def test_good_boxes_and_other_data_say_nothing() -> None:
    assert not list(odd_boxes(looked([[[0, 0, 9, 9]], []])))
    assert not list(odd_boxes(looked([[[0, 0, 9, 9]]])._replace(targets=("image",))))
