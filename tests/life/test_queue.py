"""The audit queue: the same questions for everybody, from windows that are over, minus what is labelled or erased; and which of them speak for all answers."""

import shops
import toys
from shops import DAY, begin, live

from thuja.life.audit import draw
from thuja.life.deployment import Deployment
from thuja.life.labels import Label
from thuja.life.plan import Audit, Plan, Record
from thuja.life.queue import SETTLED, WINDOWS, Queue

FULL = Plan(record=Record(inputs="full"), audit=Audit(per_window=12, uncertain=0.5))


def lived(tmp_path, days=3, plan=FULL):
    deployment = begin(tmp_path / "shop", plan)
    live(deployment, days, labelled=False)
    deployment.clock.now += SETTLED + 1
    return deployment


def test_two_processes_ask_the_same_and_what_is_labelled_is_asked_no_more(tmp_path):
    deployment = lived(tmp_path)
    queue, twin = Queue(deployment), Queue(Deployment.open(deployment.path, deployment.clock))
    twin.deployment.kinds = toys.KINDS
    waiting = queue.open()
    assert waiting == twin.open() and 15 < len(waiting) < 60
    first = queue.next()
    assert (first.call.id, first.left, first.asked) == (waiting[0].call, len(waiting), "value") and first.call.inputs["size"] > 0
    deployment.labels.add([Label(first.call.id, deployment.clock(), {"value": 1.0}, evenly=first.evenly)], came=deployment.clock())
    assert len(queue.open()) == len(waiting) - 1 and queue.next().call.id == waiting[1].call
    assert twin.open() == queue.open()


def test_the_draw_is_that_of_the_window_and_says_who_speaks_for_all(tmp_path):
    deployment = lived(tmp_path)
    queue = Queue(deployment)
    number = int(shops.BEGIN // DAY)
    calls = list(deployment.calls.between(shops.BEGIN, shops.BEGIN + DAY))
    scores = shops.np.array([call.answer["value"] for call in calls])
    expected = draw(FULL.audit, calls, scores, number)
    assert [asked for asked in queue.open() if asked.call in {call.id for call in calls}] == expected
    evenly = queue.evenly([call.id for call in calls])
    assert evenly == {asked.call: asked.evenly for asked in expected} and set(evenly.values()) == {True, False}
    assert queue.evenly(["nobody", "zz-x", "1-x", calls[0].id[:-1]]) == {}


def test_a_window_that_is_not_over_is_not_asked_about(tmp_path):
    deployment = begin(tmp_path / "shop", FULL)
    live(deployment, 1, labelled=False)
    queue = Queue(deployment)
    assert queue.open() == [] and queue.next() is None  # what was answered last may not be written yet
    assert queue.opens() == deployment.clock() + SETTLED
    deployment.clock.now += SETTLED
    assert queue.open()


def test_what_was_passed_over_comes_again_at_the_end(tmp_path):
    queue = Queue(lived(tmp_path))
    names = [asked.call for asked in queue.open()]
    assert [queue.next(after=name).call.id for name in names] == [*names[1:], names[0]]
    assert queue.next(after="gone").call.id == names[0]


def test_erased_inputs_are_not_asked_about(tmp_path):
    deployment = lived(tmp_path, days=1)
    queue = Queue(deployment)
    names = [asked.call for asked in queue.open()]
    deployment.calls.erase(names[:2])
    question = queue.next()
    assert question.call.id == names[2] and question.left == len(names) - 2 == len(queue.open())
    deployment.calls.erase(names)
    assert queue.next() is None and queue.open() == []


def test_old_windows_and_plans_without_rows_ask_nothing(tmp_path):
    deployment = lived(tmp_path, days=1)
    deployment.clock.now += WINDOWS * DAY
    assert Queue(deployment).open() == []
    assert Queue(lived(tmp_path / "summaries", plan=Plan())).open() == []
    assert Queue(begin(tmp_path / "nobody", FULL, champion=False)).open() == []
