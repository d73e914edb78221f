import numpy as np
import pytest
from check_toys import looked, only

RNG = np.random.default_rng(0)


def parts(copies, rows=1000, test=200):
    train, held = RNG.normal(size=rows), RNG.normal(size=test)
    held[:copies] = train[10 : 10 + copies]
    return {"train": {"a": train, "y": np.arange(rows) % 2}, "test": {"a": held, "y": [*(np.arange(10, 10 + copies) % 2), *(np.arange(test - copies) % 2)]}}


@pytest.mark.parametrize(("copies", "severity", "share"), [(1, "warn", "1 of 200 (0.5 %)"), (4, "warn", "4 of 200 (2 %)"), (5, "block", "5 of 200 (2.5 %)")])
def test_rows_in_two_parts(copies, severity, share):
    rows = [f"test:{i + 1}" for i in range(copies)]
    message = f"{share} test rows are also train rows: test:1 equals train:11."
    assert only(looked(parts(copies), numbers=("a",)), "exact-duplicates") == [(severity, copies, rows, message)]


def test_none():
    assert only(looked(parts(0), numbers=("a",)), "exact-duplicates") == []


def test_other_target_is_no_duplicate_in_a_table():
    made = parts(5)
    made["test"]["y"] = [2] * 200
    assert only(looked(made, numbers=("a",)), "exact-duplicates") == []


def test_a_table_of_few_values_repeats_itself_by_nature():
    made = {name: {"c": ["abcd"[i % 4] for i in range(rows)], "y": [i % 2 for i in range(rows)]} for name, rows in (("train", 400), ("test", 100))}
    ((severity, count, _, _),) = only(looked(made, categories=("c",)), "exact-duplicates")
    assert (severity, count) == ("warn", 100)


def test_equal_texts_count_whatever_their_label():
    made = {"train": {"text": [f"word{i} and more" for i in range(100)], "y": [0, 1] * 50},
            "test": {"text": ["word7 and more"] * 3 + ["new"] * 7, "y": [0] * 10}}
    message = "3 of 10 (30 %) test rows are also train rows: test:1 equals train:8."
    assert only(looked(made), "exact-duplicates") == [("block", 3, ["test:1", "test:2", "test:3"], message)]


def test_validation_only_warns_and_counts_as_known_for_the_test():
    made = {"train": {"text": ["a"], "y": [0]}, "validation": {"text": ["b", "a"], "y": [0, 1]}, "test": {"text": ["b"], "y": [0]}}
    found = only(looked(made), "exact-duplicates")
    assert [(severity, rows) for severity, _, rows, _ in found] == [("block", ["test:1"]), ("warn", ["validation:2"])]
    assert found[0][3] == "1 of 1 (100 %) test rows are also train or validation rows: test:1 equals validation:1."
