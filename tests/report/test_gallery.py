import io

import numpy as np
import synthetic
from PIL import Image as Pillow

from thuja.fields import Image, Items, Number, Series, Text
from thuja.metrics import Outputs
from thuja.report.gallery import field_drawn, gallery
from thuja.report.material import worst


def test_the_worst_are_the_surest_mistakes():
    probability = np.array([[0.9, 0.1], [0.4, 0.6], [0.01, 0.99], [0.99, 0.01]])
    assert worst(Outputs(np.array([0, 0, 0, 0]), {"probability": probability})).tolist() == [2, 1]


def test_the_worst_numbers_are_the_farthest():
    assert worst(Outputs(np.array([1.0, 2.0, 3.0]), {"value": np.array([1.1, 9.0, 0.0])}), 2).tolist() == [1, 2]


def test_each_example_has_its_row_truth_and_answer():
    material = synthetic.messages()
    examples = gallery(material)
    assert [e.row for e in examples] == [material.answered.rows[i] for i in material.worst]
    place = int(material.worst[0])
    truth = ("ham", "spam")[material.outputs.target[place]]
    assert examples[0].actual.startswith(f"{truth} (")
    assert not examples[0].answered.startswith(f"{truth} (")


def test_small_pictures_stay_exact_and_large_ones_shrink():
    small = field_drawn(Image(), np.zeros((8, 8, 3), np.uint8), "a")
    assert 'src="data:image/png;base64,' in small
    assert 'class="pixels"' in small
    out = io.BytesIO()
    Pillow.fromarray(np.random.default_rng(0).integers(0, 256, (900, 1200, 3), dtype=np.uint8)).save(out, "PNG")
    large = field_drawn(Image(), out.getvalue(), "a")
    assert 'src="data:image/jpeg;base64,' in large
    assert len(large) < 30_000


def test_a_broken_picture_says_so_in_its_place():
    assert field_drawn(Image(), b"GIF89a nonsense", "cat.gif").startswith("<span class=quiet>cat.gif: expected")


def test_missing_long_and_hostile_values():
    assert field_drawn(Number(missing=True), None, "a") == "<span class=quiet>missing</span>"
    assert field_drawn(Number(missing=True), float("nan"), "a") == "<span class=quiet>missing</span>"
    assert field_drawn(Number(), 1234567.0, "a") == "1,234,567"
    assert field_drawn(Text(), "<script>alert(1)</script>", "a") == "<span class=text dir=auto>&lt;script&gt;alert(1)&lt;/script&gt;</span>"
    assert len(field_drawn(Text(), "x" * 5000, "a")) < 450


def test_a_history_is_its_names():
    assert field_drawn(Items(), ["<i>", "b c"], "history") == "<span class=text dir=auto>&lt;i&gt;, b c</span>"
    assert field_drawn(Items(), [], "history") == "<span class=text dir=auto>nothing</span>"
    assert len(field_drawn(Items(), ["x" * 50] * 100, "history")) < 450


def test_a_series_is_a_line_with_its_range_in_words():
    drawn = field_drawn(Series(), [1.0, None, 3.0, 2.0], "heat")
    assert 'aria-label="heat: 4 steps, from 1 to 3"' in drawn
    assert 'points="0.0,39.0 106.7,1.0 160.0,20.0"' in drawn
    assert 'points="0.0,39.0 160.0,39.0"' in field_drawn(Series(), [5.0, 5.0], "flat")
