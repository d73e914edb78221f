"""What the versions of a deployment did, minute by minute, and the tick that follows from it (`life.conduct`)."""

import math
from dataclasses import dataclass

import numpy as np

from thuja.life.challenge import Minute
from thuja.life.conduct import tick
from thuja.life.deployment import Deployment
from thuja.server.metrics import LifeMetrics
from thuja.server.model import Model

LATE_MINUTES = 60
"""Minutes that wait for a ledger that cannot be written."""


@dataclass
class Failures:
    """What one version could not answer since the last tick, though another version could."""

    count: int = 0
    broken: str = ""
    """What no version may ever answer, in words; the first such."""


class Tending:
    """The tick of one server. `failed`, `count` and `take` are for the event loop, `tick` for one thread."""

    def __init__(self, deployment: Deployment) -> None:
        """`deployment` is the thread's own."""
        self.deployment = deployment
        self.failures: dict[str, Failures] = {}
        self._counted: dict[str, int] = {}
        """Answers of which the metrics know already."""
        self._untold: list[tuple[Minute, Minute]] = []

    def failed(self, version: str, broken: str = "") -> None:
        """Count a question that a version could not answer."""
        failures = self.failures.setdefault(version, Failures())
        failures.count += 1
        failures.broken = failures.broken or broken

    def count(self, model: Model, metrics: LifeMetrics) -> None:
        """Let the metrics know of the answers of a version."""
        metrics.answers.labels(model.release).inc(len(model.times) - self._counted.get(model.release, 0))
        self._counted[model.release] = len(model.times)

    def take(self, champion: Model, beside: Model | None) -> list[tuple[Minute, Minute]]:
        """What both did since the last time, side by side; nothing where one of them is not there. Counting begins anew."""
        first, second = self._minute(champion), None if beside is None else self._minute(beside)
        self.failures, self._counted = {}, {}
        return [] if second is None or not first.answers + second.answers else [(first, second)]

    def tick(self, minutes: list[tuple[Minute, Minute]]) -> None:
        """Look if it is time, carry a challenge on, tell people. Raises: whatever goes wrong with it; the minutes are told of the next time then."""
        self._untold = [*self._untold, *minutes][-LATE_MINUTES:]
        if tick(self.deployment, self._untold).kept:
            self._untold = []

    def _minute(self, model: Model) -> Minute:
        times, model.times = model.times, []
        failures = self.failures.get(model.release, Failures())
        return Minute(len(times) + failures.count, failures.count, float(np.quantile(times, 0.99)) if times else math.nan, failures.broken)
