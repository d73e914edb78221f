"""How much longer a model will last: a distribution, or the honest reason for there being none.

The prior is what happened to models of the same kind in the ageing test (and to earlier versions). What is known of this one, its audited loss so far, moves
the forecast only as far as evidence allows (`life.path`): an end in ten windows would have left a trace by now, an end in a hundred would not. Abrupt ends
leave none; they cannot be dated by any of this. Then a rate is given, and no date.

Source: the prior by Kaplan-Meier and Weibull (`life.lifetime`); its update is Bayes' rule over when the end is, `life.path` says how.
"""

import math
from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

import numpy as np

from thuja.life.lifetime import IN_A_ROW, Life, Weibull, survival, weibull
from thuja.life.path import Seen, posterior

HORIZON = 400
"""Windows that are looked ahead."""
ENOUGH = 6
"""Lives of similar models without which nothing is said; audited windows without which this model's own path says nothing."""
OUTLIVED = 0.01
"""A model that has lived longer than all but so many of the similar ones would: they say nothing of it any more."""
State = Literal["forecast", "hazard only", "no end in sight", "abstain"]
TIERS = ("history of similar models", "unlabelled traffic", "audited labels", "all labels")


class Forecast(NamedTuple):
    """What is said of the rest of a life."""

    state: State
    reason: str
    quantiles: tuple[float, float, float] | None
    """When 10, 50 and 90 % of such models have ended, in windows from now; None where no date can be given. inf: not within the horizon."""
    next_window: float
    """The chance of ending within the next window; NaN where unknown."""
    tier: int
    """Which evidence it rests on: the place in TIERS."""

    def plain(self) -> dict[str, Any]:
        """As JSON data: beyond the horizon is null."""
        quantiles = None if self.quantiles is None else [None if math.isinf(q) else round(q, 2) for q in self.quantiles]
        return self._asdict() | {"quantiles": quantiles, "next_window": None if math.isnan(self.next_window) else round(self.next_window, 4)}


def prior(lives: Sequence[Life], age: float) -> Forecast:
    """From the lives of similar models alone, for one that has reached `age` windows: the planning estimate."""
    ends = sum(life.ended for life in lives)
    if len(lives) < ENOUGH:
        return Forecast("abstain", f"only {len(lives)} lives of similar models are known; {ENOUGH} are needed", None, math.nan, 0)
    watched = sum(life.length for life in lives)
    if not ends:
        return Forecast("no end in sight", f"none of {len(lives)} similar models ended in {watched:.0f} windows", None, 1 / (watched + 1), 0)
    fitted = weibull(lives)
    if fitted is None:
        return Forecast("hazard only", f"{ends} of {len(lives)} similar models ended: a rate, but no date", None, ends / watched, 0)
    oldest = max(life.length for life in lives)
    if age > oldest and fitted.beyond(age) < OUTLIVED:
        return Forecast("abstain", f"it has outlived all {len(lives)} similar models, the oldest of {oldest:g} windows", None, math.nan, 0)
    found = survival(lives)
    quantiles = tuple(_left(found.quantile(part, age), fitted, part, age) for part in (0.1, 0.5, 0.9))
    next_window = 1 - fitted.beyond(age + 1) / max(fitted.beyond(age), 1e-12)
    if quantiles[1] > HORIZON:
        return Forecast("no end in sight", f"half of such models last more than {HORIZON} windows from here", None, next_window, 0)
    assert len(quantiles) == 3
    return Forecast("forecast", f"{ends} of {len(lives)} similar models have ended", quantiles, next_window, 0)


def _left(staircase: float, fitted: Weibull, part: float, age: float) -> float:
    """Windows from now: the staircase where enough lives got so far, the fitted curve beyond."""
    return (staircase if math.isfinite(staircase) else fitted.quantile(part, age)) - age


def updated(lives: Sequence[Life], age: float, seen: Seen, *, tier: int = 2, ways: np.ndarray | None = None) -> Forecast:
    """The prior, moved by what has been seen of this model. With fewer than ENOUGH audited windows it is the prior.

    Args: ways: how similar models went to their end (`path.ways_of`); without, any way is as likely.
    """
    before = prior(lives, age)
    if seen.known.sum() < ENOUGH or before.state == "abstain":
        return before
    if before.state == "no end in sight" and float(np.mean(seen.loss[seen.known][-IN_A_ROW:])) <= seen.floor:
        return before  # nobody like it has ended, and it is not ending: no date is made of noise alone
    after = posterior(lives, age, seen, HORIZON, ways)
    quantiles = after.quantile(0.1), after.quantile(0.5), after.quantile(0.9)
    windows, next_window = int(seen.known.sum()), float(after.chance[0])
    if quantiles[1] > HORIZON:
        reason = f"more likely than not it lasts {HORIZON} windows from here; {windows} of its own were audited"
        return Forecast("no end in sight", reason, None, next_window, tier)
    if after.sudden or before.state == "hazard only":
        reason = f"such models end without warning, and {windows} audited windows of this one show none: a rate, but no date" if after.sudden else before.reason
        return Forecast("hazard only", reason, None, 1 - 0.5 ** (1 / quantiles[1]), tier)
    return Forecast("forecast", f"{before.reason}; {windows} audited windows of this one are in it", quantiles, next_window, tier)
