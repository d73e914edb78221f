"""What the versions of a deployment did, minute by minute, and the tick that follows from it (`life.conduct`)."""

import math
import random
from dataclasses import dataclass, field

import numpy as np

from thuja.life.challenge import Minute
from thuja.life.conduct import tick
from thuja.life.deployment import Deployment

TIMED = 5000
"""Answers of a minute whose times are kept, drawn evenly."""

LATE_MINUTES = 60
"""Minutes that wait for a ledger that cannot be written."""


@dataclass
class Doing:
    """What one version has done since the last tick."""

    answers: int = 0
    failures: int = 0
    broken: str = ""
    _ms: list[float] = field(default_factory=list)

    def answered(self, ms: float) -> None:
        """Count an answer."""
        self.answers += 1
        if len(self._ms) < TIMED:
            self._ms.append(ms)
        elif (place := random.randrange(self.answers)) < TIMED:  # noqa: S311 - a draw, no secret
            self._ms[place] = ms

    def failed(self, broken: str = "") -> None:
        """Count a question that it could not answer, though another version could; `broken`: what no version may ever answer."""
        self.answers += 1
        self.failures += 1
        self.broken = self.broken or broken

    def minute(self) -> Minute:
        """As the challenge takes it."""
        return Minute(self.answers, self.failures, float(np.quantile(self._ms, 0.99)) if self._ms else math.nan, self.broken)


class Tending:
    """The tick of one server. `of`, and `take` are for the event loop, `tick` for one thread."""

    def __init__(self, deployment: Deployment) -> None:
        """`deployment` is the thread's own."""
        self.deployment = deployment
        self._doing: dict[str, Doing] = {}
        self._untold: list[tuple[Minute, Minute]] = []

    def of(self, version: str) -> Doing:
        """What a version is doing."""
        if version not in self._doing:
            self._doing[version] = Doing()
        return self._doing[version]

    def take(self, champion: str, beside: str) -> list[tuple[Minute, Minute]]:
        """What both did since the last time, side by side; nothing where one of them is not there. Counting begins anew."""
        doing, self._doing = self._doing, {}
        if not beside or (champion not in doing and beside not in doing):
            return []
        return [(doing.get(champion, Doing()).minute(), doing.get(beside, Doing()).minute())]

    def tick(self, minutes: list[tuple[Minute, Minute]]) -> None:
        """Look if it is time, carry a challenge on, tell people. Raises: whatever goes wrong with it; the minutes are told of the next time then."""
        self._untold = [*self._untold, *minutes][-LATE_MINUTES:]
        tick(self.deployment, self._untold)
        self._untold = []
