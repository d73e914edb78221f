"""Specs as documents: every complaint names the line and the nearest known word; nothing in a document can become code."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from thuja.core.document import override, read_yaml, validate
from thuja.core.errors import SpecError
from thuja.settings import SGD, Check, Data, Section, Train


class Small(Section):
    """The shared sections, without a task."""

    data: Data = Data()
    check: Check = Check()
    train: Train = Train()


def complaint(text: str) -> str:
    with pytest.raises(SpecError) as caught:
        validate(Small, read_yaml(text, "thuja.yaml"))
    return str(caught.value)


@pytest.mark.parametrize(("text", "message"), [
    ("train:\n  stpes: 5\n", "thuja.yaml:2 train.stpes: expected a known key, found 'stpes'. Did you mean 'steps'?"),
    ("train:\n  steps: five\n", "thuja.yaml:2 train.steps: expected auto or a whole number, found 'five'. Change this value."),
    ("train:\n  steps: -1\n", "thuja.yaml:2 train.steps: expected auto or greater than 0, found -1. Change this value."),
    ("train: 5", "thuja.yaml:1 train: expected a table of keys, found 5. Change this value."),
    ("train: {schedule: linar}",
     "thuja.yaml:1 train.schedule: expected one of auto, constant, cosine, linear, trapezoid, found 'linar'. Did you mean 'linear'?"),
    ("train: {budget: 5x}", "thuja.yaml:1 train.budget: expected a number, found '5x'. Change this value."),
    ("data:\n  split: {kind: hsh}\n",
     "thuja.yaml:2 data.split.kind: expected one of auto, given, group, hash, order, scaffold, time, found 'hsh'. Did you mean 'hash'?"),
    ("data:\n  split:\n    kind: hash\n    tst: 0.2\n", "thuja.yaml:4 data.split.tst: expected a known key, found 'tst'. Did you mean 'test'?"),
    ("data:\n  split:\n    kind: group\n",
     "thuja.yaml:2 data.split.column: expected the key 'column', found nothing. Add it; `thuja init DATA` writes a whole spec."),
    ("train:\n  optimizer: {kind: muon, lr: 3}\n",
     "thuja.yaml:2 train.optimizer.lr: expected a known key, found 'lr'. Choose from: adamw, kind, learning_rate, momentum, weight_decay."),
    ("train:\n  batch: auto\n  batch: 3\n", "thuja.yaml:3: expected each key once, found a key written twice. Delete one of them."),
    ("a: !!python/object:os.system x",
     "thuja.yaml:1: expected plain data, found the tag tag:yaml.org,2002:python/object:os.system. Delete the tag: a spec cannot name code."),
    ("data: {path: '${HOME}'}", "thuja.yaml:1: expected plain data, found the template mark '${'. Write the value itself."),
    ("- a", "thuja.yaml: expected a table of keys, found a list or a plain value. Write one with `thuja init DATA`."),
    ("", "thuja.yaml: expected a table of keys, found nothing. Write one with `thuja init DATA`."),
    ("1: 2", "thuja.yaml:1: expected keys that are words, found 1. Quote the key."),
])
def test_whole_messages(text: str, message: str) -> None:
    assert complaint(text) == message


@pytest.mark.parametrize("word", ["._", "-._", "2001-13-40", "2001-02-30 25:00:00"])
def test_what_only_looks_like_a_number_or_a_date_is_named(word: str) -> None:
    with pytest.raises(SpecError) as found:
        read_yaml(f"a: 1\nb: [x, {word}]\n", "spec")
    assert str(found.value) == f"spec:2: expected a word, a number or a date, found '{word}'. Quote it if it is a word."


def test_bad_yaml_names_the_line() -> None:
    assert complaint("x: [1\ny: 3").startswith("thuja.yaml:2: expected YAML, found ")


def test_too_many_aliases_are_refused() -> None:
    flood = "a: &a x\nb: [" + ", ".join(["*a"] * 21) + "]"
    assert complaint(flood) == "thuja.yaml:2: expected at most 30 levels and 20 aliases, found more. Write the values out."


def test_too_deep_is_refused() -> None:
    assert "at most 30 levels" in complaint("a: " + "[" * 40 + "]" * 40)


def test_too_long_is_refused() -> None:
    assert "at most 1000000 characters" in complaint("a: " + "x" * 1_000_001)


def test_yaml_is_1_2() -> None:
    data = read_yaml("rate: 1e-3\nno: text\nwhen: 12:30:00\noctal: 010\nday: 2026-01-02", "x").data
    assert data == {"rate": 0.001, "no": "text", "when": "12:30:00", "octal": 10, "day": "2026-01-02"}


def test_overrides_reach_nested_keys_and_are_read_as_yaml() -> None:
    document = override(read_yaml("train: {budget: 5m}", "thuja.yaml"), ["train.steps=500", "train.optimizer={kind: sgd}", "check.waive.duplicates=fine"])
    small = validate(Small, document)
    assert small.train.steps == 500
    assert small.train.budget == 300
    assert small.train.optimizer == SGD()
    assert small.check.waive == {"duplicates": "fine"}


@pytest.mark.parametrize(("assignment", "message"), [
    ("train.step=5", "--set train.step: expected a known key, found 'step'. Did you mean 'steps'?"),
    ("train.steps", "--set train.steps: expected name=value, found 'train.steps'. For example --set train.steps=500."),
    ("train.budget.x=5", "--set train.budget.x=5: expected train.budget to be a table, found '5m'. Set the whole value instead."),
    ("train.seed=!!python/name:os.system", "--set train.seed:1: expected plain data, found the tag tag:yaml.org,2002:python/name:os.system. "
     "Delete the tag: a spec cannot name code."),
])
def test_wrong_overrides(assignment: str, message: str) -> None:
    with pytest.raises(SpecError) as caught:
        validate(Small, override(read_yaml("train: {budget: 5m}", "thuja.yaml"), [assignment]))
    assert str(caught.value) == message


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
                    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["kind", "train", "steps", "data", "x"]), inner, max_size=3),
                    max_leaves=12))
def test_no_data_makes_the_reader_crash(value: object) -> None:
    from thuja.core.document import Document

    try:
        validate(Small, Document({"train": value, "data": value}))
    except SpecError as error:
        assert error.where.startswith("spec")


@given(st.text(max_size=200))
def test_no_text_makes_the_reader_crash(text: str) -> None:
    try:
        read_yaml(text, "thuja.yaml")
    except SpecError as error:
        assert error.where.startswith("thuja.yaml")
