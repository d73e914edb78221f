"""A deployment in service: who answers which request, what is kept of it, and the work that goes on beside the answers.

Following the ledger (`following`), recording (`recording`), asking in the shade (`shade`) and ticking (`tending`) are each a part of their own; here they meet
the requests. Whatever goes wrong with one of them costs no answer.
"""

import asyncio
import contextlib
import functools
import logging
import random
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from thuja.artifact.folder import Artifact
from thuja.codec import Rows
from thuja.core.errors import ArtifactError, DataError, ThujaError
from thuja.fields import Schema
from thuja.life.challenge import Minute
from thuja.life.deployment import Deployment
from thuja.life.ends import ends_at
from thuja.life.loss import LOSSES, Judged, judged_field
from thuja.life.plan import Plan, Record
from thuja.life.queue import Queue
from thuja.life.watch import LABEL
from thuja.server.background import Background
from thuja.server.following import AGAIN_S, LOOK_S, Following, House
from thuja.server.inbox import Inbox
from thuja.server.limits import ClientGone
from thuja.server.metrics import Metrics
from thuja.server.model import Model
from thuja.server.problem import Refusal
from thuja.server.recording import Kept, Recording
from thuja.server.settings import ServeSettings
from thuja.server.shade import Question, Shade, empty, wrong_with
from thuja.server.tending import Tending

if TYPE_CHECKING:
    from thuja.artifact.runtime import Predictor

LOG = logging.getLogger("thuja.server")
CALL_HEADER = "Thuja-Call"
"""The name of an answer, by which its label is sent."""
WRITE_S, TICK_S = 1.0, 60.0
UNREADABLE = frozenset({400, 413, 415, 422})
"""Statuses of requests that could not be read, other than those that came too often or too early."""
ASKED = frozenset({"predict", "v1_chat_completions", "v1_completions"})
"""Routes whose questions are recorded."""
NOTHING = Plan(record=Record(inputs="none", share=0.0), alone=())
"""What may happen where the plan cannot be read: answers, and nothing else."""
T = TypeVar("T")


class Place(House, Protocol):
    """Where the deployment is served (`service.Service`)."""

    metrics: Metrics


@dataclass(slots=True)
class Asking:
    """One request on its way through one version."""

    life: "InService"
    model: Model
    at: float
    id: str
    began: float
    strict: bool
    """Whether an empty answer is not given: the champion is asked as well."""
    empty: bool = False
    """Whether the answer lacked what it is made of."""

    @property
    def headers(self) -> dict[str, str]:
        """What the client is told besides."""
        return {CALL_HEADER: self.id}

    def check(self, outputs: Mapping[str, Sequence[Any]], count: int) -> None:
        """Pass an answer that may be given. Raises: DataError for one of a version in CANARY that is empty."""
        schema = self.model.schema
        self.empty = any(empty(schema, {name: values[row] for name, values in outputs.items()}) for row in range(count))
        if self.empty and self.model is not self.life.champion:
            raise DataError("answer", expected="an answer", found="an empty one")

    def answered(self, rows: Rows, count: int, outputs: Mapping[str, Sequence[Any]], *, single: bool) -> None:
        """Count the answer, and keep what is drawn of it."""
        self.life.answered(self, rows, count, outputs, single=single)


class InService:
    """The life of one deployment in one server."""

    def __init__(self, deployment: Deployment, opened: "Callable[[Artifact], Predictor]", settings: ServeSettings) -> None:
        """`opened` loads a verified artefact and warms it up."""
        self.deployment = deployment
        self.plan = _plan(deployment)
        self.able = self.plan is not NOTHING
        self.ends = ends_at(self.plan)
        self.following = Following(_own(deployment), opened, settings.max_warm_bytes)
        self._tending = Tending(_own(deployment))
        self.queue = Queue(_own(deployment))
        """The answers that a person is asked about."""
        self._rate = settings.max_labels_per_s
        self._random = random.Random()  # noqa: S311 - a draw, no secret
        self._background: list[Background] = []
        self._judged = ("", LABEL)
        self._begun, self.first = self.following.first()
        """The version that answers first, and what is loaded of it."""

    def start(self, house: Place) -> None:
        """Begin; needs a running event loop."""
        self._loop = asyncio.get_running_loop()
        self.metrics = house.metrics.life()
        self.recording = Recording(self.deployment.calls, self.plan, self.deployment.clock, self.metrics)
        self.inbox = Inbox(_own(self.deployment), self._rate, self.metrics, self.recording.fresh)
        self.shade = Shade(self.recording, self._tending, self.metrics, self._broken)
        self.following.begin(self._begun, house, self.metrics)
        told = self.metrics.troubled
        self._follow = Background("following", LOOK_S, lambda: self._read, told)
        self._load = Background("loading", AGAIN_S, self._loading, told)
        self._write = Background("recording", WRITE_S, self._writing, told)
        self._tick = Background("tending", TICK_S, self._ticking, told)
        self._background = [self._follow, self._load, self._write, self._tick]
        for work in self._background:
            work.start()
        self.shade.start()
        self.inbox.start()
        self._load.wake()

    async def stop(self) -> None:
        """End; what was recorded is written, if the disk takes it in time."""
        await self.shade.stop()
        await self.inbox.stop()
        for work in self._background:
            await work.stop(self._last if work is self._write and self.able else None)
        for model in self.following.models.values():
            if model is not self.champion:
                self.following.house.retire(model)

    def follow(self) -> None:
        """Look at the ledger now, and again at what could not be loaded."""
        self._follow.wake()
        self._load.wake()

    @property
    def champion(self) -> Model:
        """The version that answers."""
        assert self.following.champion is not None, "following has not begun"
        return self.following.champion

    async def ask(self, attempt: "Callable[[Model, float, Asking], Awaitable[T]]", seconds: float) -> T:
        """What `attempt` makes of the version that is chosen. Where the one in CANARY cannot answer within half of the time, the champion is asked as well, and
        the failure counts only if that one can."""
        following, champion = self.following, self.champion
        model = following.beside
        if not following.share or model is None or model is champion or self._random.random() >= following.share:
            return await attempt(champion, seconds, self._asking(champion, strict=False))
        began = time.perf_counter()
        task = asyncio.ensure_future(attempt(model, seconds / 2, self._asking(model, strict=True)))
        try:
            await asyncio.wait([task])
        finally:
            task.cancel()
        error = None if task.cancelled() else task.exception()
        if error is None:
            return task.result()
        if isinstance(error, ClientGone):
            raise error
        asking = self._asking(champion, strict=True)
        answer = await attempt(champion, max(seconds / 2, seconds - (time.perf_counter() - began)), asking)
        if not asking.empty:
            self.failed(model, error)
        return answer

    def refuse_ended(self) -> None:
        """Raises: Refusal 410 after the hard end of the plan: a licence, a consent or a law allows no more answers."""
        if self.deployment.clock() >= self.ends:
            raise Refusal(410, "server", expected=f"a question before the end of {self.plan.ends}", found="a later one",
                          fix="Ask whoever runs this server; the end is in its plan.")

    def _asking(self, model: Model, *, strict: bool) -> Asking:
        at = self.deployment.clock()
        return Asking(self, model, at, self.deployment.calls.new_id(at), time.perf_counter(), strict)

    def answered(self, asking: Asking, rows: Rows, count: int, outputs: Mapping[str, Sequence[Any]], *, single: bool) -> None:
        """Count an answer, and keep what is drawn of it."""
        now, model, recording, draw = time.perf_counter(), asking.model, self.recording, self._random.random
        ms = 1000 * (now - asking.began)
        recording.requests += count
        model.times.append(ms)
        for row in range(count):
            if stands_for := recording.sampler.keep(now, draw()):
                name = asking.id if single else f"{asking.id}.{row}"
                kept = Kept(name, asking.at, model.release, model.schema, {field: values[row] for field, values in rows.items()},
                            {field: values[row] for field, values in outputs.items()}, ms, stands_for)
                recording.add(kept)
                self._in_the_shade(kept)

    def refused(self, route: str, status: int) -> None:
        """Count a request that was not answered."""
        if status in UNREADABLE and route in ASKED:
            self.recording.requests += 1
            self.recording.refusals += 1

    def failed(self, model: Model, error: BaseException) -> None:
        """Count a question that the version in CANARY could not answer, though the champion could."""
        wrong = "an empty answer" if isinstance(error, DataError) and error.where == "answer" else wrong_with(error)
        self._tending.failed(model.release, wrong)
        self.metrics.failures.labels(model.release).inc()
        if wrong:
            self._broken(model, wrong)

    @property
    def schema(self) -> Schema:
        """What versions take and give."""
        return self.following.house.model.schema

    def judged(self) -> Judged:
        """What labels are about. Raises: DataError where there can be no labels."""
        release = self.following.house.model.release
        if self._judged[0] != release:
            self._judged = release, self._read_judged(release)
        return self._judged[1]

    def _read_judged(self, release: str) -> Judged:
        with contextlib.suppress(ThujaError, KeyError):
            judged = self.deployment.reference(release).judged
            if type(self.schema.outputs.get(judged.field)) in LOSSES:
                return judged
        return Judged(judged_field(self.schema), 1.0)

    def _in_the_shade(self, kept: Kept) -> None:
        following = self.following
        champion, beside = self.champion, following.beside
        if beside is not None and beside is not champion and not following.stopped and kept.version in (champion.release, beside.release):
            self.shade.put(Question(kept, champion, beside))

    def _broken(self, model: Model, what: str) -> None:
        """No more questions for that version; the next tick, which is at once, says so in the ledger."""
        following = self.following
        if model is following.beside and following.stopped != model.release:
            LOG.error("version %s is asked no more: %s", model.release, what)
            following.stopped = model.release
            following.arrange()
            self._tick.wake()

    def _read(self) -> None:
        if self.following.read():
            self._loop.call_soon_threadsafe(self._arrange)

    def _arrange(self) -> None:
        self.following.arrange()
        if self.following.missing():
            self._load.wake()

    def _loading(self) -> Callable[[], object] | None:
        version = self.following.missing()
        if not version and self.following.complete:
            self._load.fine()
        return functools.partial(self._loaded, version) if version else None

    def _loaded(self, version: str) -> None:
        predictor = self.following.load(version)
        self._loop.call_soon_threadsafe(self._put, version, predictor)

    def _put(self, version: str, predictor: "Predictor") -> None:
        self.following.put(version, predictor)
        if self.following.missing():
            self._load.wake()

    def _writing(self) -> Callable[[], object] | None:
        for model in self.following.models.values():
            self._tending.count(model, self.metrics)
        return self.recording.flush if self.able else None

    def _ticking(self) -> Callable[[], object]:
        following = self.following
        for model in following.models.values():
            self._tending.count(model, self.metrics)
        minutes = self._tending.take(self.champion, following.beside)
        return functools.partial(self._ticked, minutes)

    def _ticked(self, minutes: list[tuple[Minute, Minute]]) -> None:
        try:
            self._tending.tick(minutes)
        finally:
            self._loop.call_soon_threadsafe(self._follow.wake)

    def _last(self) -> None:
        self.recording.flush()
        self.recording.count(self.deployment.clock())


def _own(deployment: Deployment) -> Deployment:
    """The same deployment for another thread."""
    twin = Deployment.open(deployment.path, deployment.clock, deployment.disk)
    twin.kinds = deployment.kinds
    return twin


def _plan(deployment: Deployment) -> Plan:
    """What may happen by itself; nothing where the plan cannot be read, which is no reason not to answer."""
    try:
        return deployment.plan
    except (ArtifactError, OSError) as error:
        LOG.error("nothing is recorded, no labels are taken, and nothing happens by itself: %s", error)
        deployment.plan = NOTHING
        return NOTHING
