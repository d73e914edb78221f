"""Kept answers: what is read is what was written, a refusing disk costs records and not answers, old hours go, and a flood is sampled fairly."""

import numpy as np
import pytest

from thuja.core.storage import Disk
from thuja.life.calls import Call, Calls, Gap, Sampler
from thuja.life.segments import HOUR


def call(at, name=None, **more):
    return Call(name or f"c{at}", at, "1", {"x": 1.5}, {"label": "a"}, 0.3, 1.0, **more)


def test_read_is_what_was_written_and_only_of_the_time_asked_for(tmp_path):
    calls, kept = Calls(tmp_path / "calls"), [call(HOUR * 10 + 60.0 * i) for i in range(150)]
    assert calls.add(kept[:90]) and calls.add(kept[90:]) and calls.add([])
    assert list(Calls(tmp_path / "calls").between(0, 1e9)) == kept
    assert list(calls.between(kept[20].at, kept[100].at)) == kept[20:100]
    assert sorted(p.name for p in (tmp_path / "calls").iterdir()) == ["10.log", "11.log", "12.log"]
    assert calls.segments.expire(HOUR * 12) == 2 and next(calls.between(0, 1e9)).at == kept[120].at


class Full(Disk):
    """Refuses after a while, until it is told otherwise."""

    refuse = False

    def extend(self, path, data):
        if self.refuse:
            raise OSError(28, "No space left on device")
        super().extend(path, data)


def test_a_full_disk_loses_records_not_answers_and_says_so_afterwards(tmp_path):
    disk = Full()
    calls = Calls(tmp_path / "calls", disk)
    assert calls.add([call(10.0)])
    disk.refuse = True
    assert not calls.add([call(20.0), call(21.0)]) and not calls.add([call(30.0)])
    disk.refuse = False
    assert calls.add([call(40.0)])
    assert [c.at for c in calls.between(0, 100)] == [10.0, 40.0]
    (gap,) = calls.gaps(0, 100)
    assert ((gap.start, gap.end, gap.lost) == (20.0, 30.0, 3) and "full" in gap.why.lower()) or "space" in gap.why.lower()
    assert not calls.gaps(50, 100)


@pytest.mark.parametrize("keep", [0.0, 0.3, 0.9, 0.999])
def test_a_torn_tail_is_passed_over_and_writing_goes_on(tmp_path, keep):
    calls = Calls(tmp_path / "calls")
    calls.add([call(1.0), call(2.0)])
    path = tmp_path / "calls" / "0.log"
    whole = path.read_bytes()
    path.write_bytes(whole + whole[: int(keep * whole.index(b"\n"))])
    assert [c.at for c in Calls(tmp_path / "calls").between(0, 10)] == [1.0, 2.0]
    again = Calls(tmp_path / "calls")
    assert again.add([call(3.0)]) and [c.at for c in again.between(0, 10)] == [1.0, 2.0, 3.0]


def test_a_damaged_hour_is_a_gap_and_the_others_are_read(tmp_path):
    calls = Calls(tmp_path / "calls")
    for hour in (0, 1):
        calls.add([call(hour * HOUR + 1.0)])
        calls.add([call(hour * HOUR + 2.0)])
    path = tmp_path / "calls" / "0.log"
    data = bytearray(path.read_bytes())
    data[30] ^= 1
    path.write_bytes(bytes(data))
    assert [c.at for c in calls.between(0, 1e6)] == [HOUR + 1.0, HOUR + 2.0]
    assert [gap.why for gap in calls.gaps(0, 1e6)] == ["a damaged file"]


def test_inputs_can_be_erased_for_good(tmp_path):
    calls = Calls(tmp_path / "calls")
    calls.add([call(1.0, "me"), call(2.0, "you")])
    assert calls.erase(["me", "nobody"]) == 1 == calls.erase(["you"])
    assert [c.inputs for c in calls.between(0, 10)] == [None, None]
    assert b"1.5" not in (tmp_path / "calls" / "0.log").read_bytes()


def test_a_hundredfold_spike_is_sampled_and_still_counts_right():
    rng, sampler = np.random.default_rng(0), Sampler(1.0, 50)
    kept, stands, asked = [], 0.0, 0
    for second in range(60):
        rate = 4000 if 20 <= second < 40 else 40
        weights = [sampler.keep(second + i / rate, float(rng.random())) for i in range(rate)]
        asked += rate
        kept.append(sum(weight > 0 for weight in weights))
        stands += sum(weights)
    assert max(kept) <= 110 and np.mean(kept[25:40]) == pytest.approx(50, rel=0.15)
    assert kept[:20] == [40] * 20
    spike = 4000 - 100  # the second in which it began is cut, and the one after still counts
    assert stands == pytest.approx(asked - spike, rel=0.1)


def test_an_answer_is_found_by_its_name(tmp_path):
    calls, at = Calls(tmp_path / "calls"), HOUR * 470_000 + 5.0
    kept = [call(at, calls.new_id(at)), call(at + HOUR, calls.new_id(at + HOUR))]
    calls.add(kept)
    assert calls.named([kept[1].id, "nobody", "zz-1", f"{470_000:x}-guessed"]) == {kept[1].id: kept[1]}
    assert len({calls.new_id(at) for _ in range(100)}) == 100


def test_which_ids_are_kept_is_known_without_reading_twice(tmp_path, monkeypatch):
    calls, at = Calls(tmp_path / "calls"), HOUR * 470_000 + 5.0
    kept = [call(at, calls.new_id(at)) for _ in range(3)]
    calls.add(kept[:2])
    assert calls.known([one.id for one in kept] + ["nobody", "zz-1"]) == {one.id for one in kept[:2]}
    read = []
    since = calls.segments.since
    monkeypatch.setattr(calls.segments, "since", lambda number, start: read.append(start) or since(number, start))
    calls.add(kept[2:])
    assert calls.known([one.id for one in kept]) == {one.id for one in kept} and calls.known([kept[0].id]) == {kept[0].id}
    assert len(read) == 1 and read[0] > 0  # only what was new
    calls.segments.expire(at + 2 * HOUR)
    assert not calls.known([kept[0].id])


def test_gaps_that_the_writer_tells_of_are_kept_with_the_next_answers(tmp_path):
    calls = Calls(tmp_path / "calls")
    calls.lose(Gap(10.0, 20.0, 3, "the disk was too slow"))
    calls.lose(Gap(15.0, 30.0, 2, "the disk was too slow"))
    assert calls.add([]) and calls.gaps(0, 100) == [Gap(10.0, 30.0, 5, "the disk was too slow")]
    assert calls.add([call(40.0)]) and len(calls.gaps(0, 100)) == 1


def test_two_writers_take_turns_and_mend_what_one_left_when_it_died(tmp_path):
    first, second = Calls(tmp_path / "calls"), Calls(tmp_path / "calls")
    first.add([call(1.0)])
    second.add([call(2.0)])
    first.add([call(3.0)])
    path = tmp_path / "calls" / "0.log"
    with path.open("ab") as file:  # the second dies while it writes
        file.write(path.read_bytes()[:40])
    first.add([call(4.0)])
    first.add([call(5.0)])
    assert [one.at for one in Calls(tmp_path / "calls").between(0, 10)] == [1.0, 2.0, 3.0, 4.0, 5.0] and not first.segments.damaged()
