"""Recording never harms serving: what the queue cannot take and the disk refuses is lost, counted and told of; what is kept is no more than the plan says."""

import json

import living
import numpy as np
import pytest
import serve_toys

from thuja.core.storage import Disk
from thuja.fields import Image, Number, Schema, Text
from thuja.life.calls import Calls
from thuja.life.plan import Harm, Plan, Record
from thuja.server import recording
from thuja.server.metrics import Metrics
from thuja.server.recording import Kept, Recording

SCHEMA = Schema(inputs={"message": Text(), "size": Number()}, outputs={"value": Number()})


def kept(number, schema=SCHEMA, **row):
    return Kept(f"x-{number}", living.BEGIN + number, "1", schema, row or {"message": "hello", "size": float(number)}, {"value": 1.5}, 0.25, 1.0)


def make(tmp_path, *, disk=None, harm=None, **plan):
    clock = living.Clock()
    calls = Calls(tmp_path / "calls", disk or Disk())
    return Recording(calls, Plan(record=Record(**plan), harm=harm or Harm()), clock, Metrics().life()), clock


@pytest.mark.parametrize(("inputs", "want"), [("none", None), ("summary", None), ("full", {"message": "hello", "size": 1.0})])
def test_inputs_are_kept_as_the_plan_says(tmp_path, inputs, want):
    record, clock = make(tmp_path, inputs=inputs)
    record.requests = 3
    for number in (1, 2, 3):
        record.add(kept(number))
    record.flush()
    record.count(clock())
    calls = list(record.calls.between(0, 2e9))
    assert [call.inputs for call in calls][:1] == [want] and calls[0].answer == {"value": 1.5}
    (counts,) = record.calls.counted(0, 2e9)
    assert counts.requests == 3 and bool(counts.inputs) == (inputs == "summary")
    if inputs == "summary":
        assert counts.inputs["size"]["mean"] == 2.0 and counts.inputs["message"]["rows"] == 3


def test_what_groups_are_told_apart_by_is_kept_beside_a_summary(tmp_path):
    record, _ = make(tmp_path, harm=Harm(groups=("size",)))
    record.add(kept(1))
    record.flush()
    assert next(record.calls.between(0, 2e9)).inputs == {"size": 1.0}


@pytest.mark.parametrize("inputs", ["summary", "full"])
def test_pictures_are_kept_only_where_whole_inputs_are_and_summarised_in_both(tmp_path, inputs):
    from test_pictures import jpeg  # a module beside this one

    schema = Schema(inputs={"photo": Image()}, outputs={"picture": Image(), "value": Number()})
    record, clock = make(tmp_path, inputs=inputs)
    for number in range(30):
        one = kept(number, schema, photo=jpeg(250))
        record.add(one._replace(answer={"picture": np.zeros((2, 2, 1), np.uint8), "value": 1.0}))
    record.requests = 30
    record.flush()
    record.count(clock())
    call = next(record.calls.between(0, 2e9))
    assert (call.inputs is None, "picture" in call.answer) == ((True, False) if inputs == "summary" else (False, True))
    (counts,) = record.calls.counted(0, 2e9)
    assert counts.inputs["photo"]["rows"] == recording.PICTURES


def test_a_queue_that_is_full_loses_records_and_says_how_many(tmp_path, monkeypatch):
    monkeypatch.setattr(recording, "QUEUE_S", 1)
    record, clock = make(tmp_path, most_per_second=5)
    for number in range(8):
        record.add(kept(number))
    clock.now += 10
    record.flush()
    assert len(list(record.calls.between(0, 2e9))) == 5
    (gap,) = record.calls.gaps(0, 2e9)
    assert (gap.lost, gap.why, gap.start, gap.end) == (3, "the disk was too slow", living.BEGIN, living.BEGIN + 10)


def test_large_values_do_not_fill_the_memory(tmp_path, monkeypatch):
    monkeypatch.setattr(recording, "HELD_BYTES", 1000)
    record, _ = make(tmp_path)
    for number in range(5):
        record.add(kept(number, message="x" * 400, size=1.0))
    assert record.lost == 3
    record.flush()
    record.add(kept(9, message="x" * 400, size=1.0))
    assert record.lost == 3  # what was written is held no more


class Nearly(Disk):
    """A disk with so much space left."""

    left = 1 << 40

    def free_bytes(self, path):
        return self.left


def test_a_disk_that_fills_up_is_left_to_the_ledger(tmp_path):
    disk = Nearly()
    record, clock = make(tmp_path, disk=disk)
    disk.left = recording.LEAST_FREE - 1
    record.add(kept(1))
    record.flush()
    disk.left = 1 << 40
    clock.now += 1
    record.add(kept(2))
    record.flush()
    assert [call.id for call in record.calls.between(0, 2e9)] == ["x-2"]
    assert [(gap.lost, gap.why) for gap in record.calls.gaps(0, 2e9)] == [(1, "the disk is nearly full")]


def test_counts_wait_for_a_disk_that_refuses(tmp_path):
    class Full(Disk):
        on = True

        def extend(self, path, data):
            if self.on:
                raise OSError(28, "No space left on device")
            super().extend(path, data)

    disk = Full()
    record, clock = make(tmp_path, disk=disk)
    for minute in (1, 2):
        record.requests += 10
        record.refusals += minute
        record.count(clock())
        clock.now += 60
    disk.on = False
    record.count(clock())
    assert [(one.requests, one.refusals) for one in record.calls.counted(0, 2e9)] == [(10, 1), (10, 2)]


def test_old_answers_go_file_by_file(tmp_path, monkeypatch):
    monkeypatch.setattr(recording, "EXPIRE_S", -1.0)
    record, clock = make(tmp_path, keep=7200.0)
    record.add(kept(0))
    record.flush()
    clock.now += 3 * 7200
    record.add(kept(3 * 7200))
    record.flush()
    assert [call.at for call in record.calls.between(0, 2e9)] == [living.BEGIN + 3 * 7200]


def test_a_damaged_file_is_a_gap_and_costs_no_answer(start, tmp_path):
    deployment = living.deployed(tmp_path)
    client = start(deployment)
    life = client.app.service.life
    client.post("/predict", json={"message": "a"})
    life.recording.flush()
    client.post("/predict", json={"message": "a"})
    life.recording.flush()
    (file,) = (deployment.path / "calls").iterdir()
    file.write_bytes(file.read_bytes().replace(b"ham", b"hum", 1))
    assert client.post("/predict", json={"message": "a"}).status_code == 200
    life.recording.flush()
    assert [gap.why for gap in deployment.calls.gaps(0, 2e9)] == ["a damaged file"]


def test_every_kind_of_answer_becomes_json(start, tmp_path):
    deployment = living.deployed(tmp_path, codec=serve_toys.ToyFace(), plan=Plan(record=Record(inputs="full")))
    client = start(deployment)
    from test_pictures import base64_text, jpeg  # a module beside this one

    assert client.post("/predict", json={"photo": base64_text(jpeg(100))}).status_code == 200
    client.app.service.life.recording.flush()
    call = next(deployment.calls.between(0, 2e9))
    assert len(call.answer["embedding"]) == 16 and json.dumps(call.inputs)
