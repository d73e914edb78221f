"""Work beside the answers: done again and again in a thread of its own, and never waited for. What goes wrong with it is logged once, and tried again."""

import asyncio
import contextlib
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from thuja.core.errors import ThujaError

LOG = logging.getLogger("thuja.server")
LAST_S = 5.0
"""That work which is under way may take when the server leaves."""

Job = Callable[[], object]


async def cancelled(task: "asyncio.Task[None] | None") -> None:
    """Cancel a task, and wait until it is over; None: it was never begun."""
    if task is not None:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


class Background:
    """One piece of work, done every so often. `wake` has it done at once."""

    def __init__(self, name: str, seconds: float, job: Callable[[], Job | None], told: Callable[[str, bool], None]) -> None:
        """`job` is asked on the event loop what is to be done in the thread; None: nothing now. `told` hears after each time whether there was trouble."""
        self.name, self.seconds, self.job, self.told = name, seconds, job, told
        self.trouble = ""
        """What went wrong the last time; empty: nothing."""
        self.thread = ThreadPoolExecutor(1, thread_name_prefix=name)
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin; needs a running event loop."""
        self._task = asyncio.create_task(self._run())

    def wake(self) -> None:
        """Do not wait any longer."""
        self._wake.set()

    async def stop(self, last: Job | None = None) -> None:
        """End; `last` is done once more at the end, if it can be had in time."""
        await cancelled(self._task)
        if last is not None:
            await self.once(last, LAST_S)
        self.thread.shutdown(wait=False, cancel_futures=True)

    async def once(self, work: Job, seconds: float | None = None) -> None:
        """Do something in the thread. Whatever it raises is trouble, and nobody else's."""
        done = asyncio.get_running_loop().run_in_executor(self.thread, work)
        await asyncio.wait([done], timeout=seconds)
        self._say(done.exception() if done.done() else TimeoutError(f"not done after {seconds:g} s"))

    def fine(self) -> None:
        """There is no trouble any more, without anything having been done."""
        self._say(None)

    async def _run(self) -> None:
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self.seconds):
                    await self._wake.wait()
            self._wake.clear()
            if (job := self.job()) is not None:
                await self.once(job)

    def _say(self, error: BaseException | None) -> None:
        trouble = "" if error is None else str(error) or type(error).__name__
        if trouble and trouble != self.trouble:
            expected = isinstance(error, (ThujaError, OSError))
            LOG.error("%s: %s", self.name, trouble, exc_info=None if expected else error)
        elif self.trouble and not trouble:
            LOG.warning("%s: goes on", self.name)
        self.trouble = trouble
        self.told(self.name, bool(trouble))
