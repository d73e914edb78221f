"""Dynamic batching: rows that wait at the same time are run together, and each gets the answer it would have had alone.

While the model runs, requests gather; when it is free it takes as many as fit. An idle model starts at once (or after `max_delay_ms`, where an operator
trades latency for throughput). Rows that are not alike (steps of answers of different lengths) are run in the order in which they came, each with all that
are like it, so that answers made step by step take turns. If a batch fails, its requests are tried one by one, so that only the one to blame fails.
"""

import asyncio
import contextlib
import itertools
import time
from collections import deque
from collections.abc import Callable, Hashable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np

from thuja.codec import Arrays, Column, Columns, Ragged, count, take
from thuja.core.errors import DataError
from thuja.server.background import cancelled
from thuja.server.problem import Refusal, placed, row_of
from thuja.server.settings import ServeSettings

QUICK_S = 0.002
"""Runs that take less time are made on the event loop, which nobody notices: the way to a thread and back costs 0.1 to 0.2 ms."""
PATIENCE = 0.9
"""How slowly earlier runs are forgotten; a slow one after 70 quick ones at the latest."""
LONGEST_PAUSE_S = 60
"""Nobody is told to come back later than that."""
Run = Callable[[Columns, str], Arrays]
"""Columns and the name of a program to its outputs (`Predictor.run`)."""


@dataclass(eq=False)
class Item:
    """A part of a request, at most `max_batch` rows, on its way through the model."""

    columns: Columns
    program: str
    born: float
    answer: "asyncio.Future[Arrays]"
    rows: int = field(init=False)
    likeness: Hashable = field(init=False)
    """Equal for items that can be laid into one batch."""

    def __post_init__(self) -> None:
        self.rows = count(self.columns)
        self.likeness = (self.program, *((name, _form(column)) for name, column in sorted(self.columns.items())))


class Batcher:
    """One model's queue, and the one thread that runs what is not quick. Made inside a running event loop; `close` ends it."""

    def __init__(self, run: Run, settings: ServeSettings, observe: Callable[[int], None] = lambda rows: None) -> None:
        """`observe` is told the number of rows of every batch."""
        self._run, self._settings, self._observe = run, settings, observe
        self._waiting: deque[Item] = deque()
        self._more = asyncio.Event()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="model")
        self._loop = asyncio.get_running_loop()
        self._slowest: dict[str, float] = {}
        """Seconds of the slowest recent run of each program; the older, the less it counts. By the clock: a run that waits holds the loop up as well."""
        self._task = self._loop.create_task(self._work())
        self.admitted = 0
        self.row_s = 0.0
        """Seconds that a row lately took, its share of a batch; forgotten slowly."""
        self.runs = 1.0
        """Runs that an answer lately took: 1, or as many as it had steps and one more; forgotten slowly."""

    @property
    def waiting(self) -> int:
        """Rows that wait for the model."""
        return sum(item.rows for item in self._waiting)

    @contextlib.contextmanager
    def room(self, rows: int, whole: bool = True) -> Iterator[None]:
        """A place for `rows` rows until they are answered. `whole`: nothing is sent before the whole answer is there.

        Raises: Refusal 429 at once when the house is full, or their turn would come too late, or (with others there, who take turns with them) their answer.
        """
        here, turn_s = self.admitted, self.admitted * self.row_s
        if here + rows > self._settings.max_waiting:
            raise self._full(f"at most {self._settings.max_waiting} rows waiting", f"{here} already here")
        if turn_s > self._settings.max_wait_s:
            raise self._full(f"a turn within {self._settings.max_wait_s:g} s", f"{here} rows already here")
        if whole and self.runs > 1 and turn_s * self.runs > self._settings.timeout_s:
            raise self._full(f"an answer within {self._settings.timeout_s:g} s", f"{here} rows already here, of some {self.runs:.0f} steps each")
        self.admitted += rows
        try:
            yield
        finally:
            self.admitted -= rows

    def learn(self, runs: int) -> None:
        """An answer took so many runs."""
        self.runs += (1 - PATIENCE) * (runs - self.runs)

    def _full(self, expected: str, found: str) -> Refusal:
        """The next row is answered after about `row_s * runs`."""
        seconds = min(max(1, round(self.row_s * self.runs)), LONGEST_PAUSE_S)
        again = "Try again in a second." if seconds == 1 else f"Try again in {seconds} seconds."
        return Refusal(429, "server", expected=expected, found=found, fix=again, headers={"Retry-After": str(seconds)})

    async def submit(self, columns: Columns, program: str = "predict") -> Arrays:
        """The outputs of `program` for these rows. Raises: whatever the program raises for them alone. Cancelled: its rows leave the queue."""
        size, now = self._settings.max_batch, self._loop.time()
        starts = range(0, count(columns), size)
        parts = [columns] if len(starts) == 1 else [take(columns, np.arange(s, min(s + size, count(columns)))) for s in starts]
        items = [Item(part, program, now, self._loop.create_future()) for part in parts]
        self._waiting.extend(items)
        self._more.set()
        try:
            outputs = [await _answered(item, start) for item, start in zip(items, starts, strict=True)]
        finally:
            for item in items:
                item.answer.cancel()
        return outputs[0] if len(outputs) == 1 else {name: np.concatenate([o[name] for o in outputs]) for name in outputs[0]}

    async def close(self) -> None:
        """End the thread; whoever still waits is cancelled."""
        await cancelled(self._task)
        for item in self._waiting:
            item.answer.cancel()
        self._thread.shutdown(wait=False)

    async def _work(self) -> None:
        while True:
            await self._company()
            batch = self._next_batch()
            if batch:
                self._observe(sum(item.rows for item in batch))
                await self._answer(batch)

    async def _company(self) -> None:
        """Wait for a first row, and then for others as long as the first may be kept waiting."""
        while not self._waiting:
            self._more.clear()
            await self._more.wait()
        deadline = self._waiting[0].born + self._settings.max_delay_ms / 1000
        while self._loop.time() < deadline and self.waiting < self._settings.max_batch:
            self._more.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout_at(deadline):
                    await self._more.wait()

    def _next_batch(self) -> list[Item]:
        """The head of the queue and what is like it, as many as fit together; those given up by their client are dropped. The others keep their places."""
        batch: list[Item] = []
        passed: list[Item] = []
        rows, most = 0, self._settings.max_batch
        while self._waiting and rows < most:
            item = self._waiting.popleft()
            if item.answer.done():
                continue
            if batch and (item.likeness != batch[0].likeness or rows + item.rows > most):
                passed.append(item)
                if item.likeness == batch[0].likeness:
                    break
                continue
            batch.append(item)
            rows += item.rows
        self._waiting.extendleft(reversed(passed))
        return batch

    async def _answer(self, batch: Sequence[Item]) -> None:
        quick = self._slowest.get(batch[0].program, 1.0) < QUICK_S
        done = self._loop.create_task(self._here(batch)) if quick else self._loop.run_in_executor(self._thread, self._together, batch)
        await asyncio.wait([done])
        error = done.exception()
        if error is not None and len(batch) > 1:
            for item in batch:
                await self._answer([item])
            return
        for item, part in zip(batch, [{}] if error else done.result(), strict=True):
            if item.answer.done():
                continue
            if error:
                item.answer.set_exception(error)
            else:
                item.answer.set_result(part)

    async def _here(self, batch: Sequence[Item]) -> list[Arrays]:
        return self._together(batch)

    def _together(self, batch: Sequence[Item]) -> list[Arrays]:
        program, start = batch[0].program, time.perf_counter()
        ends = list(itertools.accumulate(item.rows for item in batch))
        outputs = self._run(joined([item.columns for item in batch]), program)
        seconds = time.perf_counter() - start
        self._slowest[program] = max(seconds, PATIENCE * self._slowest.get(program, 1.0))
        self.row_s += (1 - PATIENCE) * (seconds / ends[-1] - self.row_s)
        wrong = [name for name, array in outputs.items() if len(array) != ends[-1]]
        assert not wrong, f"the program's outputs {wrong} have no row per row"
        return [{name: array[end - item.rows : end] for name, array in outputs.items()} for item, end in zip(batch, ends, strict=True)]


def joined(parts: Sequence[Columns]) -> Columns:
    """The rows of several encoded requests, one after the other."""
    return parts[0] if len(parts) == 1 else {name: _joined([part[name] for part in parts]) for name in parts[0]}


def _joined(columns: Sequence[Column]) -> Column:
    if not isinstance(columns[0], Ragged):
        return np.concatenate([np.asarray(column) for column in columns])
    lengths = np.concatenate([np.diff(column.offsets) for column in columns if isinstance(column, Ragged)])
    values = [c.values[c.offsets[0] : c.offsets[-1]] for c in columns if isinstance(c, Ragged)]
    return Ragged(np.concatenate(values), np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths)]))


def _form(column: Column) -> tuple[object, ...]:
    if isinstance(column, Ragged):
        return ("ragged", column.values.dtype.str, column.values.shape[1:])
    return (column.dtype.str, column.shape[1:])


async def _answered(item: Item, start: int) -> Arrays:
    try:
        return await item.answer
    except DataError as error:
        raise placed(error, start + row_of(error)) from error
