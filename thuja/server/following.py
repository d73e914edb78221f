"""Following the ledger: which versions of a deployment are loaded, and which of them answers.

The ledger is looked at twice a second. Who is the champion there answers here as soon as it is loaded; the one before stays loaded, so that going back takes no
longer than that look. A version that cannot be loaded changes nothing: whoever answered goes on.
"""

import logging
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from thuja.artifact.folder import Artifact
from thuja.core.errors import ArtifactError, DeploymentError, ThujaError
from thuja.life.deployment import Deployment, steps
from thuja.life.ledger import Event, Said
from thuja.life.states import OVER, Gate, Standings, fold
from thuja.server.metrics import LifeMetrics
from thuja.server.model import Model

if TYPE_CHECKING:
    from thuja.artifact.runtime import Predictor

LOG = logging.getLogger("thuja.server")
LOOK_S = 0.5
"""Time between two looks at the ledger."""
AGAIN_S = 10.0
"""After which a version that could not be loaded is tried again."""
SURE = 2
"""Times that an artefact must have been found damaged before it is put in quarantine."""


class House(Protocol):
    """Where models are put in service (`service.Service`)."""

    @property
    def model(self) -> Model: ...
    def make(self, predictor: "Predictor") -> Model: ...
    def take(self, model: Model) -> None: ...
    def retire(self, model: Model) -> None: ...
    def fits(self, new: "Predictor") -> None: ...


class Following:
    """The versions of one deployment in one server. `arrange` and `put` are for the event loop, `read` and `load` each for one thread."""

    def __init__(self, deployment: Deployment, opened: "Callable[[Artifact], Predictor]", warm_bytes: int) -> None:
        """`deployment` is the threads' own. `opened` loads and warms up; `warm_bytes`: artefacts that are larger are not kept loaded for going back."""
        self.deployment, self.opened, self.warm_bytes = deployment, opened, warm_bytes
        self.standings = Standings()
        self.models: dict[str, Model] = {}
        self.champion: Model | None = None
        """The version that answers."""
        self.beside: Model | None = None
        """The version in SHADOW or CANARY, once it is loaded."""
        self.share = 0.0
        """Of the requests, that goes to it."""
        self.stopped = ""
        """A version in CANARY that has given what no version may ever answer: it is asked no more, whatever the ledger says of it."""
        self._events: list[Event] = []
        self._damaged: dict[str, int] = {}
        self._later: dict[str, float] = {}
        """When to try again what could not be loaded."""
        self._house: House | None = None
        self._metrics: LifeMetrics | None = None

    def read(self) -> bool:
        """Look at the ledger; whether anything has happened. Raises: ArtifactError for a damaged one; what was known stays then."""
        known, events = self._events, self.deployment.ledger.events()
        if len(events) == len(known) and (not events or events[-1].hash == known[-1].hash):
            return False
        goes_on = len(events) > len(known) and (not known or events[len(known) - 1].hash == known[-1].hash)
        self.standings = fold(events[len(known) :], self.standings) if goes_on else fold(events)
        self._events = events
        return True

    def first(self) -> "tuple[str, Predictor]":
        """The version that answers when the server starts: the champion, or where it cannot be loaded the one before. Raises: DeploymentError where there is no
        champion yet; ArtifactError."""
        self.read()
        now = self.standings
        if not now.champion:
            raise DeploymentError(str(self.deployment.path), expected="a version that answers", found="none yet" if not now.previous else "none any more",
                                  fix="Put one in service: see `thuja timeline`, `thuja deploy`, `thuja promote`.")
        try:
            return now.champion, self.load(now.champion)
        except (ThujaError, OSError) as error:
            if not now.previous:
                raise
            LOG.error("version %s cannot be loaded, version %s answers: %s", now.champion, now.previous, error)
            self._later[now.champion] = time.monotonic() + AGAIN_S
            return now.previous, self.load(now.previous)

    def begin(self, version: str, house: House, metrics: LifeMetrics) -> None:
        """The version that `first` gave is in service in `house`."""
        self._house, self._metrics = house, metrics
        house.model.release = version
        self.champion = self.models[version] = house.model
        self.arrange()

    @property
    def house(self) -> House:
        """Where the models are put in service."""
        assert self._house is not None, "following has not begun"
        return self._house

    def wanted(self) -> list[str]:
        """The versions that should be loaded, the most urgent first."""
        now = self.standings
        warm = [now.previous] if now.previous and self._small(now.previous) else []
        return list(dict.fromkeys(name for name in (now.champion, now.beside, *warm) if name))

    def missing(self) -> str:
        """The version to load next; empty where none is to be."""
        now = time.monotonic()
        return next((name for name in self.wanted() if name not in self.models and self._later.get(name, 0.0) <= now), "")

    @property
    def complete(self) -> bool:
        """Whether all that should be loaded is."""
        return all(name in self.models for name in self.wanted())

    def arrange(self) -> None:
        """Let the champion answer, if it is loaded; give the one beside its share; let go what is needed no more."""
        now, house = self.standings, self.house
        if now.champion in self.models and self.models[now.champion] is not house.model:
            house.take(self.models[now.champion])
            self.champion = house.model
            LOG.warning("now serving version %s (%s)", now.champion, house.model.version)
        self.stopped = self.stopped if self.stopped == now.beside else ""
        self.beside = self.models.get(now.beside)
        canary = self.beside is not None and now.versions[now.beside].standing == "CANARY" and not self.stopped
        self.share = now.share if canary else 0.0
        keep = {*self.wanted(), house.model.release}
        for name in [name for name in self.models if name not in keep]:
            house.retire(self.models.pop(name))
        if self._metrics is not None:
            self._metrics.standing({name: self._role(name) for name in self.models}, self.share)

    def put(self, version: str, predictor: "Predictor") -> None:
        """A version has been loaded."""
        if version in self.wanted() and version not in self.models:
            model = self.house.make(predictor)
            model.release = version
            self.models[version] = model
        self.arrange()

    def load(self, version: str) -> "Predictor":
        """Verify, load and warm up. A version found damaged is put in quarantine where the plan lets it. Raises: ArtifactError, Refusal, OSError."""
        self._later[version] = time.monotonic() + AGAIN_S
        try:
            artifact = self.deployment.artifact(version)
        except ArtifactError as error:
            self._is_damaged(version, error)
            raise
        predictor = self.opened(artifact)
        if self._house is not None:
            self._house.fits(predictor)
        self._damaged.pop(version, None)
        return predictor

    def _is_damaged(self, version: str, error: ArtifactError) -> None:
        """One that is not there may come back, and needs no quarantine."""
        if not (self.deployment.place(version) / "manifest.json").is_file():
            return
        self._damaged[version] = self._damaged.get(version, 0) + 1
        if self._damaged[version] >= SURE and self._house is not None and "rollback" in self.deployment.plan.alone:
            self.deployment.say(lambda now: quarantined(now, version, str(error)))

    def _small(self, version: str) -> bool:
        try:
            return sum(file.stat().st_size for file in self.deployment.place(version).iterdir()) <= self.warm_bytes
        except OSError:
            return False

    def _role(self, version: str) -> str:
        model = self.models[version]
        return "answers" if model is self.house.model else "warm" if model is not self.beside else "canary" if self.share else "shadow"


def quarantined(now: Standings, version: str, why: str) -> list[Said]:
    """What a damaged version leads to. A champion goes only where there is one before it to take its place: a person must act otherwise."""
    cause = Gate(True, f"damaged: {why}")
    if now.of(version).standing in OVER:
        return []
    if version != now.champion:
        return steps(now, [(version, "QUARANTINED", {"cause": cause})], "policy")
    if not now.previous:
        return []
    back = {"cause": cause, "schema": Gate(True, "as before")}
    return steps(now, [(version, "QUARANTINED", {"cause": cause}), (now.previous, "CHAMPION", back)], "policy")
