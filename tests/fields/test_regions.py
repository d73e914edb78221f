"""Objects and outlines of masks, against rasterising them again."""

import numpy as np
import pytest
from PIL import Image as Pillow
from PIL import ImageDraw

from thuja.fields.regions import area, objects, outlines


def test_a_square_with_a_hole() -> None:
    there = np.zeros((8, 9), bool)
    there[1:6, 2:8] = True
    there[3, 4] = False
    outer, hole = outlines(there)
    assert sorted(map(tuple, outer.tolist())) == [(2, 1), (2, 6), (8, 1), (8, 6)]
    assert (area(outer), area(hole)) == (30.0, -1.0)


def test_corners_that_touch_stay_apart() -> None:
    there = np.array([[1, 0], [0, 1]], bool)
    assert [area(loop) for loop in outlines(there)] == [1.0, 1.0]
    assert len(np.unique(objects(there))) == 3


@pytest.mark.parametrize("seed", range(5))
def test_areas_of_outlines_add_up_to_the_pixels(seed: int) -> None:
    there = np.random.default_rng(seed).random((25, 31)) > 0.5
    assert sum(area(loop) for loop in outlines(there)) == there.sum()
    assert not outlines(there & False)


def test_a_simplified_outline_stays_within_its_tolerance() -> None:
    y, x = np.mgrid[:200, :200]
    there = (y - 100) ** 2 + (x - 90) ** 2 < 70**2
    exact, = outlines(there)
    simple, = outlines(there, tolerance=1.0)
    assert len(simple) < len(exact) / 5
    drawn = Pillow.new("1", (200, 200))
    ImageDraw.Draw(drawn).polygon([tuple(point) for point in (simple - 0.5).tolist()], fill=1)
    wrong = np.asarray(drawn) != there
    assert wrong.sum() < 2 * np.pi * 70 * 1.5
    assert area(simple) == pytest.approx(there.sum(), rel=0.02)


def test_objects_are_numbered_from_one_and_small_ones_left_out() -> None:
    there = np.zeros((6, 9), bool)
    there[0, 0], there[2:4, 2:4], there[5, 5:9] = True, True, True
    assert objects(there).max() == 3
    kept = objects(there, least=4)
    assert kept.dtype == np.uint16
    assert [int((kept == n).sum()) for n in (1, 2)] == [4, 4]
    assert kept[0, 0] == 0
