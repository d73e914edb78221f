import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from thuja.core.errors import DataError
from thuja.data.table import format_of, open_table
from thuja.settings import Data


def rows(source):
    return dict(source.take(np.arange(len(source))))


def csv(tmp_path, text, name="rows.csv"):
    (tmp_path / name).write_text(text)
    return tmp_path / name


def test_types_are_decided_once_for_a_whole_column(tmp_path):
    """The one cell of junk is in a later block than the first."""
    lines = [f"{i},{i}" for i in range(9000)] + ["oops,9000"]
    source = open_table(csv(tmp_path, "a,b\n" + "\n".join(lines) + "\n"), Data(), "csv")
    assert source.kinds == {"a": "text", "b": "number"}
    assert source.take(np.array([0, 9000])) == {"a": ["0", "oops"], "b": [0.0, 9000.0]}
    assert source.ids(np.array([0, 9000])) == ["rows.csv:2", "rows.csv:9002"]


def test_nan_is_missing_infinity_is_kept_for_the_codec_to_refuse(tmp_path):
    source = open_table(csv(tmp_path, "a\n1\nNaN\nnan\ninf\n-inf\n"), Data(missing=()), "csv")
    assert rows(source) == {"a": [1.0, None, None, float("inf"), float("-inf")]}


def test_codes_and_text_digits_stay_text(tmp_path):
    source = open_table(csv(tmp_path, "zip,n\n00501,1\n10001,2\n"), Data(), "csv")
    assert rows(source) == {"zip": ["00501", "10001"], "n": [1.0, 2.0]}
    path = tmp_path / "rows.jsonl"
    path.write_text('{"zip": "10001", "ok": true}\n{"zip": "10002", "ok": false}\n')
    assert rows(open_table(path, Data(), "jsonl")) == {"zip": ["10001", "10002"], "ok": ["true", "false"]}


def test_an_all_missing_column(tmp_path):
    source = open_table(csv(tmp_path, "a,b\n1,\n2,NA\n"), Data(), "csv")
    assert (source.kinds["b"], rows(source)["b"], source.is_empty("b")) == ("number", [None, None], True)


def test_ragged_lines_are_bad_rows(tmp_path):
    source = open_table(csv(tmp_path, "a,b\n1,2\n3\n4,5\n"), Data(), "csv")
    assert rows(source) == {"a": [1.0, 4.0], "b": [2.0, 5.0]}
    assert source.bad == (("rows.csv:3", "1 cells where the table has 2"),)


def test_no_rows(tmp_path):
    with pytest.raises(DataError) as caught:
        open_table(csv(tmp_path, "a,b\n"), Data(), "csv")
    assert str(caught.value) == f"{tmp_path}/rows.csv: expected at least one row, found none. Check that the right file was given."


def test_file_columns(tmp_path):
    source = open_table(csv(tmp_path, "photo,label\nx/1.png,a\n,b\n"), Data(files=("photo",)), "csv")
    assert rows(source)["photo"] == [tmp_path / "x/1.png", None]
    assert source.kinds["photo"] == "file"
    with pytest.raises(DataError) as caught:
        open_table(tmp_path / "rows.csv", Data(files=("foto",)), "csv")
    assert str(caught.value) == f"{tmp_path}/rows.csv: data.files: expected the name of a column, found 'foto'. Did you mean 'photo'?"


def test_parquet(tmp_path):
    table = pa.table({"n": [1, 2, None], "big": [2**60, 1, 2], "c": pa.array(["a", "b", "a"]).dictionary_encode(), "when": ["2026-01-01", "2026-01-02", None]})
    pq.write_table(table, tmp_path / "rows.parquet")
    source = open_table(tmp_path / "rows.parquet", Data(), "parquet")
    assert source.kinds == {"n": "number", "big": "text", "c": "text", "when": "time"}
    assert rows(source) == {"n": [1.0, 2.0, None], "big": [str(2**60), "1", "2"], "c": ["a", "b", "a"], "when": ["2026-01-01", "2026-01-02", None]}
    assert source.ids(np.array([2])) == ["rows.parquet:3"]


def test_what_is_no_parquet(tmp_path):
    path = csv(tmp_path, "a,b\n1,2\n", "rows.parquet")
    with pytest.raises(DataError) as caught:
        open_table(path, Data(), "parquet")
    assert (caught.value.where, caught.value.expected, caught.value.fix) == (str(path), "a Parquet file", "Copy or write the file again.")


def test_converted_once_and_again_when_damaged(tmp_path, cache_folder):
    path = csv(tmp_path, "a\n1\n2\n")
    assert rows(open_table(path, Data(), "csv")) == {"a": [1.0, 2.0]}
    (kept,) = cache_folder.glob("tables/*/rows.arrow")
    time = kept.stat().st_mtime_ns
    open_table(path, Data(), "csv")
    assert kept.stat().st_mtime_ns == time
    data = bytearray(kept.read_bytes())
    data[len(data) // 2] ^= 1
    kept.write_bytes(data)
    assert rows(open_table(path, Data(), "csv")) == {"a": [1.0, 2.0]}
    about = json.loads(kept.with_name("about.json").read_text())
    assert set(about) == {"kinds", "bad", "rows.arrow", "digest"}


def test_other_options_are_another_table(tmp_path):
    path = csv(tmp_path, "a\n1\n-9\n")
    assert rows(open_table(path, Data(), "csv")) == {"a": [1.0, -9.0]}
    assert rows(open_table(path, Data(missing=("-9",)), "csv")) == {"a": [1.0, None]}


def test_a_failed_conversion_leaves_nothing(tmp_path, cache_folder):
    path = tmp_path / "rows.csv"
    path.write_bytes(b"a\nx\n\xff\n")
    with pytest.raises(DataError):
        open_table(path, Data(), "csv")
    assert [entry for entry in (cache_folder / "tables").iterdir() if entry.is_dir()] == []


@pytest.mark.parametrize("name", ["a.csv", "a.tsv", "a.csv.gz", "adult.data", "A.CSV"])
def test_format_of_csv(tmp_path, name):
    assert format_of(tmp_path / name) == "csv"
