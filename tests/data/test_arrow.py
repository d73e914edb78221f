import datetime
import decimal

import numpy as np
import pyarrow as pa
import pytest

from thuja.data.arrow import LINE, ArrowSource, is_number, is_time, plain, timestamps


def source(rows=100, size=7):
    table = pa.table({"n": pa.array([float(i) if i % 5 else None for i in range(rows)]), "t": pa.array([f"text {i}" for i in range(rows)], pa.large_string()),
                      LINE: pa.array([2 * i + 2 for i in range(rows)])})
    return ArrowSource(table.to_batches(size), {"n": "number", "t": "text"}, "rows.csv", "print")


def test_take_gives_the_rows_asked_in_the_order_asked():
    rows = source()
    index = np.array([99, 0, 7, 7, 50, 6, 13])
    assert rows.take(index) == {"n": [99.0, None, 7.0, 7.0, None, 6.0, 13.0], "t": [f"text {i}" for i in index]}
    assert rows.take(np.array([3])) == {"n": [3.0], "t": ["text 3"]}
    assert rows.take(np.zeros(0, np.int64)) == {"n": [], "t": []}


def test_every_row_in_any_order_equals_one_by_one():
    rows = source()
    index = np.random.default_rng(0).permutation(100)
    assert rows.take(index)["t"] == [rows.take(np.array([i]))["t"][0] for i in index]
    assert rows.hashes(index, ("n", "t")).tolist() == [rows.hashes(np.array([i]), ("n", "t"))[0] for i in index]


def test_ids_are_lines():
    assert source().ids(np.array([9, 0])) == ["rows.csv:20", "rows.csv:2"]
    bare = ArrowSource([pa.record_batch({"n": pa.array([1.0, 2.0])})], {"n": "number"}, "p.pq", "x")
    assert bare.ids(np.array([1])) == ["p.pq:2"]


def test_file_columns_are_paths(tmp_path):
    batch = pa.record_batch({"f": pa.array(["a/1.png", None])})
    rows = ArrowSource([batch], {"f": "file"}, "rows.csv", "x", tmp_path)
    assert rows.take(np.arange(2)) == {"f": [tmp_path / "a/1.png", None]}


@pytest.mark.parametrize(("values", "type_", "kind", "plain_values"), [
    ([1, None], pa.int64(), "number", [1.0, None]),
    ([1.5, float("nan"), float("inf")], pa.float32(), "number", [1.5, None, float("inf")]),
    ([decimal.Decimal("1.25")], pa.decimal128(5, 2), "number", [1.25]),
    ([True, None], pa.bool_(), "text", ["true", None]),
    (["a", None], pa.string(), "text", ["a", None]),
    ([None], pa.null(), "number", [None]),
    ([b"\x89PNG"], pa.binary(), "image", [b"\x89PNG"]),
    ([{"bytes": b"x", "path": "p"}], None, "image", [b"x"]),
    ([datetime.date(2026, 1, 31)], pa.date32(), "time", ["2026-01-31"]),
    ([[1, 2]], None, "other", [[1, 2]]),
])
def test_plain(values, type_, kind, plain_values):
    array, found = plain(pa.array(values, type_))
    assert (found, array.to_pylist()) == (kind, plain_values)


def test_dictionaries_are_their_values():
    array, kind = plain(pa.array(["a", "b", "a"]).dictionary_encode())
    assert (kind, array.to_pylist()) == ("text", ["a", "b", "a"])


def test_integers_that_float64_cannot_hold_are_refused_unless_as_text():
    big = pa.array([2**53 + 1])
    with pytest.raises(pa.ArrowInvalid):
        plain(big)
    assert plain(big, text=True)[0].to_pylist() == ["9007199254740993"]


@pytest.mark.parametrize(("cells", "number"), [
    (["1", "-2.5", "1e3", None, "inf", "nan"], True), (["0", "0.5", "-0.5"], True), ([None], True),
    (["1", "a"], False), (["1,5"], False), (["00501"], False), (["1234567890123456"], False), (["1 2"], False),
])
def test_is_number(cells, number):
    assert is_number(pa.array(cells, pa.large_string())) is number


@pytest.mark.parametrize(("cells", "time"), [
    (["2026-01-31", None], True), (["2026-01-31 12:00:00"], True), (["2026-01-31T12:00:00.25Z"], True), (["2026-01-31T12:00+01:00"], True),
    (["2026-13-31"], False), (["31.01.2026"], False), (["20260131"], False), (["soon"], False), (["2026-01-31", "x"], False),
])
def test_is_time(cells, time):
    assert is_time(pa.array(cells, pa.large_string())) is time


def test_timestamps_are_microseconds_in_utc():
    array = timestamps(pa.array(["1970-01-01T01:00:01+01:00", None], pa.large_string()))
    assert array.to_pylist() == [1_000_000, None]


def test_is_empty():
    batch = pa.record_batch({"a": pa.array([None, None], pa.float64()), "b": pa.array([None, 1.0])})
    rows = ArrowSource([batch], {"a": "number", "b": "number"}, "x", "y")
    assert (rows.is_empty("a"), rows.is_empty("b")) == (True, False)
