"""Which answers a person is asked about: some drawn evenly, so that the figures speak for all, and some for being unsure, where mistakes are found soonest.

Every answer has a known chance of being asked about, so that a mean over all labels weighs each by the inverse of its chance and is right for all answers.
Alarms rest on the even draw alone, whose losses have no weights.

Source: inverse-probability weights, Horvitz and Thompson 1952; the ratio form, Hajek 1971. Poisson sampling: each answer is drawn by itself, with a random
number of its own, so that a later look at the same window asks about the same answers.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from thuja.core.seeds import stream
from thuja.life.calls import Call
from thuja.life.plan import Audit


class Asked(NamedTuple):
    """An answer that a person is asked about."""

    call: str
    evenly: bool
    """Whether it would have been drawn without regard to how sure the model was."""
    weight: float
    """How many answers it stands for in a mean over all."""


def draw(plan: Audit, calls: Sequence[Call], scores: np.ndarray, seed: int) -> list[Asked]:
    """About `plan.per_window` of the kept answers. `scores` [calls]: how sure the model was, more is surer; NaN where it cannot say.

    The same calls and seed give the same draw.
    """
    if not calls or not plan.per_window:
        return []
    stands = np.array([call.stands_for for call in calls])
    even = np.minimum(1.0, plan.per_window * (1 - plan.uncertain) * stands / stands.sum())
    unsure = np.minimum(1.0, plan.per_window * plan.uncertain * _doubt(scores) * stands / max((_doubt(scores) * stands).sum(), 1e-12))
    first, second = stream(seed, "audit").random((2, len(calls)))
    chance = 1 - (1 - even) * (1 - unsure)
    return [Asked(calls[place].id, bool(first[place] < even[place]), float(stands[place] / chance[place]))
            for place in np.flatnonzero((first < even) | (second < unsure)).tolist()]


def _doubt(scores: np.ndarray) -> np.ndarray:
    """[calls]: how much an answer asks to be looked at, from 1 for the least sure down to nearly 0; all alike where the model cannot say."""
    known = ~np.isnan(scores)
    if not known.any():
        return np.ones(len(scores))
    rank = np.zeros(len(scores))
    rank[known] = np.argsort(np.argsort(scores[known])) / max(known.sum() - 1, 1)
    return np.where(known, (1 - rank) ** 4 + 1e-3, 0.2)


def mean_loss(losses: np.ndarray, weights: np.ndarray) -> float:
    """The mean over all answers, from the losses of those that were labelled and what each stands for; NaN without any."""
    return float(losses @ weights / weights.sum()) if len(losses) and weights.sum() > 0 else float("nan")
