"""From boxes that were found to a fixed number of plain numbers a picture, of which every metric is made. No torch."""

import numpy as np

from thuja.apps.object_detection.codec import ObjectDetectionCodec
from thuja.codec import Arrays, Columns, Ragged
from thuja.metrics import Outputs
from thuja.metrics.boxes import Drawn, Found, counted, judged


def drawn(columns: Columns, codec: ObjectDetectionCodec) -> Drawn:
    """The target column, padded."""
    target = columns[codec.target]
    assert isinstance(target, Ragged)
    boxes = target.padded()
    return Drawn(boxes[..., 1:5], boxes[..., 0].astype(np.int64) - 1, boxes[..., 5] > 0)


def answers(codec: ObjectDetectionCodec, columns: Columns, found: Found) -> Arrays:
    """What is kept of each picture: `boxes` [rows, 4 k], `score` and `label` [rows, k], `judged` [rows, areas * k], `truth` [rows, areas * classes]."""
    there, rows = drawn(columns, codec), len(found.score)
    truth = counted(there, len(codec.names))
    return {"boxes": found.box.reshape(rows, -1), "score": found.score, "label": found.label,
            "judged": judged(found, there).astype(np.int64).reshape(rows, -1), "truth": truth.reshape(rows, -1)}


def outputs(codec: ObjectDetectionCodec, columns: Columns, found: Found) -> Outputs:
    """The target is how many boxes of each class are to be found, int64 [rows, classes]."""
    arrays = answers(codec, columns, found)
    truth = arrays["truth"].reshape(len(found.score), -1, len(codec.names))
    return Outputs(truth[:, 0], arrays, names=codec.names)
