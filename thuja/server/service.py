"""What the routes share: the model in service, its readiness, its atomic replacement by another artefact, and the deployment that it belongs to, if any."""

import asyncio
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

from thuja.core.errors import ThujaError
from thuja.server.gallery import Galleries
from thuja.server.limits import Bodies
from thuja.server.metrics import Metrics
from thuja.server.model import Model
from thuja.server.problem import Refusal
from thuja.server.settings import ServeSettings

if TYPE_CHECKING:
    from thuja.artifact.runtime import Predictor
    from thuja.server.in_service import InService


class Service:
    """The model in service, settings, counters, and whether the server is going away."""

    def __init__(self, predictor: "Predictor", settings: ServeSettings, opened: Callable[[Path], "Predictor"], galleries: Galleries | None = None,
                 life: "InService | None" = None) -> None:
        """`opened` verifies, loads and warms up another artefact; it is called in a thread. `galleries`: where the operator asked for them. `life`: where a
        deployment is served, of which `predictor` is the version that answers."""
        self.settings, self.galleries, self.life = settings, galleries, life
        self.metrics = Metrics()
        self.bodies = Bodies(settings.max_held_bytes)
        self.draining = False
        self._first, self._opened = predictor, opened
        self._encoders = ThreadPoolExecutor(settings.encoders, thread_name_prefix="encode")
        self._model: Model | None = None
        self._swapping = asyncio.Lock()
        self._probing = asyncio.Lock()
        self._probed = (float("-inf"), "not tried yet")
        self._retiring: set[asyncio.Task[None]] = set()

    @property
    def model(self) -> Model:
        """The model in service: the champion, where a deployment is served. Take it once per request, with `used`."""
        assert self._model is not None, "the service has not started"
        return self._model

    async def start(self) -> None:
        """Put the first model in service; needs a running event loop."""
        self._put(self._first)
        self.metrics.watch(lambda: self.model.batcher.waiting, lambda: self.model.batcher.admitted, lambda: not self.draining and not self._probed[1])
        if self.life is not None:
            self.life.start(self)

    async def stop(self) -> None:
        """Let requests finish and end the threads."""
        if self.life is not None:
            await self.life.stop()
        await self.model.retire()
        if self._retiring:
            await asyncio.wait(self._retiring)
        self._encoders.shutdown(wait=False)

    async def swap(self, path: Path) -> Model:
        """Verify, load and warm up the artefact at `path`, then put it in service in one step; requests in flight end on the old one.

        Raises: ArtifactError, or Refusal 409 when it takes or gives other fields; the old one stays in service then.
        """
        async with self._swapping:
            try:
                predictor = await asyncio.to_thread(self._opened, path)
                self.fits(predictor)
            except ThujaError:
                self.metrics.swaps.labels("refused").inc()
                raise
            old = self.model
            self._put(predictor)
            self.retire(old)
            self.metrics.swaps.labels("done").inc()
            return self.model

    async def not_ready(self) -> str:
        """Why the server should get no requests; empty if it should. The answer of a real prediction is remembered for `ready_s`."""
        if self.draining:
            return "the server is shutting down"
        loop = asyncio.get_running_loop()
        async with self._probing:
            if loop.time() - self._probed[0] > self.settings.ready_s:
                self._probed = (loop.time(), await self._probe())
        return self._probed[1]

    async def _probe(self) -> str:
        with self.model.used() as model:
            task = asyncio.create_task(model.probe())
            await asyncio.wait([task], timeout=self.settings.timeout_s)
            if not task.done():
                task.cancel()
                return "the model does not answer in time"
            return "the model cannot answer" if task.exception() else ""

    def _put(self, predictor: "Predictor") -> None:
        self.take(self.make(predictor))

    def make(self, predictor: "Predictor") -> Model:
        """A model with a queue, which nobody asks yet."""
        return Model(predictor, self.settings, self.metrics, self._encoders)

    def take(self, model: Model) -> None:
        """Let this one answer from now on. What becomes of the one before is up to the caller: see `retire`."""
        self._model, self._probed = model, (float("-inf"), "not tried yet")
        self.metrics.model.info({"digest": model.digest, "kind": model.kind})

    def retire(self, model: Model) -> None:
        """Close a model once the last request on it is answered; nobody may take it again."""
        task = asyncio.create_task(model.retire())
        self._retiring.add(task)
        task.add_done_callback(self._retiring.discard)

    def fits(self, new: "Predictor") -> None:
        """A client must not notice more than better answers: the same fields by name and kind, in and out. Raises: Refusal 409."""
        schema = self.model.schema
        for place, now, then in (("inputs", schema.inputs, new.schema.inputs), ("outputs", schema.outputs, new.schema.outputs)):
            have, want = ({name: field.kind for name, field in fields.items()} for fields in (then, now))
            if have != want:
                raise Refusal(409, f"schema.{place}", expected=_listed(want), found=_listed(have), fix="Start another server for another interface.")


def _listed(kinds: Mapping[str, str]) -> str:
    return ", ".join(f"{name} ({kind})" for name, kind in kinds.items())
