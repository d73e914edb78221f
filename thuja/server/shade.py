"""Asking the other version: while a challenge is on, a question that is kept is put to both, so that a label speaks about both. Nobody waits for the second
answer, and nobody sees it.

It has the lowest priority: one question at a time, none while rows wait for the model, and a fifth of the time at most. What there is no time for is dropped.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from thuja.artifact.runtime import FINITE
from thuja.core.errors import ThujaError
from thuja.fields import Category, Number, Schema, Text
from thuja.life.challenge import ONE_CLASS, one_class
from thuja.server.background import cancelled
from thuja.server.metrics import LifeMetrics
from thuja.server.model import Model
from thuja.server.recording import Kept, Recording
from thuja.server.tending import Tending

WAITING = 64
"""Questions at most."""
REST = 4.0
"""Times that an answer took, until the next one is asked for."""
BUSY_S = 0.005
"""After which it is looked again whether the model has time."""
PATIENCE_S = 1.0
"""How long a question waits for the model to have time."""


class Question(NamedTuple):
    """One that has been answered and kept, and is put to the other version."""

    kept: Kept
    champion: Model
    beside: Model

    @property
    def other(self) -> Model:
        """The one that has not answered it."""
        return self.champion if self.kept.version == self.beside.release else self.beside


class Shade:
    """The second answers of one server. All of it runs on the event loop."""

    def __init__(self, recording: Recording, tending: Tending, metrics: LifeMetrics, broken: Callable[[Model, str], None]) -> None:
        """`broken` is told when a version beside the champion gives what no version may ever answer."""
        self.recording, self.tending, self.metrics, self.broken = recording, tending, metrics, broken
        self._questions: deque[Question] = deque()
        self._more = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._pairs: deque[tuple[str, str]] = deque(maxlen=ONE_CLASS)
        """The classes that the version beside the champion and the champion gave to the same questions."""
        self._paired: Model | None = None

    def start(self) -> None:
        """Begin; needs a running event loop."""
        self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """End; what waits is dropped."""
        await cancelled(self._task)

    def put(self, question: Question) -> None:
        """Ask, when there is time."""
        if len(self._questions) >= WAITING:
            self._questions.popleft()
            self.metrics.shade.labels("dropped").inc()
        self._questions.append(question)
        self._more.set()

    async def _run(self) -> None:
        while True:
            while not self._questions:
                self._more.clear()
                await self._more.wait()
            question = self._questions.popleft()
            if not await self._time_for(question):
                self.metrics.shade.labels("dropped").inc()
                continue
            took = await self._ask(question)
            await asyncio.sleep(REST * took)

    async def _time_for(self, question: Question) -> bool:
        """Whether the models have nothing else to do, sooner or later."""
        end = time.monotonic() + PATIENCE_S
        while question.champion.batcher.waiting or question.beside.batcher.waiting:
            if time.monotonic() > end:
                return False
            await asyncio.sleep(BUSY_S)
        return True

    async def _ask(self, question: Question) -> float:
        """Seconds that it took."""
        other, kept, began = question.other, question.kept, time.perf_counter()
        with other.used():
            task = asyncio.ensure_future(other.answer({name: [value] for name, value in kept.row.items()}, 1))
            try:
                await asyncio.wait([task])
            finally:
                task.cancel()
        took = time.perf_counter() - began
        error = task.exception()
        if error is not None:
            self._failed(question, error)
            return took
        answer = {name: values[0] for name, values in task.result().items()}
        other.times.append(1000 * took)
        self.metrics.shade.labels("answered").inc()
        self.recording.add(kept._replace(version=other.release, schema=other.schema, row={}, answer=answer, ms=1000 * took, shade=True))
        self._compare(question, answer)
        return took

    def _failed(self, question: Question, error: BaseException) -> None:
        self.metrics.shade.labels("failed").inc()
        if question.other is question.beside:  # the champion has answered it
            wrong = wrong_with(error)
            self.tending.failed(question.other.release, wrong)
            if wrong:
                self.broken(question.other, wrong)

    def _compare(self, question: Question, answer: Mapping[str, Any]) -> None:
        """Whether the version beside gives nothing, or one class over and over, where the champion gives more."""
        theirs, ours = (question.kept.answer, answer) if question.other is question.beside else (answer, question.kept.answer)
        schema = question.beside.schema
        wrong = "an empty answer" if empty(schema, ours) and not empty(schema, theirs) else ""
        name = next((name for name, field in schema.outputs.items() if isinstance(field, Category)), None)
        if name is not None and not wrong:
            if self._paired is not question.beside:
                self._paired = question.beside
                self._pairs.clear()
            self._pairs.append((str(ours[name]), str(theirs[name])))
            wrong = one_class([pair[0] for pair in self._pairs], [pair[1] for pair in self._pairs])
        if wrong:
            self.tending.failed(question.beside.release, wrong)
            self.broken(question.beside, wrong)


def empty(schema: Schema, answer: Mapping[str, Any]) -> bool:
    """Whether an answer lacks what it is made of: a class, a number, a text. An empty list may be an answer: nothing is in the picture."""
    return any(answer[name] is None or answer[name] == "" for name, field in schema.outputs.items() if isinstance(field, (Category, Number, Text)))


def wrong_with(error: BaseException) -> str:
    """What no version may ever do, in words; empty where a version may refuse like this, or be too slow."""
    if not isinstance(error, ThujaError):
        return f"raised {type(error).__name__}"
    return f"{error.expected}, found {error.found}" if error.expected.startswith(FINITE) else ""
