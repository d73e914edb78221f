import asyncio
import threading

from thuja.core.errors import StorageError
from thuja.server.background import Background


def test_work_goes_on_after_trouble_which_is_told_once(caplog):
    done: list[int] = []
    told: list[bool] = []

    def work() -> None:
        done.append(len(done))
        if len(done) in (2, 3):
            raise StorageError("place", expected="a disk", found="none")
        if len(done) == 4:
            raise ZeroDivisionError("a defect")

    async def play() -> None:
        background = Background("working", 0.001, lambda: work, lambda name, trouble: told.append(trouble))
        background.start()
        while len(told) < 6:
            await asyncio.sleep(0.001)
        await background.stop(lambda: done.append(99))

    asyncio.run(asyncio.wait_for(play(), 20))
    assert told[:5] == [False, True, True, True, False] and done[-1] == 99
    messages = [record.message for record in caplog.records]
    assert messages == ["working: place: expected a disk, found none.", "working: a defect", "working: goes on"]
    assert caplog.records[1].exc_info is not None and caplog.records[0].exc_info is None


def test_waking_does_not_wait_and_nothing_to_do_is_nothing():
    asked: list[int] = []

    async def play() -> None:
        background = Background("working", 3600, lambda: asked.append(1), lambda name, trouble: None)
        background.start()
        await asyncio.sleep(0)
        background.wake()
        while not asked:
            await asyncio.sleep(0.001)
        await background.stop()

    asyncio.run(asyncio.wait_for(play(), 20))
    assert asked == [1]


def test_a_disk_that_hangs_does_not_hold_the_server_up(monkeypatch):
    monkeypatch.setattr("thuja.server.background.LAST_S", 0.05)
    let_go = threading.Event()

    async def play() -> str:
        background = Background("working", 3600, lambda: None, lambda name, trouble: None)
        background.start()
        await background.stop(let_go.wait)
        return background.trouble

    assert asyncio.run(asyncio.wait_for(play(), 20)) == "not done after 0.05 s"
    let_go.set()
