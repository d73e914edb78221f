import pytest

from thuja.core.errors import DataError
from thuja.data.jsonl import blocks, look
from thuja.settings import Data


def read(tmp_path, text):
    path = tmp_path / "rows.jsonl"
    path.write_text(text)
    bad = []
    names, fixed = look(path, Data())
    found = list(blocks(path, Data(), names, bad, size=2))
    columns = {name: [cell for block in found for cell in block.columns[place]] for place, name in enumerate(names)}
    return columns, fixed, [line for block in found for line in block.lines], bad


def test_keys_in_any_order_and_absent_ones_missing(tmp_path):
    columns, fixed, lines, bad = read(tmp_path, '{"a": 1, "b": "x"}\n\n{"b": "007", "c": true, "a": null}\n{"a": 2.5}\n')
    assert columns == {"a": ["1", None, "2.5"], "b": ["x", "007", None], "c": [None, "true", None]}
    assert (fixed, lines, bad) == ({"b", "c"}, [1, 3, 4], [])


def test_bad_lines_are_named(tmp_path):
    columns, _, lines, bad = read(tmp_path, '{"a": 1}\n{"a": 2\n[3]\n{"a": [4]}\n{"a": 5}\n')
    assert (columns, lines) == ({"a": ["1", "5"]}, [1, 5])
    assert bad == [
        ("rows.jsonl:2", "no JSON object but '{\"a\": 2'"),
        ("rows.jsonl:3", "no JSON object but '[3]'"),
        ("rows.jsonl:4", "a nested value in 'a', where text, a number, true, false or null is expected"),
    ]


def test_a_list_of_names_is_taken_as_text(tmp_path):
    columns, _, _, bad = read(tmp_path, '{"a": ["cat", "big dog"]}\n{"a": []}\n{"a": ["x", 1]}\n')
    assert columns == {"a": ['["cat", "big dog"]', "[]"]}
    assert bad == [("rows.jsonl:3", "a nested value in 'a', where text, a number, true, false or null is expected")]


def test_empty(tmp_path):
    with pytest.raises(DataError) as caught:
        read(tmp_path, "\n")
    assert str(caught.value) == f"{tmp_path}/rows.jsonl: expected a JSON object on each line, found none. Check that the right file was given."


def test_half_a_surrogate_pair_is_named(tmp_path):
    columns, _, lines, bad = read(tmp_path, '{"a": "x"}\n{"a": "torn \\ud83d"}\n{"a": "\\ud83d\\ude00"}\n')
    assert (columns, lines) == ({"a": ["x", "😀"]}, [1, 3])
    assert bad == [("rows.jsonl:2", "half a surrogate pair in '{\"a\": \"torn \\\\ud83d\"}'")]
