import asyncio
import threading
import time
from collections.abc import Coroutine
from typing import Any

import numpy as np
import pytest

from thuja.codec import Arrays, Columns, Ragged, count, ragged, rectangular
from thuja.core.errors import DataError, ThujaError
from thuja.server.batcher import Batcher, joined
from thuja.server.settings import ServeSettings

SMALL = ServeSettings(max_batch=4, max_rows=8, max_waiting=16)


def rows(*lengths: int) -> Columns:
    return {"ids": ragged([np.full(n, n, np.int64) for n in lengths])}


def lengths(columns: Columns) -> np.ndarray:
    """A model that tells every row how long it is; it does not take a row of length 13."""
    ids = rectangular(columns)["ids"]
    found = (ids != 0).sum(1)
    if 13 in found:
        raise DataError(f"rows[{int(np.argmax(found == 13))}]", expected="luck", found="13", fix="Try another.")
    return found.astype(np.float32)


class Model:
    """Remembers its batches; waits until it may run."""

    def __init__(self) -> None:
        self.batches: list[list[float]] = []
        self.may_run = threading.Event()
        self.may_run.set()
        self.runs = threading.Semaphore(0)

    def run(self, columns: Columns, program: str) -> Arrays:
        self.runs.release()
        assert self.may_run.wait(10)
        self.batches.append([])
        found = lengths(columns)
        self.batches[-1] = found.tolist()
        return {"value": found}


async def started(model: Model, settings: ServeSettings = SMALL) -> tuple[Batcher, "asyncio.Task[Arrays]"]:
    """A batcher whose model is busy with one row of length 1."""
    batcher = Batcher(model.run, settings)
    model.may_run.clear()
    first = asyncio.create_task(batcher.submit(rows(1)))
    await asyncio.to_thread(model.runs.acquire)
    return batcher, first


def play(work: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(work, 20))


def test_rows_that_wait_together_run_together_and_each_gets_its_own():
    async def work() -> None:
        model = Model()
        batcher, first = await started(model)
        others = [asyncio.create_task(batcher.submit(rows(*n))) for n in ((2,), (3, 5), (4,), (6,))]
        await asyncio.sleep(0)
        assert batcher.waiting == 5
        model.may_run.set()
        answers = [(await task)["value"].tolist() for task in (first, *others)]
        assert answers == [[1], [2], [3, 5], [4], [6]]
        assert model.batches == [[1], [2, 3, 5, 4], [6]]
        await batcher.close()

    play(work())


def test_a_poisoned_row_fails_alone():
    async def work() -> None:
        model = Model()
        batcher, first = await started(model)
        tasks = [asyncio.create_task(batcher.submit(rows(n))) for n in (2, 13, 3)]
        await asyncio.sleep(0)
        model.may_run.set()
        found = await asyncio.gather(first, *tasks, return_exceptions=True)
        assert [f["value"].tolist() if isinstance(f, dict) else str(f) for f in found] == [[1], [2], "rows[0]: expected luck, found 13. Try another.", [3]]
        await batcher.close()

    play(work())


def test_a_large_request_runs_in_parts_and_names_its_own_row():
    async def work() -> None:
        model = Model()
        batcher = Batcher(model.run, SMALL)
        answer = await batcher.submit(rows(*range(1, 11)))
        assert answer["value"].tolist() == list(range(1, 11))
        assert [len(batch) for batch in model.batches] == [4, 4, 2]
        with pytest.raises(ThujaError) as error:
            await batcher.submit(rows(1, 2, 3, 4, 5, 13, 7))
        assert str(error.value) == "rows[5]: expected luck, found 13. Try another."
        await batcher.close()

    play(work())


def test_a_full_house_refuses_at_once_and_takes_again_later():
    async def work() -> None:
        batcher = Batcher(Model().run, SMALL)
        with batcher.room(16):
            with pytest.raises(ThujaError) as error, batcher.room(1):
                pass
            assert str(error.value) == "server: expected at most 16 rows waiting, found 16 already here. Try again in a second."
            assert (error.value.status, error.value.headers) == (429, {"Retry-After": "1"})  # type: ignore[attr-defined]
        with batcher.room(16):
            pass
        assert batcher.admitted == 0
        await batcher.close()

    play(work())


def test_rows_whose_client_is_gone_are_not_run():
    async def work() -> None:
        model = Model()
        batcher, first = await started(model)
        gone, kept = asyncio.create_task(batcher.submit(rows(2))), asyncio.create_task(batcher.submit(rows(3)))
        await asyncio.sleep(0)
        gone.cancel()
        await asyncio.sleep(0)
        model.may_run.set()
        await first
        await kept
        assert model.batches == [[1], [3]]
        await batcher.close()

    play(work())


def test_an_idle_model_waits_for_company_only_when_told_to():
    async def work() -> None:
        model = Model()
        batcher = Batcher(model.run, SMALL.model_copy(update={"max_delay_ms": 10_000}))
        tasks = [asyncio.create_task(batcher.submit(rows(n))) for n in (1, 2, 3)]
        await asyncio.sleep(0.02)
        assert model.batches == []
        await asyncio.gather(batcher.submit(rows(4)), *tasks)  # the fourth fills the batch
        assert model.batches == [[1, 2, 3, 4]]
        await batcher.close()

    play(work())


def test_different_shapes_do_not_share_a_batch():
    async def work() -> None:
        seen: list[tuple[int, ...]] = []

        def run(columns: Columns, program: str) -> Arrays:
            seen.append(rectangular(columns)["x"].shape)
            return {"y": np.zeros(count(columns))}

        batcher = Batcher(run, SMALL)
        shapes = [(1, 2), (1, 2), (1, 3), (2, 3)]
        await asyncio.gather(*(batcher.submit({"x": np.zeros(shape, np.float32)}) for shape in shapes))
        assert seen == [(2, 2), (3, 3)]
        await batcher.close()

    play(work())


def test_joined_rows_are_the_rows_one_after_the_other():
    a, b = ragged([np.array([1, 2]), np.array([3])]), ragged([np.array([9]), np.array([4, 5, 6]), np.array([7])])
    part = Ragged(b.values, b.offsets[1:])  # a view that does not start at zero
    found = joined([{"x": a, "n": np.array([0, 1])}, {"x": part, "n": np.array([2, 3])}])
    assert rectangular(found)["x"].tolist() == [[1, 2, 0], [3, 0, 0], [4, 5, 6], [7, 0, 0]]
    assert rectangular(found)["n"].tolist() == [0, 1, 2, 3]


def test_closing_lets_go_of_whoever_waits():
    async def work() -> None:
        model = Model()
        batcher, first = await started(model)
        waiting = asyncio.create_task(batcher.submit(rows(2)))
        await asyncio.sleep(0)
        await batcher.close()
        model.may_run.set()
        first.cancel()
        found = await asyncio.gather(first, waiting, return_exceptions=True)
        assert [type(f) for f in found] == [asyncio.CancelledError] * 2

    play(work())


def test_what_would_wait_too_long_is_refused_at_once():
    async def work() -> None:
        batcher = Batcher(Model().run, SMALL.model_copy(update={"max_wait_s": 0.5}))
        batcher.row_s = 0.1
        with batcher.room(6):
            with pytest.raises(ThujaError) as error, batcher.room(1):
                pass
            assert str(error.value) == "server: expected a turn within 0.5 s, found 6 rows already here. Try again in a second."
            assert (error.value.status, error.value.headers) == (429, {"Retry-After": "1"})  # type: ignore[attr-defined]
        with batcher.room(8):  # nobody waits: however long it takes, it is not for waiting
            pass
        await batcher.close()

    play(work())


def test_how_long_a_row_takes_is_learned_from_the_runs():
    async def work() -> None:
        batcher = Batcher(Model().run, SMALL)
        assert batcher.row_s == 0
        await batcher.submit(rows(1, 2))
        assert 0 < batcher.row_s < 1
        await batcher.close()

    play(work())


def test_a_model_that_proves_quick_is_run_on_the_event_loop_and_fails_alike():
    async def work() -> None:
        threads: list[int] = []

        def run(columns: Columns, program: str) -> Arrays:
            threads.append(threading.get_ident())
            return {"value": lengths(columns)}

        batcher = Batcher(run, SMALL)
        for _ in range(100):
            await batcher.submit(rows(1))
        assert threads[0] != threading.get_ident()
        assert threads[-1] == threading.get_ident()
        found = await asyncio.gather(*(batcher.submit(rows(n)) for n in (2, 13, 3)), return_exceptions=True)
        assert [f["value"].tolist() if isinstance(f, dict) else str(f) for f in found] == [[2], "rows[0]: expected luck, found 13. Try another.", [3]]
        await batcher.close()

    play(work())


def test_a_model_that_only_waits_is_not_quick_and_never_holds_the_event_loop():
    async def work() -> None:
        threads: set[int] = set()

        def run(columns: Columns, program: str) -> Arrays:
            threads.add(threading.get_ident())
            time.sleep(0.005)  # as one that waits for an accelerator does: hardly any processor time
            return {"value": lengths(columns)}

        batcher = Batcher(run, SMALL)
        for _ in range(80):
            await batcher.submit(rows(1))
        assert threading.get_ident() not in threads
        await batcher.close()

    play(work())
