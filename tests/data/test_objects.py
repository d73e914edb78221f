import numpy as np
import pytest

from thuja.core.errors import DataError
from thuja.data.objects import from_object


def rows(source):
    return dict(source.take(np.arange(len(source))))


def refused(value, **named):
    with pytest.raises(DataError) as caught:
        from_object(value, **named)
    return str(caught.value)


def test_kinds():
    source = from_object({"n": [1, None, 2.5], "b": [True, False, None], "s": ["1", "2", "x"], "mixed": [1, "a", None],
                          "when": np.array(["2026-01-01"] * 3, "M8[D]")})
    assert source.kinds == {"n": "number", "b": "text", "s": "text", "mixed": "text", "when": "time"}
    assert rows(source) == {"n": [1.0, None, 2.5], "b": ["true", "false", None], "s": ["1", "2", "x"], "mixed": ["1", "a", None], "when": ["2026-01-01"] * 3}


def test_arrays_of_pictures():
    pictures = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)
    source = from_object({"image": pictures, "label": np.array([3, 7])})
    assert source.kinds == {"image": "image", "label": "number"}
    assert np.array_equal(source.take(np.array([1]))["image"][0], pictures[1])
    assert rows(source)["label"] == [3.0, 7.0]
    assert source.ids(np.array([1])) == ["row:2"]
    changed = pictures.copy()
    changed[1, 2, 3] = 0
    assert source.fingerprint() != from_object({"image": changed, "label": np.array([3, 7])}).fingerprint()


def test_pictures_as_bytes_and_paths(tmp_path):
    (tmp_path / "a.png").write_bytes(b"x")
    source = from_object([{"image": b"\x89PNG", "label": "a"}, {"image": tmp_path / "a.png", "label": "b"}])
    assert source.kinds == {"image": "image", "label": "text"}
    assert rows(source)["image"] == [b"\x89PNG", tmp_path / "a.png"]


def test_text_is_never_read_as_a_path_unless_asked():
    columns = {"photo": ["a.png", None], "label": ["a", "b"]}
    assert rows(from_object(columns))["photo"] == ["a.png", None]
    assert [str(value) for value in rows(from_object(columns, files=("photo",)))["photo"]] == ["a.png", "None"]
    assert refused(columns, files=("foto",)) == "data.files: expected the name of a column, found 'foto'. Did you mean 'photo'?"


def test_keys_absent_from_some_rows_are_missing():
    assert rows(from_object([{"a": 1}, {"b": "x"}])) == {"a": [1.0, None], "b": [None, "x"]}


@pytest.mark.parametrize("value", [[], {}, 3, "rows.csv", [1, 2]])
def test_other_objects(value):
    found = {list: "an empty list" if not value else "a list of int", dict: "an empty dict", int: "a int", str: "a str"}[type(value)]
    assert refused(value) == (
        f"data: expected a table (pandas, polars, Arrow), a dict of columns or a list of dicts, found {found}. Convert the data to one of these."
    )


def test_columns_of_other_lengths():
    assert refused({"a": [1, 2], "b": [1]}) == "data: expected columns of one length, found a 2, b 1. Cut or fill them."


def test_no_rows():
    assert refused({"a": []}) == "data: expected at least one row, found none. Check how the table was made."


def test_numbers_that_float64_cannot_hold_are_text():
    assert rows(from_object({"id": np.array([2**60, 1])})) == {"id": [str(2**60), "1"]}


def test_half_a_surrogate_pair_is_left_to_the_codec_to_name():
    source = from_object({"t": ["torn \ud83d", "whole"], "n": [1, 2]})
    assert (source.kinds, rows(source)) == ({"t": "text", "n": "number"}, {"t": ["torn \ud83d", "whole"], "n": [1.0, 2.0]})
