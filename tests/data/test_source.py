import gzip
import json
import re

import numpy as np
import pytest

from thuja.core.errors import DataError
from thuja.data.rows import all_hashes
from thuja.data.source import open_source
from thuja.settings import Data


def everything(source):
    return dict(source.take(np.arange(len(source))))


def message(call, *arguments, **named):
    with pytest.raises(DataError) as caught:
        call(*arguments, **named)
    return str(caught.value)


def test_relative_paths_start_at_the_folder_of_the_spec(tmp_path):
    (tmp_path / "rows.csv").write_text("a,b\n1,x\n2,y\n")
    (source,) = open_source(Data(path="rows.csv"), tmp_path).values()
    assert everything(source) == {"a": [1.0, 2.0], "b": ["x", "y"]}


def test_missing_file_names_its_neighbours(tmp_path):
    (tmp_path / "rows.csv").write_text("a\n1\n")
    assert message(open_source, Data(path="row.csv"), tmp_path) == (
        f"data.path: expected a folder or a file, found nothing at {tmp_path}/row.csv. In that folder: rows.csv."
    )


def test_no_path():
    assert message(open_source, Data()) == "data.path: expected a folder or a file, found nothing. Set data.path in the spec, or pass a Python object."


def test_empty_folder(tmp_path):
    assert message(open_source, Data(path=str(tmp_path))) == f"{tmp_path}: expected data, found an empty folder. Check data.path, or put the data there."


def test_unknown_type(tmp_path):
    (tmp_path / "rows.xlsx").write_bytes(b"PK")
    assert message(open_source, Data(path="rows.xlsx"), tmp_path) == (
        f"{tmp_path}/rows.xlsx: expected a CSV, JSONL or Parquet file, or a folder, found a file of type .xlsx. "
        "Set data.format if it is one of these under another name."
    )


def test_separate_files_are_parts(tmp_path):
    for name in ("a", "b", "c"):
        (tmp_path / f"{name}.csv").write_text(f"x,y\n1,{name}\n")
    parts = open_source(Data(path="a.csv", validation="b.csv", test="c.csv"), tmp_path)
    assert {part: everything(source)["y"] for part, source in parts.items()} == {"train": ["a"], "validation": ["b"], "test": ["c"]}


def test_folder_of_tables_by_name(tmp_path):
    for name in ("test", "train"):
        (tmp_path / f"{name}.csv").write_text(f"x,y\n1,{name}\n")
    assert {part: everything(source)["y"] for part, source in open_source(Data(path="."), tmp_path).items()} == {"train": ["train"], "test": ["test"]}


def test_folder_of_unnamed_tables_is_refused(tmp_path):
    for name in ("a", "b"):
        (tmp_path / f"{name}.csv").write_text("x,y\n1,2\n")
    assert message(open_source, Data(path=str(tmp_path))) == (
        f"{tmp_path}: expected one table, or train and test tables, found a.csv, b.csv. Name the file in data.path (and another in data.test)."
    )


def test_parts_must_have_the_same_columns(tmp_path):
    (tmp_path / "a.csv").write_text("x,y\n1,2\n")
    (tmp_path / "b.csv").write_text("x,z\n1,2\n")
    assert message(open_source, Data(path="a.csv", test="b.csv"), tmp_path) == (
        "test data: expected the columns of the train data, found no column 'y'. Add it, or leave it out of both."
    )


def test_parts_must_agree_on_types_but_an_empty_column_fits_any(tmp_path):
    (tmp_path / "a.csv").write_text("x,y\n1,2\n")
    (tmp_path / "b.csv").write_text("x,y\none,\n")
    assert message(open_source, Data(path="a.csv", test="b.csv"), tmp_path) == (
        "test data: x: expected number, as in the train data, found text. Correct the cells, or add what marks a missing one to data.missing."
    )
    (tmp_path / "c.csv").write_text("x,y\n1,a\n")
    (tmp_path / "d.csv").write_text("x,y\n1,\n")
    parts = open_source(Data(path="c.csv", test="d.csv"), tmp_path)
    assert everything(parts["test"])["y"] == [None]


def test_objects_as_parts():
    parts = open_source(Data(), object={"train": [{"a": 1}, {"a": 2}], "test": [{"a": 3}]})
    assert {part: everything(source)["a"] for part, source in parts.items()} == {"train": [1.0, 2.0], "test": [3.0]}


def test_a_column_called_train_is_no_part():
    (source,) = open_source(Data(), object={"train": [1, 2], "test": [3, 4]}).values()
    assert source.names == ("train", "test")


@pytest.mark.parametrize("form", ["csv", "csv.gz", "tsv", "jsonl", "parquet", "dict", "dicts", "arrow", "pandas", "polars"])
def test_the_same_rows_from_every_form(tmp_path, form):
    """Values, kinds and content hashes do not depend on how the rows are kept."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    rows = [{"n": 1.5, "word": "plum", "when": "2026-01-31"}, {"n": None, "word": None, "when": "2026-02-01"}, {"n": -2.0, "word": "naïve", "when": None}]
    columns = {name: [row[name] for row in rows] for name in rows[0]}
    delimiter = "\t" if form == "tsv" else ","
    text = "".join(delimiter.join("" if v is None else str(v) for v in line) + "\n" for line in [list(rows[0]), *(row.values() for row in rows)])
    path = tmp_path / f"rows.{form}"
    match form:
        case "csv" | "tsv":
            path.write_text(text)
        case "csv.gz":
            path.write_bytes(gzip.compress(text.encode()))
        case "jsonl":
            path.write_text("".join(json.dumps(row) + "\n" for row in rows))
        case "parquet":
            pq.write_table(pa.table(columns), path)
    made = {"dict": lambda: columns, "dicts": lambda: rows, "arrow": lambda: pa.table(columns)}
    if form in ("pandas", "polars"):
        made[form] = lambda: pytest.importorskip(form).DataFrame(columns)
    (source,) = open_source(Data(path=str(path)) if form not in made else Data(), object=made[form]() if form in made else None).values()
    assert source.kinds == {"n": "number", "word": "text", "when": "time"}
    assert everything(source) == columns
    assert all_hashes(source, source.names).tolist() == [17343972998107206383, 10305725957617414030, 6894932510105147224]


def test_real_sets_open_as_described(real):
    """Row counts as published with the data; the comment line of adult.test is counted, not dropped in silence."""
    names = ["age", "workclass", "fnlwgt", "education", "education_num", "marital", "occupation", "relationship", "race", "sex", "gain", "loss", "hours",
             "country", "income"]
    parts = open_source(Data(path=str(real("adult/adult.data")), test=str(real("adult/adult.test")), names=tuple(names)))
    assert {part: len(source) for part, source in parts.items()} == {"train": 32561, "test": 16281}
    assert parts["test"].bad == (("adult.test:1", "1 cells where the table has 15"),)
    assert sum(value is None for value in everything(parts["train"])["workclass"]) == 1836
    assert {kind for name, kind in parts["train"].kinds.items() if name in ("age", "fnlwgt", "gain", "hours")} == {"number"}

    (spam,) = open_source(Data(path=str(real("sms_spam/smsspamcollection.tsv")))).values()
    assert len(spam) == 5572
    assert spam.ids(np.array([0, 5571])) == ["smsspamcollection.tsv:2", "smsspamcollection.tsv:5575"]
    (housing,) = open_source(Data(path=str(real("california_housing/housing.csv")))).values()
    assert sum(value is None for value in everything(housing)["total_bedrooms"]) == 207


def test_adult_without_names_is_refused(real):
    path = real("adult/adult.data")
    assert message(open_source, Data(path=str(path))) == (
        f"{path}:1: expected a header line, found what looks like a row: 39, State-gov, 77516, Bachelors, 13, Never-married, Adm-cler. "
        "Give the column names in data.names."
    )


def test_fingerprint_follows_content_only(tmp_path):
    prints = []
    for name, text in (("a.csv", "x,y\n1,2\n"), ("b.csv", "x,y\n1,2\n"), ("c.csv", "x,y\n1,3\n")):
        (tmp_path / name).write_text(text)
        (source,) = open_source(Data(path=name), tmp_path).values()
        prints.append(source.fingerprint())
    assert prints[0] == prints[1] != prints[2]
    assert all(re.fullmatch("[0-9a-f]{64}", each) for each in prints)
