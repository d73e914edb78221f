"""Keeping what was asked and answered, without an answer ever waiting for it.

The request path counts, draws, and appends what was drawn to a queue that has a limit. A thread turns that into JSON and writes it, each second. What the queue
cannot take and what the disk refuses is lost, counted, and told of as a gap; the answers are given all the same.
"""

import random
import time
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from thuja.core.clock import Clock
from thuja.fields import Audio, Image, Mask, Schema, Vector
from thuja.life.calls import Call, Calls, Counts, Gap, Sampler
from thuja.life.deployment import FILES
from thuja.life.plan import Plan
from thuja.server.metrics import LifeMetrics

QUEUE_S = 20
"""Seconds of traffic that are held for a disk that is slow."""
HELD_BYTES = 64 << 20
"""Of what is held, at most."""
COUNTED_S = 60.0
"""Time between two counts."""
SUMMARISED, PICTURES = 600, 12
"""Rows of which a count's summary is made, drawn evenly; fewer where they hold files, which have to be decoded for that."""
LEAST_FREE = 256 << 20
"""Bytes that are left to others, the ledger before all, on a disk that fills up."""
LATE_COUNTS = 1440
"""Counts that wait for a disk that refuses: a day's."""
EXPIRE_S = 600.0
HEAVY = (Audio, Image, Mask, Vector)
"""Fields that are kept only where whole inputs are: files, and what tells one person from another."""


class Kept(NamedTuple):
    """One answer that was drawn, as it stands in memory."""

    id: str
    at: float
    version: str
    schema: Schema
    row: dict[str, Any]
    answer: dict[str, Any]
    ms: float
    stands_for: float
    shade: bool = False


class Recording:
    """What one server keeps of its traffic. `add` and the counters are for the event loop, `flush` for one thread."""

    def __init__(self, calls: Calls, plan: Plan, clock: Clock, metrics: LifeMetrics) -> None:
        self.calls, self.plan, self.clock, self.metrics = calls, plan.record, clock, metrics
        self.groups = plan.harm.groups
        self.requests = self.refusals = self.lost = 0
        self.sampler = Sampler(self.plan.share, self.plan.most_per_second)
        self._queue: deque[tuple[Kept, int]] = deque()
        self.fresh: set[str] = set()
        """The names of answers that are on their way to the disk."""
        self._most = QUEUE_S * self.plan.most_per_second
        self._came = self._went = 0  # bytes: each is written by one thread only
        self._told = 0
        self._since = self._flushed = clock()
        self._counted = self._expired = time.monotonic()
        self._before = (0, 0)
        self._sample: list[Kept] = []
        self._drawn = 0
        self._waiting: deque[Counts] = deque(maxlen=LATE_COUNTS)
        self._rng = random.Random()  # noqa: S311 - a draw, no secret

    def add(self, kept: Kept) -> None:
        """Keep an answer that was drawn, if there is room for it."""
        size = sum(len(value) for value in (*kept.row.values(), *kept.answer.values()) if isinstance(value, (bytes, str)))
        if len(self._queue) >= self._most or self._came - self._went + size > HELD_BYTES:
            self.lost += 1
        else:
            self._came += size
            self.fresh.add(kept.id)
            self._queue.append((kept, size))

    def flush(self) -> None:
        """Write what waits; once a minute what was counted; take away what is too old. A disk that refuses is told of later."""
        now, full = self.clock(), self.calls.disk.free_bytes(self.calls.path) < LEAST_FREE
        kept = [self._queue.popleft() for _ in range(len(self._queue))]
        lost = self.lost - self._told
        self._told += lost
        if full:
            lost += len(kept)
        if lost:
            self.calls.lose(Gap(min(self._flushed, now), now, lost, "the disk is nearly full" if full else "the disk was too slow"))
            self.metrics.lost.inc(lost)
        self._write([] if full else [one for one, _ in kept])
        self._went += sum(size for _, size in kept)
        self.fresh.difference_update([one.id for one, _ in kept])
        self._flushed = now
        if time.monotonic() - self._counted >= COUNTED_S:
            self.count(now)
        if time.monotonic() - self._expired >= EXPIRE_S:
            self._expired = time.monotonic()
            self.calls.segments.expire(now - self.plan.keep)

    def count(self, now: float) -> None:
        """Write how much was asked since the last count, if anything was."""
        self._counted = time.monotonic()
        before, self._before = self._before, (self.requests, self.refusals)
        asked, refused = self._before[0] - before[0], self._before[1] - before[1]
        sample, self._sample, self._drawn = self._sample, [], 0
        start, self._since = min(self._since, now), now
        if asked:
            self._waiting.append(Counts(start, now, asked, refused, _summary(sample)))
        while self._waiting and self.calls.count(self._waiting[0]):
            self._waiting.popleft()

    def _write(self, kept: Sequence[Kept]) -> None:
        calls = [Call(one.id, one.at, one.version, self._inputs(one), self._plain(one.schema.outputs, one.answer), round(one.ms, 3), one.stands_for, one.shade)
                 for one in kept]
        if self.calls.add(calls):
            self.metrics.kept.inc(len(calls))
        else:
            self.metrics.lost.inc(len(calls))
        for one in kept:
            self._summarise(one)

    def _inputs(self, one: Kept) -> dict[str, Any] | None:
        """What is kept of a row: all of it, what groups are told apart by, or nothing. Of a question that two have answered, once."""
        if one.shade or self.plan.inputs == "none":
            return None
        names = [name for name in one.row if self.plan.inputs == "full" or name in self.groups]
        return self._plain({name: one.schema.inputs[name] for name in names}, one.row) if names else None

    def _plain(self, fields: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
        return {name: field.to_json(values[name]) for name, field in fields.items() if self.plan.inputs == "full" or not isinstance(field, HEAVY)}

    def _summarise(self, one: Kept) -> None:
        """Draw some rows evenly among all that were kept since the last count (a reservoir), where not all that a summary is made of is kept anyhow."""
        files = any(isinstance(field, FILES) for field in one.schema.inputs.values())
        if one.shade or self.plan.inputs == "none" or (self.plan.inputs == "full" and not files):
            return
        most = PICTURES if files else SUMMARISED
        self._drawn += 1
        if len(self._sample) < most:
            self._sample.append(one)
        elif (place := self._rng.randrange(self._drawn)) < most:
            self._sample[place] = one


def _summary(sample: Sequence[Kept]) -> dict[str, Any]:
    """Of every input field of some rows."""
    if not sample:
        return {}
    return {name: field.summarise([one.row[name] for one in sample]) for name, field in sample[0].schema.inputs.items()}
