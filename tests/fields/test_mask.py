"""Masks as values: what is taken, what is refused and why, and when two answers are as good as equal."""

import base64
import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Pillow

from thuja.core.errors import DataError
from thuja.fields import Mask
from thuja.fields.mask import png
from thuja.testing import check_field

NUMBERS = np.arange(12, dtype=np.uint8).reshape(3, 4)


@pytest.mark.parametrize("field", [Mask(), Mask(names=("a", "b", "c")), Mask(instances=True)], ids=repr)
def test_the_contract(field: Mask) -> None:
    check_field(field)


@pytest.mark.parametrize(("mode", "values"), [("L", NUMBERS), ("I;16", NUMBERS * 100), ("1", NUMBERS % 2), ("P", NUMBERS), ("RGB", NUMBERS), ("RGBA", NUMBERS)])
def test_numbers_come_out_of_a_file_as_they_went_in(tmp_path: Path, mode: str, values: np.ndarray) -> None:
    values = values.astype(np.uint16 if mode == "I;16" else np.uint8)
    picture = Pillow.fromarray(values * 255 if mode == "1" else values)
    if mode == "P":
        picture = Pillow.new("P", (4, 3))
        picture.putdata(values.ravel().tolist())
        picture.putpalette([255, 0, 0, 0, 255, 0] * 128)
    picture.convert(mode).save(tmp_path / "a.png")
    assert np.array_equal(Mask().decode(tmp_path / "a.png", "mask"), values)
    assert np.array_equal(Mask().decode((tmp_path / "a.png").read_bytes(), "mask"), values)


def test_large_numbers_need_sixteen_bits() -> None:
    for array in (NUMBERS, NUMBERS.astype(np.uint16) + 300):
        assert np.array_equal(Mask().decode(png(array), "mask"), array)


@pytest.mark.parametrize(("value", "message"), [
    ("a.png", "mask: expected a mask, found text 'a.png'. Give the bytes of a PNG file, or whole numbers, height x width."),
    (NUMBERS / 2, "mask: expected whole numbers, height x width, found float64 of shape (3, 4). Convert with astype('uint8')."),
    (NUMBERS.astype(int) - 5, "mask: expected numbers from 0 to 1, found -5. Number the classes from 0 on."),
    (NUMBERS, "mask: expected numbers from 0 to 1, found 11. Number the classes from 0 on."),
    (b"hello", "mask: expected a mask, found 5 bytes of something else. Give a whole PNG file."),
    (png(np.zeros((40, 40))), "mask: expected at most 1500 pixels, found 40 x 40. Cut the picture and its mask, or raise max_pixels."),
])
def test_what_is_refused(value: object, message: str) -> None:
    with pytest.raises(DataError) as caught:
        Mask(names=("a", "b"), max_pixels=1500).decode(value, "mask")
    assert str(caught.value) == message


def test_a_pixel_may_go_either_way_and_no_more() -> None:
    rng = np.random.default_rng(0)
    mask = rng.integers(0, 2, (30, 40), dtype=np.uint8)
    one, two = mask.copy(), mask.copy()
    one[3, 4] ^= 1
    two[3, 4:6] ^= 1
    field = Mask(names=("a", "b"))
    written = [field.to_json(value) for value in (mask, one, two, mask[:29])]
    assert [field.alike(written[0], other, 1e-4) for other in written] == [True, True, False, False]
    assert field.alike(written[0], written[2], 0.01)
    assert not field.alike(written[0], 7, 1.0)
    numbered = Mask(instances=True)
    assert numbered.alike(numbered.to_json(mask * 3), numbered.to_json(mask * 9), 0.0), "objects may be numbered otherwise"


def test_json_is_a_grey_png() -> None:
    with Pillow.open(io.BytesIO(base64.b64decode(Mask().to_json(NUMBERS)))) as picture:
        assert (picture.format, picture.mode, picture.size) == ("PNG", "L", (4, 3))
    assert "0 road, 1 car" in Mask(names=("road", "car")).json_schema()["description"]
