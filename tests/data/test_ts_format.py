"""Files of the UCR and UEA archives."""

import numpy as np
import pytest

from thuja.core.errors import DataError
from thuja.data.source import open_source
from thuja.data.ts_format import open_ts
from thuja.settings import Data

HEAD = "#made up\n@problemName X\n@timeStamps false\n@univariate false\n@classLabel true a b\n@data\n"


def written(tmp_path, body, name="X_TRAIN.ts", head=HEAD):
    path = tmp_path / name
    path.write_text(head + body)
    return path


def test_dimensions_lengths_gaps_and_labels(tmp_path):
    source = open_ts(written(tmp_path, "1,2,3:4,?,6:a\n7,8:9,1e1:b\n"))
    rows = source.take(np.arange(2))
    assert source.names == ("dimension_1", "dimension_2", "label")
    assert [a.tolist() for a in rows["dimension_1"]] == [[1, 2, 3], [7, 8]]
    np.testing.assert_array_equal(rows["dimension_2"][0], [4, np.nan, 6])
    assert rows["label"] == ["a", "b"]
    assert source.ids(np.arange(2)) == ["X_TRAIN.ts:7", "X_TRAIN.ts:8"]
    assert len(set(source.hashes(np.arange(2), source.names).tolist())) == 2
    assert source.fingerprint() == open_ts(tmp_path / "X_TRAIN.ts").fingerprint()


def test_one_dimension_and_amounts(tmp_path):
    source = open_ts(written(tmp_path, "1,2:3.5\n4,5:6\n", head=HEAD.replace("@classLabel true a b", "@targetLabel true")))
    assert source.names == ("series", "label")
    assert (source.kinds["label"], source.take(np.array([0]))["label"]) == ("number", [3.5])


def test_a_folder_has_its_parts(tmp_path):
    written(tmp_path, "1,2:a\n3,4:b\n")
    written(tmp_path, "5,6:a\n", "X_TEST.ts")
    assert {name: len(part) for name, part in open_source(Data(path=str(tmp_path))).items()} == {"train": 2, "test": 1}
    assert len(open_source(Data(path=str(tmp_path / "X_TEST.ts")))["all"]) == 1
    written(tmp_path, "5,6:a\n", "Y_TEST.ts")
    with pytest.raises(DataError, match=r"expected one set, X_TRAIN.ts and X_TEST.ts, found X_TEST.ts and Y_TEST.ts. Name one file."):
        open_source(Data(path=str(tmp_path)))


def test_lines_that_cannot_be_read_are_counted(tmp_path):
    source = open_ts(written(tmp_path, "1,2:3,4:a\n1,x:3,4:a\n1,2:3:b\n1,2:b\nnothing\n"))
    assert len(source) == 1
    assert [list(bad) for bad in source.bad] == [
        ["X_TRAIN.ts:8", "no number: could not convert string to float: 'x'"], ["X_TRAIN.ts:9", "dimensions of 1 and of 2 steps"],
        ["X_TRAIN.ts:10", "1 dimensions, and 2 before"], ["X_TRAIN.ts:11", "no `:` before a label"]]


@pytest.mark.parametrize(("head", "message"), [
    (HEAD.replace("@timeStamps false", "@timeStamps true"), "@timeStamps: expected false, found true. Write values in equal steps."),
    (HEAD.replace("true a b", "false"), "@classLabel: expected true: a label at the end of each line, found none. Add the labels."),
    ("", "expected series with a label, `v,v,...:label` on each line, found no line `@data`. Check that it is a .ts file."),
    (HEAD, "expected series with a label, `v,v,...:label` on each line, found none. Check that it is a .ts file."),
])
def test_files_that_are_something_else(tmp_path, head, message):
    with pytest.raises(DataError) as caught:
        open_ts(written(tmp_path, "" if head == HEAD else "1:a\n", head=head))
    assert str(caught.value).endswith(message)


def test_real_sets(real):
    parts = open_source(Data(path=str(real("ucr_small/JapaneseVowels"))))
    assert {name: len(part) for name, part in parts.items()} == {"train": 270, "test": 370}
    lengths = [len(values) for part in parts.values() for values in part.take(np.arange(len(part)))["dimension_12"]]
    assert (min(lengths), max(lengths)) == (7, 29)
