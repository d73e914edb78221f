"""Labels in a flood: a limit, one write for many, and ids that nobody was given fill no disk."""

import asyncio

import living
import pytest

from thuja.core.storage import Disk
from thuja.life.calls import Call
from thuja.life.labels import Label
from thuja.server.inbox import Allowance, Inbox, Taken
from thuja.server.metrics import Metrics
from thuja.server.problem import Refusal


def test_an_allowance_is_saved_up_for_a_while_only():
    allowance = Allowance(10)
    assert allowance.take(25, 0.0) == 20 and allowance.take(1, 0.0) == 0
    assert allowance.take(5, 0.5) == 5 and allowance.take(1, 0.5) == 0
    assert allowance.take(100, 1e6) == 20
    assert allowance.take(1, 5.0) == 0  # a clock that goes backwards gives nothing


class Counting(Disk):
    """Counts what is written, and waits for a sign."""

    def __init__(self):
        self.synced = 0

    def sync(self, path):
        self.synced += path.suffix == ".log"
        super().sync(path)


def label(name, truth="ham"):
    return Label(name, living.BEGIN, {"label": truth})


def play(deployment, rate, work):
    async def run():
        inbox = Inbox(deployment, rate, Metrics().life())
        inbox.start()
        try:
            return await work(inbox)
        finally:
            await inbox.stop()

    return asyncio.run(asyncio.wait_for(run(), 20))


def test_labels_that_come_together_are_written_together(tmp_path):
    disk = Counting()
    deployment = living.deployed(tmp_path, disk=disk)
    deployment.calls.add([Call(f"{int(living.BEGIN // 3600):x}-a", living.BEGIN, "1", None, {"label": "ham"}, 1.0, 1.0)])
    name, before = f"{int(living.BEGIN // 3600):x}-a", disk.synced

    async def work(inbox):
        return await asyncio.gather(*(inbox.put([label(name)]) for _ in range(50)))

    assert set(play(deployment, 1000, work)) == {Taken(1, 0, 0)}
    assert len(deployment.labels.between(0, 2e9)) == 50 and disk.synced - before <= 3


def test_an_answer_on_its_way_to_the_disk_is_no_stranger(tmp_path):
    deployment = living.deployed(tmp_path)
    client_knows, fresh = "6d1c0-soon", set()
    fresh.add(client_knows)

    async def run():
        inbox = Inbox(deployment, 100, Metrics().life(), fresh)
        inbox.start()
        try:
            return await inbox.put([label(client_knows), label("6d1c0-never")])
        finally:
            await inbox.stop()

    assert asyncio.run(asyncio.wait_for(run(), 20)) == Taken(2, 1, 0)


def test_a_flood_is_refused_and_unknown_ids_more_so(tmp_path):
    deployment = living.deployed(tmp_path)

    async def work(inbox):
        first = await inbox.put([label(f"made-up-{i}") for i in range(150)])
        with pytest.raises(Refusal) as error:
            await inbox.put([label("x")] * 60)
        return first, error.value

    first, error = play(deployment, 100, work)
    assert first == Taken(20, 150, 130) and len(deployment.labels.between(0, 2e9)) == 20
    assert (error.status, error.headers) == (429, {"Retry-After": "1"})


def test_one_who_hangs_up_does_not_take_the_others_along(tmp_path):
    deployment = living.deployed(tmp_path)

    async def work(inbox):
        gone, stays = asyncio.create_task(inbox.put([label("a")])), asyncio.create_task(inbox.put([label("b")]))
        await asyncio.sleep(0)
        gone.cancel()
        return await stays

    assert play(deployment, 100, work) == Taken(1, 1, 0)
