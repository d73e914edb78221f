import numpy as np

from thuja.data.objects import from_object
from thuja.data.rows import Bad, Subset, all_hashes, column, hash_rows, in_batches, places, rows_at_once


def source(count=10):
    return from_object([{"n": float(i % 4), "word": "ab"[i % 2]} for i in range(count)])


def test_places_cover_every_row_once():
    assert [part.tolist() for part in places(5, 2)] == [[0, 1], [2, 3], [4]]
    assert list(places(0, 2)) == []


def test_subset_is_a_source():
    part = Subset(source(), np.array([7, 2, 2]), (Bad("x", "torn"),))
    assert (len(part), part.names, part.bad) == (3, ("n", "word"), (Bad("x", "torn"),))
    assert part.take(np.array([2, 0])) == {"n": [2.0, 3.0], "word": ["a", "b"]}
    assert part.ids(np.array([0, 1])) == ["row:8", "row:3"]
    assert [rows["n"] for rows in part.batches(2)] == [[3.0, 2.0], [2.0]]
    assert Subset(part, np.array([0])).take(np.array([0]), ("word",)) == {"word": ["b"]}


def test_subset_fingerprint_follows_rows_and_order():
    prints = {Subset(source(), np.array(index)).fingerprint() for index in ([0, 1], [1, 0], [0], [0, 1])}
    assert len(prints) == 3


def test_column_is_read_in_batches():
    assert column(source(5), "word", size=2) == list("ababa")


def test_equal_rows_have_equal_hashes_whatever_their_batch(monkeypatch):
    rows = source(10)
    hashes = all_hashes(rows, rows.names)
    monkeypatch.setattr("thuja.data.rows.AT_ONCE", 3)
    assert rows_at_once(rows) == 3
    assert hashes.tolist() == all_hashes(rows, rows.names).tolist()
    assert [len(batch["word"]) for batch in in_batches(rows, 2)] == [2] * 5
    assert hashes[0] == hashes[4] and len(set(hashes.tolist())) == 4


def test_missing_hashes_alike_in_a_batch_of_missing_and_in_a_mixed_one():
    kinds = {"n": "number", "t": "text"}
    alone = hash_rows({"n": [None], "t": [None]}, ("n", "t"), kinds)
    mixed = hash_rows({"n": [1.0, float("nan"), -0.0, 0.0], "t": ["", None, "", ""]}, ("n", "t"), kinds)
    assert alone[0] == mixed[1]
    assert mixed[2] == mixed[3]
    assert len(set(mixed.tolist())) == 3


def test_pictures_hash_by_content(tmp_path):
    path = tmp_path / "a.png"
    path.write_bytes(b"bytes")
    kinds = {"p": "image"}
    pictures = [np.zeros(shape, np.uint8) for shape in ((2, 2), (2, 2), (4, 1))]
    one, same, other = (hash_rows({"p": [value]}, ("p",), kinds)[0] for value in pictures)
    assert one == same != other
    before = hash_rows({"p": [path]}, ("p",), kinds)[0]
    path.write_bytes(b"other")
    assert hash_rows({"p": [path]}, ("p",), kinds)[0] != before
