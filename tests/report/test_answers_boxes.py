"""What a report says of single pictures with boxes."""

import numpy as np

from thuja.metrics import Outputs
from thuja.metrics.boxes import Drawn, Found, counted, judged
from thuja.report.answers import KINDS, kind_of


def test_missed_and_sure_wrong_boxes_make_an_answer_worse() -> None:
    box = np.array([[[0, 0, 10, 10], [20, 20, 40, 40]]], float).repeat(4, 0)
    drawn = Drawn(box, np.array([[0, 1]] * 3 + [[-1, -1]]), np.zeros((4, 2), bool))
    score = np.array([[0.9, 0.8], [0.9, 0.0], [0.9, 0.8], [0.7, 0.0]])
    shifted = box.copy()
    shifted[2, 1] += 300  # sure, and somewhere else
    found = Found(shifted, score, np.array([[0, 1]] * 4))
    truth = counted(drawn, 2)
    outputs = Outputs(truth[:, 0], {"boxes": shifted.reshape(4, -1), "score": score, "label": found.label,
                                    "judged": judged(found, drawn).astype(np.int64).reshape(4, -1), "truth": truth.reshape(4, -1)}, names=("cat", "dog"))
    kind = kind_of(outputs)
    assert kind is KINDS["judged"]
    np.testing.assert_allclose(kind.wrong(outputs), [0, 0.5, 0.9, 0.7])
    assert kind.words(outputs, 1) == ("cat 1, dog 1", "cat 1")
    assert kind.words(outputs, 3) == ("nothing", "cat 1")
