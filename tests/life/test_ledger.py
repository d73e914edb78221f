"""The event log: a chain that shows every change, survives torn tails, clocks that go backwards and writers that race."""

import json
import threading
from itertools import pairwise

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from thuja.core import digest, log
from thuja.core.errors import ArtifactError
from thuja.life.ledger import BEGINNING, Ledger, Said, Stale


def filled(path, count=5):
    times = iter(range(100, 1000))
    ledger = Ledger(path, clock=lambda: float(next(times)))
    for number in range(count):
        ledger.append([Said("note", body={"number": number})])
    return ledger


def test_events_follow_from_one_another(tmp_path):
    ledger = filled(tmp_path / "ledger.log")
    events = Ledger(tmp_path / "ledger.log").events()
    assert events == ledger.events()
    assert [e.number for e in events] == [1, 2, 3, 4, 5] and [e.at for e in events] == [100, 101, 102, 103, 104]
    assert events[0].previous == BEGINNING
    assert all(b.previous == a.hash for a, b in pairwise(events))
    for event in events:
        plain = event.plain()
        assert plain.pop("hash") == digest.of_data(plain)


def test_a_changed_event_is_refused_even_with_a_right_checksum(tmp_path):
    path = tmp_path / "ledger.log"
    filled(path)
    records = log.read(path).records
    for place in range(5):
        changed = json.loads(json.dumps(records))
        changed[place]["body"]["number"] = 99
        log.rewrite(path, changed)
        with pytest.raises(ArtifactError, match=f"event {place + 1}: expected the event that follows"):
            Ledger(path).events()
        if place < 4:
            log.rewrite(path, records[:place] + records[place + 1 :])
            with pytest.raises(ArtifactError, match="expected the event that follows"):
                Ledger(path).events()


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(cut=st.integers(0, 10_000))
def test_cut_at_any_byte_the_whole_events_before_it_are_left_and_writing_goes_on(tmp_path, cut):
    path = tmp_path / "ledger.log"
    path.unlink(missing_ok=True)
    known = filled(path).events()
    data = path.read_bytes()
    path.write_bytes(data[: cut % (len(data) + 1)])
    again = Ledger(path, clock=lambda: 2000.0)
    left = again.events()
    assert left == known[: len(left)] and len(left) >= data[: cut % (len(data) + 1)].count(b"\n")
    (added,) = again.append([Said("note", body={"after": "the cut"})])
    assert Ledger(path).events() == [*left, added]


def test_a_clock_that_goes_backwards_does_not_take_the_log_with_it(tmp_path):
    times = iter([100.0, 40.5, 120.0])
    ledger = Ledger(tmp_path / "ledger.log", clock=lambda: next(times))
    for _ in range(3):
        ledger.append([Said("note")])
    assert [(e.at, e.body) for e in ledger.events()] == [(100.0, {}), (100.0, {"clock_behind_s": 59.5}), (120.0, {})]


def test_who_decides_on_old_news_looks_again(tmp_path):
    ledger, other = filled(tmp_path / "ledger.log", 2), Ledger(tmp_path / "ledger.log", clock=lambda: 500.0)
    other.append([Said("alarm")], after=2)
    with pytest.raises(Stale) as error:
        ledger.append([Said("moved")], after=2)
    assert [e.kind for e in error.value.news] == ["alarm"]
    assert len(ledger.events()) == 3


def test_many_writers_leave_one_chain(tmp_path):
    path = tmp_path / "ledger.log"

    def write(name):
        ledger = Ledger(path, clock=lambda: 1.0)
        for number in range(10):
            ledger.append([Said("note", body={"who": name, "number": number}), Said("note", body={"who": name, "second": True})])

    threads = [threading.Thread(target=write, args=(name,)) for name in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    events = Ledger(path).events()
    assert [e.number for e in events] == list(range(1, 81))
    assert all(a.body["who"] == b.body["who"] for a, b in zip(events[::2], events[1::2], strict=True))  # what belongs together stays together


@settings(max_examples=60, deadline=None)
@given(steps=st.lists(st.tuples(st.sampled_from(["first", "second", "read", "tear", "cut", "swap"]), st.integers(1, 60)), max_size=14))
def test_whoever_reads_on_sees_what_one_who_reads_anew_sees(tmp_path_factory, steps):
    """Two that write and one that reads on, over torn tails, events cut off, and the log of another deployment put in its place."""
    path = tmp_path_factory.mktemp("log") / "ledger.log"
    writers = {name: Ledger(path, clock=lambda: 5.0) for name in ("first", "second")}
    reader = Ledger(path)
    for what, size in steps:
        match what:
            case "first" | "second":
                before = Ledger(path).events()
                added = writers[what].append([Said("note", body={"who": what, "text": "x" * size}) for _ in range(1 + size % 3)])
                assert Ledger(path).events() == [*before, *added]
            case "tear" if path.exists():
                with path.open("ab") as file:
                    file.write(b"0badc0de 99 {" + b"y" * size)
            case "cut" if path.exists():
                kept = log.read(path).records[: -1 - size % 2]
                log.rewrite(path, kept)
            case "swap":
                path.unlink(missing_ok=True)
                Ledger(path, clock=lambda: 9.0).append([Said("other", body={"text": "z" * (300 + size)}) for _ in range(3)])
        assert reader.events() == Ledger(path).events()


def test_what_is_added_while_others_read_is_read_whole_or_not_at_all(tmp_path):
    path = tmp_path / "ledger.log"
    writer, stop, seen = Ledger(path, clock=lambda: 1.0), threading.Event(), []

    def read():
        reader = Ledger(path)
        while not stop.is_set():
            seen.append([event.body["pair"] for event in reader.events()])

    threads = [threading.Thread(target=read) for _ in range(3)]
    for thread in threads:
        thread.start()
    for number in range(60):
        writer.append([Said("note", body={"pair": number}), Said("note", body={"pair": number})])
    stop.set()
    for thread in threads:
        thread.join()
    assert seen and all(pairs == sorted(pairs) and pairs[:2] in ([], [0, 0]) for pairs in seen)
    assert all(set(b).issuperset(a) for a, b in pairwise([*seen[:1], [event.body["pair"] for event in Ledger(path).events()]]))


def test_of_a_log_that_has_grown_only_what_is_new_is_read(tmp_path, monkeypatch):
    path = tmp_path / "ledger.log"
    writer, reader = filled(path), Ledger(path)
    known, starts = reader.events(), []
    read = log.read
    monkeypatch.setattr(log, "read", lambda path, disk, start=0: starts.append(start) or read(path, disk, start))
    writer.append([Said("note"), Said("note")])
    assert [event.number for event in reader.events()] == [1, 2, 3, 4, 5, 6, 7] and reader.events()[:5] == known
    assert len(starts) == 1 and starts[0] > 0
    with path.open("ab") as file:
        file.write(b"0badc0de 99 {half")  # a torn tail is passed over, and taken off by the next who writes
    assert len(reader.events()) == 7 and 0 not in starts
    assert reader.append([Said("note")])[0].number == 8 and len(Ledger(path).events()) == 8


def test_another_log_in_its_place_is_read_anew_and_a_changed_one_refused(tmp_path):
    path, other = tmp_path / "ledger.log", tmp_path / "other.log"
    filled(path, 3)
    filled(other, 9).append([Said("another story")])
    reader = Ledger(path)
    assert len(reader.events()) == 3
    path.write_bytes(other.read_bytes())
    assert [event.kind for event in reader.events()] == ["note"] * 9 + ["another story"]
    records = log.read(path).records
    log.rewrite(path, [*records, records[-1] | {"number": 11}])
    with pytest.raises(ArtifactError, match="event 11"):
        reader.events()
