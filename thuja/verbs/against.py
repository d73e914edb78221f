"""What other rhythms of training would have cost over the same years: never, at every date, and the best fixed one of all, chosen with hindsight.

For each of some dates a model is trained on what was known then, and judged on all that followed, without a challenge: it answers from its date on.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from thuja.data.source import open_source
from thuja.settings import Data
from thuja.spec import Spec
from thuja.verbs.age import trained_on
from thuja.verbs.replay import History, Replayed

DATES = 12
"""At which a model is trained."""


class Rival(NamedTuple):
    """One way of renewing a model."""

    name: str
    loss: float
    """Mean, over all rows."""
    trainings: int
    """After the first."""
    cost: float
    """Loss, and what trainings cost (`renew.cost`), in windows of answers that are all wrong."""


def against(found: Replayed, spec: Spec[Any], history: History, *, dates: int = DATES, on_date: Callable[[int], None] | None = None) -> list[Rival]:
    """As it was lived, and the rivals: never, at each of `dates` dates, and the best rhythm among them."""
    plan = found.deployment.plan
    end = found.lived[-1].end
    windows = (end - found.start) / plan.harm.window
    table, rows = judged(found, spec, history, np.linspace(found.start, end, dates + 1), on_date)

    def rival(name: str, trainings: Sequence[int]) -> Rival:
        chosen = [max(place for place in (0, *trainings) if place <= span) for span in range(dates)]
        loss = float(np.average([table[model, span] for span, model in enumerate(chosen)], weights=rows))
        return Rival(name, loss, len(trainings), loss * windows + plan.renew.cost * len(trainings))

    rhythms = {every: rival(f"every {_years(every * (end - found.start) / dates)}, the best with hindsight", range(every, dates, every))
               for every in range(1, dates)}
    return [Rival("as lived", found.loss, found.trainings, found.loss * windows + plan.renew.cost * found.trainings), rival("never", ()),
            rhythms[1]._replace(name=f"at all {dates} dates"), min(rhythms.values(), key=lambda one: one.cost)]


def judged(found: Replayed, spec: Spec[Any], history: History, borders: np.ndarray, on_date: Callable[[int], None] | None) -> tuple[np.ndarray, np.ndarray]:
    """[dates, spans]: the mean loss on each span between dates of the model of each date; and the rows of each span."""
    source = open_source(Data(), object=history.columns(np.arange(len(history.times))))["all"]
    scale = found.deployment.reference("1").judged.scale
    table = np.full((len(borders) - 1, len(borders) - 1), math.nan)
    spans = [np.flatnonzero((history.times >= low) & (history.times < high)) for low, high in pairwise(borders)]
    for number, date in enumerate(borders[:-1]):
        known = np.flatnonzero(history.times < date) if number == 0 else np.flatnonzero(history.times + history.known_after <= date)
        most = len(known) if found.deployment.plan.renew.rows == "auto" else found.deployment.plan.renew.rows
        model = trained_on(spec, source, known[-most:], len(spans))
        for span in range(number, len(spans)):
            table[number, span] = float(np.minimum(model.errors(spans[span]) / scale, 1.0).mean()) if len(spans[span]) else 0.0
        if on_date is not None:
            on_date(number)
    return table, np.array([len(span) for span in spans])


def _years(seconds: float) -> str:
    """A rhythm for people.

    >>> _years(3 * 365.25 * 86400), _years(86400.0 * 40)
    ('3 years', '40 days')
    """
    years = seconds / (365.25 * 86400)
    return f"{years:.2g} years" if years >= 1 else f"{seconds / 86400:.3g} days"


def plain(rivals: Sequence[Rival]) -> Mapping[str, Any]:
    """As JSON data."""
    return {rival.name: {"loss": round(rival.loss, 6), "trainings": rival.trainings, "cost": round(rival.cost, 4)} for rival in rivals}
