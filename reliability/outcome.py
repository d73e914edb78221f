"""What a harness found, and how much it proves: trials, failures, the 95 % bound on the true rate of failure, and whether the planted bug was caught."""

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

SHOWN = 20
"""Failures kept word for word."""


class Control(NamedTuple):
    """A bug planted on purpose: a harness that cannot catch it proves nothing."""

    planted: str
    """What was broken, in words."""
    trials: int
    caught: int


@dataclass(frozen=True)
class Outcome:
    """What one harness found in one run."""

    trials: int
    failures: list[str]
    """A line for each trial that failed: what was expected and what was found; empty is what we want."""
    control: Control
    figures: dict[str, float | str] = field(default_factory=dict)
    """What else was measured, in words that a reader understands: "work lost, steps (worst)": 7."""

    @property
    def passed(self) -> bool:
        """No failure, enough trials to say so, and the planted bug caught every time."""
        return not self.failures and self.trials > 0 and self.control.trials > 0 and self.control.caught == self.control.trials

    @property
    def bound(self) -> float:
        """The largest rate of failure that these trials leave possible, at 95 % confidence.

        Source: Clopper and Pearson 1934, one-sided; for no failure it is 1 - 0.05 ** (1 / trials), about 3 / trials.

        >>> round(Outcome(600, [], Control("none", 1, 1)).bound, 4)
        0.005
        """
        if not self.failures:
            return 1.0 - 0.05 ** (1.0 / self.trials) if self.trials else 1.0
        from scipy.stats import beta

        failed = len(self.failures)
        return float(beta.ppf(0.95, failed + 1, self.trials - failed)) if failed < self.trials else 1.0


class Harness(NamedTuple):
    """One row of the table. A module of this package lists its own in `HARNESSES`."""

    id: str
    """D1, S4: the name that the issue and the table use."""
    promise: str
    """What is promised, in a line: "kill -9 at any moment, then resume: the same bits"."""
    run: Callable[[int, random.Random], Outcome]
    """Makes about so many trials, all randomness from the generator."""
    short: int
    """Trials in `make test`: seconds."""
    long: int
    """Trials in `make reliability`: minutes."""
