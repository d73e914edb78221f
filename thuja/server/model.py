"""One opened artefact at work: raw rows to typed answers through the batcher."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, NamedTuple, Self, TypeVar, TypeVarTuple

import numpy as np

from thuja.codec import DONE, STEP, Arrays, Codec, Columns, Conversational, Embedder, Rows, answer_of, end_to_end, take
from thuja.codec import count as rows_of
from thuja.core.clock import wall
from thuja.core.errors import BadRows, ThujaError
from thuja.core.seeds import stream
from thuja.fields import Audio, Image
from thuja.server.batcher import Batcher
from thuja.server.limits import Bodies
from thuja.server.metrics import Metrics
from thuja.server.problem import placed
from thuja.server.settings import ServeSettings

if TYPE_CHECKING:
    from thuja.artifact.runtime import Predictor

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

INLINE_ROWS = 16
"""Answers of at most this many rows are put into words on the event loop; a thread costs more than it saves."""
INLINE_CHARACTERS = 2000
"""So many rows with at most so much text, and no file, are encoded there as well."""


class Model:
    """One opened artefact with its queue."""

    def __init__(self, predictor: "Predictor", settings: ServeSettings, metrics: Metrics, encoders: ThreadPoolExecutor) -> None:
        self.predictor = predictor
        self.schema = predictor.schema
        self.digest = predictor.artifact.digest
        self.version = self.digest[:12]
        self.release = ""
        """The name of this version in its deployment; empty for a plain artefact."""
        self.times: list[float] = []
        """Milliseconds of every answer of a version of a deployment, until they are counted."""
        self.kind = predictor.artifact.codec.kind
        self.since = wall()
        self.batcher = Batcher(predictor.run, settings, metrics.observe_batch)
        self.streams = self.predictor.repeats
        """Whether there is something to show before the whole answer is there."""
        self.chat = _conversations(predictor.artifact.codec)
        codec: object = predictor.artifact.codec
        self.embedder = codec if isinstance(codec, Embedder) else None
        self._files = any(isinstance(field, (Audio, Image)) for field in self.schema.inputs.values())
        self._encoders, self._settings = encoders, settings
        self._held = Bodies(settings.max_state_bytes, "server", "all answers in the making")
        self._users = 0
        self._unused = asyncio.Event()
        self._unused.set()

    async def answer(self, rows: Rows, count: int) -> dict[str, list[Any]]:
        """Typed answers, one list per output. Raises: DataError naming `rows[i].field`, Refusal 429."""
        with self.batcher.room(count):
            return await self._answer(rows, count)

    async def _answer(self, rows: Rows, count: int) -> dict[str, list[Any]]:
        outputs = await self.outputs(await self.encode(rows, count))
        if count <= INLINE_ROWS:
            return self.predictor.decode(outputs)
        return await self.aside(self.predictor.decode, outputs)

    async def encode(self, rows: Rows, count: int) -> Columns:
        """Raw values to encoded columns. Raises: DataError naming `rows[i].field`."""
        try:
            return self.predictor.encode(rows) if self._light(rows, count) else await self.aside(self.predictor.encode, rows)
        except BadRows as error:
            row = min(error.rows)
            raise placed(error.rows[row], row) from error

    async def outputs(self, columns: Columns) -> Arrays:
        """What the codec decodes, for encoded rows that there is room for. Raises: as `answer`."""
        if not self.predictor.repeats:
            return answer_of(await self.batcher.submit(columns))
        size, rows, parts = self._settings.max_batch, rows_of(columns), []
        for start in range(0, rows, size):
            part = columns if rows <= size else take(columns, np.arange(start, min(start + size, rows)))
            async with contextlib.aclosing(self.states(part)) as states:
                async for state in states:
                    last = state
            parts.append(answer_of(last))
        return {name: end_to_end([part[name] for part in parts]) for name in parts[0]}

    async def states(self, columns: Columns) -> AsyncGenerator[Arrays, None]:
        """The states of an answer (`Predictor.states`), every step queued with those of others, so that nobody waits for the whole of a long answer; a single
        one where there are no steps. At most `max_batch` rows; to be closed by whoever does not want them all. Raises: as `answer`."""
        state, runs = await self.batcher.submit(columns), 1
        if not self.predictor.repeats:
            yield state
            return
        with self._held.tally() as held:
            try:
                held.add(_size(state))
                yield state
                while not state[DONE].all():
                    state, runs = await self._stepped(state), runs + 1
                    held.add(_size(state) - held.size)
                    yield state
            finally:
                self.batcher.learn(runs)

    async def _stepped(self, state: Arrays) -> Arrays:
        return state | await self.batcher.submit({spec.name: state[spec.name] for spec in self.predictor.inputs[STEP]}, STEP)

    def _light(self, rows: Rows, count: int) -> bool:
        if self._files or count > INLINE_ROWS:
            return False
        return sum(len(value) for values in rows.values() for value in values if isinstance(value, str)) <= INLINE_CHARACTERS

    async def run(self, columns: Columns, count: int) -> Arrays:
        """Encoded columns to what the codec would decode. Raises: Refusal 429; ShapeError, or what the runtime raises for numbers it cannot take."""
        with self.batcher.room(count):
            return await self.outputs(columns)

    async def probe(self) -> None:
        """Make a real prediction, the first step of one that has many, whether or not there is room. Raises: what a prediction raises."""
        rng = stream(0, "ready")
        state = await self.batcher.submit(await self.encode({name: field.fake(rng, 1) for name, field in self.schema.inputs.items()}, 1))
        if self.predictor.repeats:
            state = await self._stepped(state)
        self.predictor.decode(answer_of(state))

    async def aside(self, work: Callable[[*Ts], T], *arguments: *Ts) -> T:
        """Do CPU work off the event loop."""
        return await asyncio.get_running_loop().run_in_executor(self._encoders, work, *arguments)

    def used(self) -> Self:
        """Keep this model alive inside of a `with`, whatever replaces it meanwhile."""
        return self

    def __enter__(self) -> Self:
        self._users += 1
        self._unused.clear()
        return self

    def __exit__(self, *_: object) -> None:
        self._users -= 1
        if self._users == 0:
            self._unused.set()

    async def retire(self) -> None:
        """Close once the last request on it is answered."""
        await self._unused.wait()
        await self.batcher.close()


class Chat(NamedTuple):
    """What a model is asked over the protocol of chat completions."""

    codec: Conversational
    dialogues: bool
    """Whether it speaks in turn; otherwise it only goes on with a text."""


def _size(state: Arrays) -> int:
    return sum(array.nbytes for array in state.values())


def _conversations(codec: Codec) -> Chat | None:
    if not isinstance(codec, Conversational) or "prompt" not in codec.schema().inputs:
        return None
    try:
        codec.conversation([{"role": "user", "content": "Hello"}])
    except ThujaError:
        return Chat(codec, False)
    return Chat(codec, True)
