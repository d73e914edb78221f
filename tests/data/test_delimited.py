import gzip

import pytest

from thuja.core.errors import DataError
from thuja.data import delimited
from thuja.data.delimited import blocks, look, sniff
from thuja.settings import Data


def read(path, data=None):
    bad = []
    table = look(path, data or Data())
    found = list(blocks(table, bad, size=2))
    columns = {name: [cell for block in found for cell in block.columns[place]] for place, name in enumerate(table.names)}
    return columns, [line for block in found for line in block.lines], bad


def written(tmp_path, text, name="rows.csv"):
    path = tmp_path / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def refused(path, data=None):
    with pytest.raises(DataError) as caught:
        read(path, data)
    return str(caught.value).removeprefix(str(path))


@pytest.mark.parametrize(("sample", "delimiter"), [
    ("a,b\n1,2", ","), ("a\tb\n1,5\t2", "\t"), ("a;b\n1,5;2,5", ";"), ("a|b\n1|2", "|"), ("text\none, two", ","), ("a\n1", ","),
])
def test_sniff(sample, delimiter):
    assert sniff(sample.splitlines(keepends=True)) == delimiter


def test_cells_are_stripped_and_missing_ones_none(tmp_path):
    columns, lines, bad = read(written(tmp_path, "a, b\n 1 , ?\nNA,x y\n"))
    assert (columns, lines, bad) == ({"a": ["1", None], "b": [None, "x y"]}, [2, 3], [])


def test_lines_are_counted_through_quotes_blanks_and_ragged_ones(tmp_path):
    columns, lines, bad = read(written(tmp_path, 'a,b\n1,"two\nlines"\n\n3,4\n5\n6,7,8\n9,10\n   \n'))
    assert columns == {"a": ["1", "3", "9"], "b": ["two\nlines", "4", "10"]}
    assert lines == [2, 5, 8]
    assert bad == [("rows.csv:6", "1 cells where the table has 2"), ("rows.csv:7", "3 cells where the table has 2")]


def test_byte_order_mark_and_windows_lines(tmp_path):
    assert read(written(tmp_path, b"\xef\xbb\xbfa,b\r\n1,\xc3\xa4\r\n"))[0] == {"a": ["1"], "b": ["ä"]}


def test_a_column_without_a_name(tmp_path):
    assert read(written(tmp_path, ",a\n0,x\n1,y\n"))[0] == {"column_1": ["0", "1"], "a": ["x", "y"]}


def test_names_for_a_table_without_a_header(tmp_path):
    columns, lines, _ = read(written(tmp_path, "1,x\n2,y\n"), Data(names=("n", "c")))
    assert (columns, lines) == ({"n": ["1", "2"], "c": ["x", "y"]}, [1, 2])


def test_too_few_names(tmp_path):
    found = refused(written(tmp_path, "1,x\n2,y\n"), Data(names=("n",)))
    assert found == "data.names: expected 2 names, one for each column of rows.csv, found 1. Correct the list."


def test_names_given_for_a_table_with_a_header(tmp_path):
    assert refused(written(tmp_path, "n,c\n2,y\n"), Data(names=("n", "c"))) == (
        ":1: expected a row, because data.names is given, found a header line with these names. Remove data.names from the spec."
    )


@pytest.mark.parametrize("text", ["5.1,a\n4.9,b\n4.7,a\n", "5,0,0\n4,0,0\n", "0.5,1.5\n2.5,3.5\n"])
def test_no_header(tmp_path, text):
    first = text.partition("\n")[0].replace(",", ", ")
    assert refused(written(tmp_path, text)) == f":1: expected a header line, found what looks like a row: {first}. Give the column names in data.names."


@pytest.mark.parametrize("head", ["country,2019,2020", "0,1,2", "2019,2020,2021"])
def test_headers_that_are_numbers_by_right(tmp_path, head):
    assert list(read(written(tmp_path, f"{head}\nx,1.5,2.5\ny,3.5,4.5\n"))[0]) == head.split(",")


def test_a_name_twice(tmp_path):
    assert refused(written(tmp_path, "a,a\n1,2\n")) == (
        ":1: expected a name of its own for each column, found 'a' twice. Correct the header line, or write the names in data.names and remove it."
    )


@pytest.mark.parametrize("text", ["", "\n\n"])
def test_empty(tmp_path, text):
    assert refused(written(tmp_path, text)) == ": expected a header line and rows, found an empty file. Check that the right file was given."


def test_wrong_encoding_names_line_and_byte(tmp_path):
    path = written(tmp_path, b"a,b\n1,x\n2,caf\xe9\n")
    assert refused(path) == ":3: expected text in utf-8, found byte 0xe9 at 13. Set data.encoding, for example to latin-1 or cp1252, or save the file as UTF-8."
    assert read(path, Data(encoding="latin-1"))[0]["b"] == ["x", "café"]


def test_unknown_encoding(tmp_path):
    assert refused(written(tmp_path, "a\n1\n"), Data(encoding="utf-9")) == (
        "data.encoding: expected the name of a text encoding, found 'utf-9'. Try utf-8, latin-1, cp1252 or utf-16."
    )


def test_a_cell_of_100_kb_is_read_and_a_larger_one_named(tmp_path):
    assert read(written(tmp_path, f"a,b\n1,{'x' * 100_000}\n"))[0]["b"] == ["x" * 100_000]
    assert refused(written(tmp_path, f"a,b\n1,x\n2,{'x' * 140_000}\n")) == (
        ":3: expected cells of at most 131,072 characters, found a problem: field larger than field limit (131072). "
        "Shorten the cell, or look for a quotation mark that is never closed."
    )


def test_torn_gzip(tmp_path):
    path = tmp_path / "rows.csv.gz"
    path.write_bytes(gzip.compress(b"a,b\n" + b"1,2\n" * 5000)[:-20])
    assert refused(path) == ": expected a whole file, found a problem: Compressed file ended before the end-of-stream marker was reached. Copy the file again."


def test_blocks_are_as_long_as_asked(tmp_path):
    table = look(written(tmp_path, "a\n1\n2\n3\n"), Data())
    assert [block.columns for block in delimited.blocks(table, [], size=2)] == [[["1", "2"]], [["3"]]]
