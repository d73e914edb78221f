import re
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from thuja.core.errors import ArtifactError
from thuja.metrics import Outputs
from thuja.report.outputs import Answered, arrays_of, read, write


def answered():
    probability = np.array([[0.9, 0.1], [0.2, 0.8], [0.5, 0.5]], np.float32)
    arrays = {"probability": probability, "energy": np.array([1.0, 2.0, 3.0], np.float32)}
    ours = Outputs(np.array([0, 1, 1]), arrays, np.array(["p1", "p1", "p2"]), ("ham", "spam"))
    theirs = ours._replace(arrays={"probability": probability[::-1].copy()})
    slices = {"age": [1.5, None, 3.0], "city": ["a", "b", None]}
    facts = {"part": "test", "weights": "ff", "baseline": "a guess", "baseline_s": 0.5}
    return Answered(["x.csv:2", "x.csv:3", "x.csv:4"], "label", ours, theirs, slices, facts)


def test_what_is_written_is_read_back(tmp_path):
    there = answered()
    write(tmp_path / "outputs-test.parquet", there)
    back = read(tmp_path / "outputs-test.parquet")
    assert (back.rows, back.target, back.slices, back.facts) == (there.rows, there.target, there.slices, there.facts)
    assert back.ours.names == ("ham", "spam")
    assert back.ours.group.tolist() == ["p1", "p1", "p2"]
    for ours, theirs in ((back.ours, there.ours), (back.baseline, there.baseline)):
        np.testing.assert_array_equal(ours.target, theirs.target)
        assert ours.arrays.keys() == theirs.arrays.keys()
        for name, array in theirs.arrays.items():
            np.testing.assert_array_equal(ours.arrays[name], array)
            assert ours.arrays[name].dtype == array.dtype


def test_the_columns_are_those_that_are_documented(tmp_path):
    write(tmp_path / "o.parquet", answered())
    names = pq.read_table(tmp_path / "o.parquet").column_names
    assert names == ["row", "group", "target:label", "probability", "energy", "baseline:probability", "slice:age", "slice:city"]


def test_without_groups_baseline_and_slices(tmp_path):
    there = answered()
    plain = Answered(there.rows, "price", Outputs(np.array([1.5, 2.5, 3.5], np.float32), {"value": np.arange(3, dtype=np.float32)}), None, {}, {"part": "test"})
    write(tmp_path / "o.parquet", plain)
    back = read(tmp_path / "o.parquet")
    assert back.baseline is None
    assert back.ours.group is None
    assert back.ours.target.dtype == np.float32


def test_paths_among_the_slices_become_text(tmp_path):
    write(tmp_path / "o.parquet", answered()._replace(slices={"image": [Path("a/b.jpg"), None, Path("c.jpg")]}))
    assert read(tmp_path / "o.parquet").slices == {"image": ["a/b.jpg", None, "c.jpg"]}


def test_equal_outputs_give_equal_bytes(tmp_path):
    for name in ("a", "b"):
        write(tmp_path / name, answered())
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


@pytest.mark.parametrize("cut", [0, 40, -4])
def test_a_damaged_file_is_refused(tmp_path, cut):
    path = tmp_path / "o.parquet"
    write(path, answered())
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(ArtifactError, match=re.escape(f"{path}: expected an outputs file, found a damaged file. Make it again with `thuja evaluate`.")):
        read(path)


def test_an_absent_file_is_named(tmp_path):
    path = tmp_path / "o.parquet"
    with pytest.raises(ArtifactError, match=re.escape(f"{path}: expected an outputs file, found nothing there. Make it again with `thuja evaluate`.")):
        read(path)


def test_larger_outputs_are_laid_flat():
    assert arrays_of({"boxes": np.zeros((5, 3, 4)), "value": np.zeros(5)})["boxes"].shape == (5, 12)
