import numpy as np
import pytest

from thuja.core.errors import DataError
from thuja.data.infer import infer
from thuja.data.interactions import Columns, Plan, histories, is_sequences
from thuja.data.objects import from_object
from thuja.data.rows import Subset
from thuja.data.source import open_source
from thuja.settings import Data

PLAN = Plan(Columns("user", "item", "time"), longest=3)


def table(rows, names=("user", "item", "time")):
    return from_object(dict(zip(names, map(list, zip(*rows, strict=True)), strict=True)))


def rows(source):
    taken = source.take(np.arange(len(source)))
    return list(zip(taken["user"], map("".join, taken["history"]), taken["target"], strict=True))


def walk(user, items, start=0):
    return [(user, item, float(start + i)) for i, item in enumerate(items)]


def test_the_last_item_of_each_user_tests_and_long_histories_give_several_rows():
    made = histories({"train": table(walk("ann", "abcdefghi") + walk("bob", "xy") + walk("eve", "z"))}, PLAN)
    assert rows(made["train"]) == [("ann", "abc", "d"), ("ann", "def", "g"), ("bob", "x", "y")]
    assert rows(made["validation"]) == [("ann", "abcdefg", "h")]
    assert rows(made["test"]) == [("ann", "abcdefgh", "i")]
    assert made["train"].ids(np.array([0, 1, 2])) == ["ann:4", "ann:7", "bob:2"]
    assert made["test"].ids(np.array([0])) == ["ann:9"]


def test_rows_are_sorted_by_time_whatever_their_order_and_equal_times_stay():
    shuffled = [("a", "q", 5.0), ("a", "n", 1.0), ("a", "o", 1.0), ("a", "p", 3.0), ("a", "r", 9.0)]
    assert rows(histories({"train": table(shuffled)}, PLAN)["test"]) == [("a", "nopq", "r")]
    dates = [("a", item, f"2026-01-0{day}") for item, day in (("z", 3), ("x", 1), ("y", 2), ("w", 4))]
    assert rows(histories({"train": table(dates)}, PLAN)["test"]) == [("a", "xyz", "w")]
    assert rows(histories({"train": table(shuffled)}, PLAN._replace(columns=Columns("user", "item")))["test"]) == [("a", "qnop", "r")]


def test_what_was_taken_before_counts_once_or_again():
    again = [*walk("a", "wxyxzx"), ("a", "x", 5.0)]
    assert rows(histories({"train": table(again)}, PLAN)["test"]) == [("a", "wxy", "z")]
    assert rows(histories({"train": table(again)}, PLAN._replace(repeats=True))["test"]) == [("a", "wxyxz", "x")]


def test_parts_of_one_table_are_put_together_in_its_order():
    whole = table(walk("a", "uvwxyz"))
    parts = {"train": Subset(whole, np.array([0, 2, 5])), "validation": Subset(whole, np.array([1])), "test": Subset(whole, np.array([3, 4]))}
    assert rows(histories(parts, PLAN._replace(columns=Columns("user", "item")))["test"]) == [("a", "uvwxy", "z")]


def test_a_split_by_time_tests_everything_later():
    whole = table(walk("a", "uvwx") + walk("b", "mn", 2))
    parts = {"train": Subset(whole, np.array([0, 1, 4])), "validation": Subset(whole, np.array([2])), "test": Subset(whole, np.array([3, 5]))}
    made = histories(parts, PLAN._replace(holdout="split"))
    assert (rows(made["train"]), rows(made["validation"]), rows(made["test"])) == ([("a", "u", "v")], [("a", "uv", "w")], [("a", "uvw", "x"), ("b", "m", "n")])


def test_unusable_interactions_are_named_and_keep_their_share():
    bad = [("a", None, 1.0, 3.0), (None, "x", 1.0, 3.0), ("a", "x", None, 3.0), ("a", "x", 1.0, None), ("a", "x", 1.0, 9.0)]
    good = [("a", item, float(i), 3.0) for i, item in enumerate("bcdefghijk")]
    plan = Plan(Columns("user", "item", "time", "stars"), 3, ratings=(1.0, 5.0))
    made = histories({"train": table(good + bad, ("user", "item", "time", "stars"))}, plan)
    assert len(made["train"]) == 3
    assert [(entry.id, entry.reason) for entry in made["train"].bad] == [
        ("row:11", "it names no item (one of 5 interactions that are left out)"), ("row:12", "it names no user")]
    every = histories({"train": table(good[:6] + bad, ("user", "item", "time", "stars"))}, plan._replace(longest=1))
    assert [entry.reason for entry in every["train"].bad] == [
        "it names no item (one of 5 interactions that are left out)", "it names no user"]
    assert every["train"].take(np.array([0]))["ratings"] == [[3.0, 3.0]]
    strict = histories({"train": table(good * 1 + bad[4:], ("user", "item", "time", "stars"))}, plan)
    assert strict["train"].bad[0].reason == "its rating 9 is not from 1 to 5"


def test_an_absent_column_is_named():
    with pytest.raises(DataError) as caught:
        histories({"train": table(walk("a", "xyz"))}, PLAN._replace(columns=Columns("user", "itm")))
    assert str(caught.value) == "itm: expected a column of this name, found 3 others. Did you mean 'item'?"
    with pytest.raises(DataError, match=r"stars: expected numbers, found text. Correct the cells"):
        histories({"train": from_object({"user": ["a"], "item": ["b"], "stars": ["good"]})}, Plan(Columns("user", "item", "", "stars"), 3))


def test_equal_rows_have_equal_fingerprints_and_other_plans_others():
    first, same = (histories({"train": table(walk("a", "vwxyz"))}, PLAN) for _ in range(2))
    other = histories({"train": table(walk("a", "vwxyz"))}, PLAN._replace(longest=1))
    assert first["train"].fingerprint() == same["train"].fingerprint() != other["train"].fingerprint()
    assert len({part.fingerprint() for part in first.values()}) == 3


def test_a_file_of_sequences_is_known_and_read(tmp_path):
    (tmp_path / "songs.txt").write_text("".join(f"{u} {' '.join(map(str, range(u, 2 * u + 3)))}\n" for u in range(1, 30)))
    (tmp_path / "songs_sample.txt").write_text("1 90 91\n2 92 93\n")
    assert is_sequences(tmp_path / "songs.txt")
    for path in (tmp_path, tmp_path / "songs.txt"):
        parts = open_source(Data(path=str(path)))
        assert parts["all"].names == ("user", "item", "negatives")
        assert parts["all"].take(np.array([0])) == {"user": ["1"], "item": [["1", "2", "3", "4"]], "negatives": [["90", "91"]]}
        guess = infer(parts)
        assert guess.task == {"kind": "recommendation", "user": "user", "item": "item"}
        assert guess.data == {"split": {"kind": "hash", "validation": 0.0, "test": 0.0}}
    made = histories({"train": parts["all"]}, Plan(Columns("user", "item"), 50))
    assert made["test"].take(np.array([0, 2]))["negatives"] == [["90", "91"], []]
    assert made["validation"].take(np.array([0]))["negatives"] == [[]]
    (tmp_path / "numbers.txt").write_text("1 2 3\n4 5 6\n7 8 9\n")
    assert not is_sequences(tmp_path / "numbers.txt")


def test_a_table_of_interactions_is_recognised_and_others_are_not():
    rng = np.random.default_rng(0)
    n = 2000
    plain = {"userId": rng.integers(80, size=n), "movieId": rng.integers(60, size=n), "rating": rng.integers(1, 6, n), "timestamp": rng.integers(10**9, size=n)}
    guess = infer({"all": from_object(plain)})
    assert guess.task == {"kind": "recommendation", "user": "userId", "item": "movieId", "time": "timestamp", "rating": "rating", "repeats": True}
    assert guess.notes[0] == "2,000 interactions of 80 users with 60 items."
    assert infer({"train": from_object(plain), "test": from_object(plain)}).task["holdout"] == "split"
    assert infer({"all": from_object(plain)}, "rating").task["kind"] == "table"
    once = {"user_id": np.arange(n), "product": rng.integers(5, size=n), "price": rng.random(n)}
    assert infer({"all": from_object(once)}).task["kind"] == "table"


def test_the_sequences_of_lastfm(real):
    parts = open_source(Data(path=str(real("lastfm_seqrec"))))
    assert infer(parts).notes[0] == "52,551 interactions of 1,090 users with 3,646 items."
    made = histories({"train": parts["all"]}, Plan(Columns("user", "item"), 200))
    assert {name: len(part) for name, part in made.items()} == {"train": 1156, "validation": 1090, "test": 1090}
    assert {len(negatives) for negatives in made["test"].take(np.arange(1090))["negatives"]} == {99}
