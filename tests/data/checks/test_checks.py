"""Classes, constant columns, unusable rows, and what `run_checks` does with waivers."""

import numpy as np
import pytest
from check_toys import encode, looked, only

from thuja.data.checks import Finding, blocking
from thuja.data.checks.finding import Looked
from thuja.data.checks.unusable import unusable_rows
from thuja.data.objects import from_object
from thuja.data.rows import Bad
from thuja.settings import Data

RNG = np.random.default_rng(0)


def classes(train, test, validation=("a", "b", "c")):
    made = {"train": train, "validation": validation, "test": test}
    return {name: {"n": RNG.normal(size=len(labels)), "y": list(labels)} for name, labels in made.items()}


def test_a_class_that_no_training_row_has_blocks():
    found = looked(classes("aabbcc", "abcda"), numbers=("n",))
    assert only(found, "absent-class") == [
        ("block", 1, ["test:4"], "1 of 5 (20 %) test rows are of classes that no training row has: 'd'."),
        ("warn", 1, [], "1 of 4 (25 %) classes have no validation row: 'd'."),
    ]


def test_a_class_with_one_row_and_one_that_is_not_tested():
    found = looked(classes("aabbcde", "abcd"), numbers=("n",))
    assert only(found, "rare-class") == [("warn", 3, [], "3 of 5 (60 %) classes have one training row: 'c', 'd', 'e'.")]
    assert only(found, "absent-class") == [("warn", 2, [], "2 of 5 (40 %) classes have no validation row: 'd', 'e'."),
                                           ("warn", 1, [], "1 of 5 (20 %) classes have no test row: 'e'.")]


def test_amounts_have_no_classes():
    made = {name: {"n": RNG.normal(size=5), "y": RNG.normal(size=5)} for name in ("train", "test")}
    assert only(looked(made, numbers=("n",)), "absent-class") == []


def test_constant_and_missing_columns():
    columns = {"n": RNG.normal(size=4), "same": [7.0] * 4, "none": [None] * 4, "word": ["x"] * 4, "half": [1.0, None] * 2, "y": [0, 1, 0, 1]}
    found = looked({"train": columns, "test": columns}, numbers=("n", "same", "none", "half"), categories=("word",))
    assert [(f.check, f.severity, f.message, f.fix) for f in found if f.check in ("constant-column", "missing-column")] == [
        ("constant-column", "warn", "'same' is 7.0 in all 4 training rows.", "Leave 'same' out."),
        ("missing-column", "warn", "'none' is missing in all 4 training rows.", "Leave 'none' out, or fill it."),
        ("constant-column", "warn", "'word' is 'x' in all 4 training rows.", "Leave 'word' out."),
    ]


def test_unusable_rows_are_counted_and_named():
    source = from_object({"n": [1.0, 2.0], "y": [0, 1]})
    encoded = encode(source, ("n",), (), "y")._replace(bad=[Bad(f"rows.csv:{i}", "torn") for i in range(30)])
    (found,) = unusable_rows(Looked({"train": source}, {"train": encoded}, ("n",), ("y",), Data(), {}))
    assert found == Finding("unusable-rows", "warn", 30, [f"rows.csv:{i}" for i in range(20)], "30 of 2 (1500 %) train rows are left out: rows.csv:0: torn.",
                            "Repair or remove them; they are counted in every report.")


@pytest.mark.parametrize("waive", [{}, {"absent-class": "d is new and will be learned next month"}])
def test_waivers_are_recorded_and_no_longer_block(waive):
    found = looked(classes("aabbcc", "abcda"), numbers=("n",), waive=waive)
    assert [f.check for f in blocking(found)] == ([] if waive else ["absent-class"])
    assert {f.waived for f in found if f.check == "absent-class"} == {waive.get("absent-class", "")}


def test_an_honest_set_has_no_findings():
    target = RNG.integers(0, 3, 900)
    columns = {"a": RNG.normal(size=900) + target, "b": RNG.normal(size=900), "c": np.array(list("abcd"))[RNG.integers(0, 4, 900)], "y": target}
    made = {part: {name: values[place] for name, values in columns.items()} for part, place in
            (("train", slice(0, 600)), ("validation", slice(600, 700)), ("test", slice(700, None)))}
    assert looked(made, numbers=("a", "b"), categories=("c",)) == []
