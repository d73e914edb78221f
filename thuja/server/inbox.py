"""Labels on their way to the disk. Those that come while it is busy are written together, and every sender waits for that: what is acknowledged is kept."""

import asyncio
from collections.abc import Sequence, Set
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

from thuja.core.errors import ThujaError
from thuja.life.deployment import Deployment
from thuja.life.labels import Label
from thuja.server.background import cancelled
from thuja.server.limits import BUSY
from thuja.server.metrics import LifeMetrics
from thuja.server.problem import Refusal

SECONDS_HELD = 2
"""Of labels at the fastest rate: more may not wait at one time."""
UNKNOWN_SHARE = 0.1
"""Of the rate: labels of answers that are not known here, over some time. They may be another server's; but whoever makes ids up fills no disk."""


class Taken(NamedTuple):
    """What became of some labels."""

    kept: int
    unknown: int
    """Of them, how many are about answers that are not kept here: not drawn, another server's, expired, or never given."""
    refused: int
    """Of unknown answers, beyond what is kept of such."""


class Allowance:
    """So many a second, over some time: what is not used is saved up for `SECONDS_HELD`."""

    def __init__(self, rate: float) -> None:
        self.rate = rate
        self._left, self._at = SECONDS_HELD * rate, float("-inf")

    def take(self, wanted: int, now: float) -> int:
        """How many of `wanted` there is room for."""
        self._left = min(SECONDS_HELD * self.rate, self._left + max(0.0, now - self._at) * self.rate)
        self._at = now
        given = min(wanted, int(self._left))
        self._left -= given
        return given


class _Waiting(NamedTuple):
    labels: Sequence[Label]
    told: "asyncio.Future[Taken]"


class Inbox:
    """The labels of one server."""

    def __init__(self, deployment: Deployment, rate: float, metrics: LifeMetrics, fresh: Set[str] = frozenset()) -> None:
        """`fresh`: the names of answers that are on their way to the disk; whoever is quick labels them there."""
        self.fresh = fresh
        self.deployment, self.metrics = deployment, metrics
        self.all, self.strangers = Allowance(rate), Allowance(UNKNOWN_SHARE * rate)
        self._waiting: list[_Waiting] = []
        self._more = asyncio.Event()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="labels")
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin; needs a running event loop."""
        self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """End, when those that wait have been written."""
        await cancelled(self._task)
        self._thread.shutdown(wait=False)

    async def put(self, labels: Sequence[Label]) -> Taken:
        """Keep labels; they are durable when this returns. Raises: Refusal 429 where they come too fast, 503 where the disk does not take them."""
        loop = asyncio.get_running_loop()
        if self.all.take(len(labels), loop.time()) < len(labels):
            raise Refusal(429, "labels", expected=f"at most {self.all.rate:g} labels a second", found="more", headers=BUSY,
                          fix="Send them slower; many at once are taken from a file by `thuja label`.")
        waiting = _Waiting(labels, loop.create_future())
        self._waiting.append(waiting)
        self._more.set()
        taken = await waiting.told
        for name, count in taken._asdict().items():
            self.metrics.labels.labels(name).inc(count)
        return taken

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await self._more.wait()
            self._more.clear()
            waiting, self._waiting = self._waiting, []
            now = loop.time()
            done = loop.run_in_executor(self._thread, self._write, [one.labels for one in waiting], now)
            await asyncio.wait([done])
            error = done.exception()
            for place, one in enumerate(waiting):
                if one.told.done():
                    continue
                if error is None:
                    one.told.set_result(done.result()[place])
                elif isinstance(error, (ThujaError, OSError)):
                    one.told.set_exception(Refusal(503, "labels", expected="a disk that takes them", found=getattr(error, "found", type(error).__name__),
                                                   fix="Nothing was kept: send them again later.", headers=BUSY))
                else:
                    one.told.set_exception(error)

    def _write(self, waiting: Sequence[Sequence[Label]], now: float) -> list[Taken]:
        named = {label.call for labels in waiting for label in labels}
        fresh = {name for name in named if name in self.fresh}  # before the disk: what leaves there meanwhile is on it
        known = fresh | self.deployment.calls.known(named - fresh)
        written: list[Label] = []
        taken: list[Taken] = []
        for labels in waiting:
            strangers = sum(label.call not in known for label in labels)
            room = self.strangers.take(strangers, now)
            kept = []
            for label in labels:
                if label.call in known:
                    kept.append(label)
                elif room:
                    kept.append(label)
                    room -= 1
            written += kept
            taken.append(Taken(len(kept), strangers, len(labels) - len(kept)))
        if written:
            self.deployment.labels.add(written, came=self.deployment.clock())
        return taken
