import datetime

import numpy as np
import pytest

from thuja.core.errors import DataError
from thuja.data.objects import from_object
from thuja.data.rows import Bad
from thuja.data.source import open_source
from thuja.data.split import settle, split
from thuja.settings import Data, GivenSplit, GroupSplit, HashSplit, TimeSplit

BY_HASH = "the rows have no time, group or given part; by hash, equal rows land together and adding rows moves none"


def table(count=1000):
    return {"all": from_object({"a": [float(i % 800) for i in range(count)], "who": [f"p{i % 50}" for i in range(count)], "y": [i % 2 for i in range(count)]})}


def index(parts):
    return {name: part.index for name, part in parts.items()}


def refused(call, *arguments):
    with pytest.raises(DataError) as caught:
        call(*arguments)
    return str(caught.value)


def test_hash_keeps_every_row_once_and_near_the_shares():
    parts = index(split(table(10_000), Data(), ("a", "who", "y")))
    assert np.array_equal(np.sort(np.concatenate(list(parts.values()))), np.arange(10_000))
    large = {"all": from_object({"a": np.arange(10_000.0)})}
    assert {name: round(len(part) / 10_000, 2) for name, part in split(large, Data()).items()} == {"train": 0.7, "validation": 0.1, "test": 0.2}


def test_equal_inputs_land_together_whatever_their_label():
    parts = split(table(), Data(), ("a",))
    where = {}
    for name, part in parts.items():
        for value in part.take(np.arange(len(part)))["a"]:
            assert where.setdefault(value, name) == name


def test_adding_rows_moves_none():
    before, after = split({"all": from_object({"a": np.arange(500.0)})}, Data()), split({"all": from_object({"a": np.arange(900.0)})}, Data())
    for name in before:
        assert before[name].index.tolist() == [i for i in after[name].index.tolist() if i < 500]


def test_copies_of_a_text_that_differ_in_numbers_and_case_land_together():
    texts = [f"Call {i} now to win {i * 7} pounds, number {n}!" for i in range(1) for n in range(300)]
    others = [f"the quick brown fox number {chr(97 + i % 26)}{chr(97 + i // 26)} jumps over it" for i in range(300)]
    parts = split({"all": from_object({"text": texts + others, "length": np.arange(600.0)})}, Data())
    assert sum(np.any(part.index < 300) for part in parts.values()) == 1


def test_texts_that_differ_in_nothing_but_numbers_are_split_by_them():
    parts = split({"all": from_object({"text": [f"sensor {i} in hall {i % 7} reads {i * i} degrees" for i in range(300)]})}, Data())
    assert all(len(part) > 10 for part in parts.values())


def test_group_stays_together_and_rows_without_one_go_by_content():
    sources = {"all": from_object({"a": np.arange(600.0), "who": [None if i < 300 else f"p{i % 30}" for i in range(600)]})}
    for data in (Data(group="who"), Data(split=GroupSplit(column="who"))):
        parts = split(sources, data)
        groups = [set(part.take(np.arange(len(part)))["who"]) - {None} for part in parts.values()]
        assert sum(map(len, groups)) == len(set().union(*groups)) == 30
        assert all(np.any(part.index < 300) for part in parts.values())


def test_time_the_past_trains_and_equal_times_stay_together():
    days = [str(datetime.date(2026, 1, 1) + datetime.timedelta(days=i // 7)) for i in range(700)]
    order = np.random.default_rng(0).permutation(700)
    parts = split({"all": from_object({"day": [days[i] for i in order], "a": np.arange(700.0)})}, Data())
    spans = {name: sorted(part.take(np.arange(len(part)))["day"]) for name, part in parts.items()}
    assert spans["train"][-1] < spans["validation"][0] and spans["validation"][-1] < spans["test"][0]
    assert {name: len(part) for name, part in parts.items()} == {"train": 490, "validation": 70, "test": 140}


def test_time_may_be_a_number_if_the_spec_says_so_and_missing_times_train():
    sources = {"all": from_object({"year": [float(i) if i % 10 else None for i in range(100)]})}
    parts = split(sources, Data(split=TimeSplit(column="year", validation=0, test=0.5)))
    assert {name: len(part) for name, part in parts.items()} == {"train": 55, "test": 45}
    assert 0 in parts["train"].index


def test_given_parts_and_validation_by_hash(tmp_path):
    sources = {"train": from_object({"a": np.arange(500.0)}), "test": from_object({"a": np.arange(100.0)})}
    sources["train"].bad = (Bad("row:7", "torn"),)
    parts = split(sources, Data())
    assert {name: len(part) for name, part in parts.items()} == {"train": 445, "validation": 55, "test": 100}
    assert parts["test"] is sources["test"]
    assert parts["train"].bad == (Bad("row:7", "torn"),)


def test_given_by_a_column():
    where = ["train"] * 80 + ["val"] * 10 + ["TEST"] * 10
    sources = {"all": from_object({"a": np.arange(100.0), "split": where})}
    assert settle(sources, Data()).value == GivenSplit(column="split")
    parts = split(sources, Data(split=GivenSplit(column="split")))
    assert {name: len(part) for name, part in parts.items()} == {"train": 80, "validation": 10, "test": 10}
    bad = {"all": from_object({"a": [1.0, 2.0], "split": ["train", "later"]})}
    assert refused(split, bad, Data(split=GivenSplit(column="split"))) == "row:2: split: expected train, validation or test, found 'later'. Correct the cell."


@pytest.mark.parametrize(("columns", "data", "kind", "reason"), [
    ({"when": ["2026-01-01", "2026-01-02", "2026-01-03"]}, Data(), "time", "the rows have times ('when'), and a model is used on what comes later"),
    ({"date_of_birth": ["1990-01-01", "1991-01-02", "1992-01-03"]}, Data(), "hash", BY_HASH),
    ({"year": [2024, 2025, 2026]}, Data(), "hash", BY_HASH),
    ({"when": ["2026-01-01", "2026-01-01", "2026-01-02"]}, Data(), "hash", BY_HASH),
    ({"split": ["train", "train", "test"]}, Data(), "given", "the column 'split' says train, validation or test"),
    ({"who": ["a", "b", "c"], "when": ["2026-01-01", "2026-01-02", "2026-01-03"]}, Data(group="who"), "group", "rows with an equal 'who' belong together"),
    ({"a": [1, 2, 3]}, Data(split=HashSplit(test=0.5)), "hash", "typed in the spec"),
])
def test_settle(columns, data, kind, reason):
    choice = settle({"all": from_object(columns)}, data)
    assert (choice.value.kind, choice.reason) == (kind, reason)


def test_settle_prefers_a_column_called_like_a_time():
    columns = {"first": ["2026-01-01", "2026-01-02", "2026-01-03"], "created_at": ["2025-01-01", "2025-01-02", "2025-01-03"]}
    assert settle({"all": from_object(columns)}, Data()).value == TimeSplit(column="created_at")


def test_absent_columns():
    assert refused(split, table(), Data(group="whom")) == "data.group: expected the name of a column, found 'whom'. Did you mean 'who'?"
    assert refused(split, table(), Data(split=TimeSplit(column="b"))) == "data.split.column: expected the name of a column, found 'b'. Choose from: a, who, y."
    assert refused(split, table(), Data(split=TimeSplit(column="who"))) == (
        "data: who: expected ISO 8601 times or numbers in every row, found text. Write times as 2026-01-31T12:00:00."
    )


def test_too_few_rows():
    found = refused(split, {"all": from_object({"a": [1.0, 2.0]})}, Data())
    assert found == "data.split: validation: expected at least one row, found none of 2. Give more rows, or a larger share for this part."


def test_a_split_that_does_not_fit_the_data():
    assert refused(split, {"train": from_object({"a": [1.0]})}, Data(split=HashSplit())) == (
        "data.split: expected given, because the data come in parts, found hash. Remove data.split, or give one table."
    )
    assert refused(split, table(), Data(split=GivenSplit())) == (
        "data.split: expected data in parts (train/, test/ or data.test), found one part. Choose another split, or name the files."
    )


def test_spam_copies_land_together(real):
    """The set repeats many messages; by hash no message is in two parts."""
    parts = split(open_source(Data(path=str(real("sms_spam/smsspamcollection.tsv")))), Data(), ("message", "length", "punct"))
    seen = {}
    for name, part in parts.items():
        for text in part.take(np.arange(len(part)), ("message",))["message"]:
            assert seen.setdefault(text, name) == name
    assert {name: len(part) for name, part in parts.items()} == {"train": 3858, "validation": 553, "test": 1161}


def test_given_by_values_of_a_column():
    parts = split({"all": from_object({"x": list(range(40)), "take": [float(i % 10) for i in range(40)]})},
                  Data(split=GivenSplit(column="take", test=("8", "9"), validation=0.0)))
    assert {name: sorted(set(part.take(np.arange(len(part)))["take"])) for name, part in parts.items()} == {
        "train": [0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0], "test": [8.0, 9.0]}
    with_validation = split({"all": from_object({"x": list(range(400)), "who": ["ab"[i % 2] for i in range(400)]})},
                            Data(split=GivenSplit(column="who", test=("b",), validation=0.25)))
    assert {name: len(part) for name, part in with_validation.items()}["test"] == 200
    assert 25 < len(with_validation["validation"]) < 75
    assert set(with_validation["validation"].take(np.arange(20))["who"]) == {"a"}


def test_given_by_a_value_that_no_row_has():
    source = {"all": from_object({"x": [1, 2, 3], "who": ["ann", "bo", "bo"]})}
    assert refused(split, source, Data(split=GivenSplit(column="who", test=("anne",)))) == (
        "data.split.test: expected values of the column 'who', found 'anne'. Did you mean 'ann'?")
