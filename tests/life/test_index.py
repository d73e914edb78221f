"""The index of labels says what the files say, whatever became of either."""

import logging
import sqlite3
import threading

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from thuja.life.index import Index
from thuja.life.labels import Label, Labels

CALLS = [f"0-{letter}" for letter in "abcdef"]


def read(labels, calls, start, end):
    """The same, from all that came."""
    return {label.call: label.truth for label in labels.between(start, end) if label.call in set(calls)}


@pytest.fixture
def labels(tmp_path):
    made = Labels(tmp_path / "labels", span=10.0)
    for came, call, value in ((1.0, "a", 1), (2.0, "b", 2), (12.0, "a", 3), (31.0, "c", 4), (31.0, "c", 5)):
        made.add([Label(call, came, {"value": value})], came)
    return made


def test_the_latest_before_counts(labels):
    assert labels.truths(["a", "b", "c", "nobody"], 0.0, 100.0) == {"a": {"value": 3}, "b": {"value": 2}, "c": {"value": 5}}
    assert labels.truths(["a", "b"], 0.0, 12.0) == {"a": {"value": 1}, "b": {"value": 2}}
    assert labels.truths(["a"], 1.5, 12.0) == {} and labels.truths([], 0.0, 100.0) == {}


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=st.lists(st.one_of(
    st.tuples(st.just("add"), st.lists(st.tuples(st.sampled_from(CALLS), st.integers(0, 3)), min_size=1, max_size=4), st.floats(0, 60)),
    st.tuples(st.just("ask"), st.lists(st.sampled_from([*CALLS, "9-x"]), max_size=5), st.floats(0, 60), st.floats(0, 60)),
    st.tuples(st.just("tear"), st.integers(0, 5), st.integers(1, 40)), st.tuples(st.just("expire"), st.floats(0, 60)),
    st.tuples(st.just("delete"),)), max_size=14))
def test_at_any_time_it_says_what_the_files_say(tmp_path_factory, steps):
    labels = Labels(tmp_path_factory.mktemp("some") / "labels", span=10.0)
    for what, *how in steps:
        path = labels.segments.file(how[0]) if what == "tear" else None
        match what:
            case "add":
                labels.add([Label(call, how[1], {"value": value}) for call, value in how[0]], how[1])
            case "tear" if path is not None and path.exists():
                path.write_bytes(path.read_bytes()[: -how[1]])
                labels = Labels(labels.path, span=10.0)
            case "expire":
                labels.segments.expire(how[0])
            case "delete":
                Index(labels.segments).remove()
            case "ask":
                assert labels.truths(how[0], how[1], how[2]) == read(labels, how[0], how[1], how[2])
    assert labels.truths(CALLS, 0.0, 100.0) == read(labels, CALLS, 0.0, 100.0)


@pytest.mark.parametrize("damage", ["text", "empty", "cut", "other format", "gone"])
def test_a_damaged_index_is_made_anew(labels, damage, caplog):
    known = labels.truths(["a", "b", "c"], 0.0, 100.0)
    index = Index(labels.segments)
    match damage:
        case "text":
            index.path.write_text("a poem " * 3000)
        case "empty":
            index.path.write_bytes(b"")
        case "cut":
            index.path.write_bytes(index.path.read_bytes()[:5000])
        case "gone":
            index.path.unlink()
        case _:
            with sqlite3.connect(index.path) as database:
                database.execute("PRAGMA user_version=77")
    with caplog.at_level(logging.WARNING):
        assert labels.truths(["a", "b", "c"], 0.0, 100.0) == known and labels.truths(["a", "b", "c"], 0.0, 100.0) == known
    assert len(caplog.records) == (damage in ("text", "cut", "other format"))


def test_what_is_held_by_another_is_read_from_the_files(labels, monkeypatch, caplog):
    from thuja.life import index

    monkeypatch.setattr(index, "PATIENCE", 0.05)
    labels.truths(["a"], 0.0, 100.0)
    holder = sqlite3.connect(Index(labels.segments).path, isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    labels.add([Label("a", 33.0, {"value": 9})], 33.0)
    assert labels.truths(["a"], 0.0, 100.0) == {"a": {"value": 9}} and "without their index" in caplog.text
    holder.execute("ROLLBACK")
    holder.close()
    assert labels.truths(["a"], 0.0, 100.0) == {"a": {"value": 9}}


def test_many_that_ask_at_once_get_one_answer(labels):
    found = []

    def ask():
        found.append(Labels(labels.path, span=10.0).truths(["a", "b", "c"], 0.0, 100.0))

    threads = [threading.Thread(target=ask) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [found[0]] * 6 and len(found[0]) == 3


def test_only_what_is_new_is_read(labels, monkeypatch):
    labels.truths(["a"], 0.0, 100.0)
    read_from = []
    since = type(labels.segments).since
    monkeypatch.setattr(type(labels.segments), "since", lambda self, number, start: (read_from.append((number, start)), since(self, number, start))[1])
    labels.truths(["b"], 0.0, 100.0)
    assert read_from == []
    size = labels.segments.file(3).stat().st_size
    labels.add([Label("d", 35.0, {"value": 1})], 35.0)
    assert labels.truths(["d"], 0.0, 100.0) == {"d": {"value": 1}} and read_from == [(3, size)]
