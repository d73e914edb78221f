"""The field of boxes."""

import math

import numpy as np
import pytest

from thuja.core.errors import DataError
from thuja.fields import Boxes
from thuja.fields.boxes import overlap, usable
from thuja.testing import check_field

FORM = 'Write {"label": name, "box": [left, top, right, bottom]}, in pixels of the upright picture.'


def box(*corners: float, label: str = "a", score: float = 0.9) -> dict:
    return {"label": label, "box": list(corners), "score": score}


def test_the_promises_of_a_field() -> None:
    check_field(Boxes())
    check_field(Boxes(names=("cat", "dog"), most=5, threshold=0.4))


@pytest.mark.parametrize(("value", "message"), [
    (None, f"v: expected a list of at most 2 boxes, found nothing. {FORM}"),
    ([box(0, 0, 1, 1)] * 3, f"v: expected a list of at most 2 boxes, found 3 of them. {FORM}"),
    ([[0, 0, 1, 1]], f"v[0]: expected a label and a box, found [0, 0, 1, 1]. {FORM}"),
    ([{"label": "a", "box": [0, 0, 1, 1], "area": 1}], f"v[0]: expected a label and a box, found {{'label': 'a', 'box': [0, 0, 1, 1], 'area': 1}}. {FORM}"),
    ([box(0, 0, 1)], f"v[0].box: expected four numbers, found [0, 0, 1]. {FORM}"),
    ([box(0, 0, 1, math.inf)], f"v[0].box: expected four numbers, found [0, 0, 1, inf]. {FORM}"),
    ([box(0, 0, 1, 1, label="")], f"v[0].label: expected a name of 1 to 200 characters, found . {FORM}"),
    ([box(0, 0, 1, 1, label="kat")], "v[0].label: expected a known class, found 'kat'. Did you mean 'cat'?"),
    ([box(0, 0, 1, 1, label="cat", score=1.5)], "v[0].score: expected a number from 0 to 1, found 1.5. Leave it out where it is not known."),
])
def test_what_is_refused(value: object, message: str) -> None:
    field = Boxes(names=("cat",), most=2) if "kat" in message or "1.5" in message else Boxes(most=2)
    with pytest.raises(DataError) as caught:
        field.check(value, "v")
    assert str(caught.value) == message


def test_what_is_a_box_once_cut_off() -> None:
    corners = np.array([[-5, -5, 5, 5], [1, 1, 1, 9], [9, 1, 3, 5], [50, 50, 60, 60], [30, 2, 200, 4], [0, 0, 40, 20]], float)
    inside, good = usable(corners, np.array([40, 20]))
    assert good.tolist() == [True, False, False, False, True, True]
    assert inside[good].tolist() == [[0, 0, 5, 5], [30, 2, 40, 4], [0, 0, 40, 20]]


def test_answers_that_differ_by_near_ties_agree() -> None:
    field = Boxes(threshold=0.3, overlap=0.5, most=9)
    one, two = box(0, 0, 100, 100), box(300, 0, 400, 100, score=0.5)
    assert field.apart([one, two], [two, one], 1e-4) == 0
    assert field.apart([one], [box(0, 0, 100, 100.5)], 1e-4) == pytest.approx(0.005)
    assert field.apart([one], [box(0, 0, 100, 100, score=0.91)], 1e-4) == pytest.approx(0.01)
    assert field.apart([one, box(0, 200, 9, 209, score=0.30005)], [one], 1e-4) == -1  # at the threshold
    rival = box(0, 0, 100, 50, score=0.8)
    assert overlap(one, rival) == 0.5
    assert field.apart([one], [one, rival], 1e-4) == -1  # at the overlap
    assert field.apart([one], [one, two], 1e-4) == math.inf
    assert field.apart([one], [{**one, "label": "b"}], 1e-4) == math.inf
    assert field.apart([one], None, 1e-4) == math.inf
