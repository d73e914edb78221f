"""Lives on a matrix of losses (`streams.py`): what would have happened had one trained at these times. The looks and decisions are those of production
(`life.watch.look`, `life.policy.decide`, `life.challenge.verdict`); only the answers come from the matrix, so that every policy is judged on the same ones."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import streams
from streams import Matrix

from thuja.fields import Category, Number, Schema
from thuja.life import challenge
from thuja.life.ageing import Calendar, Cut, calendar, decay, lives
from thuja.life.lifetime import Life
from thuja.life.loss import Judged
from thuja.life.plan import Harm, Plan, Renew
from thuja.life.policy import Gain, Known, decide, spell
from thuja.life.watch import Look, Memory, Reference, Window, answered, look

CUTS = 8


class History(NamedTuple):
    """What the ageing test found on the batches before the first deployment."""

    lives: tuple[Life, ...]
    calendar: Calendar


class Lived(NamedTuple):
    """One life."""

    error: float
    """Sum of the mean losses of the batches."""
    trained: list[int]
    """At the beginning of which batches, after the first."""
    reasons: dict[str, int]
    alarms: int
    looks: list[Look]

    def cost(self, each: float) -> float:
        """In batches of answers that are all wrong."""
        return self.error + each * len(self.trained)


def plan_of(matrix: Matrix, cost: float, **renew: object) -> Plan:
    """The plan's defaults, a window a batch, and the cost of a training."""
    return Plan(harm=Harm(window=matrix.stream.seconds), renew=Renew.model_validate({"cost": cost, **renew}))


def history(matrix: Matrix, plan: Plan) -> History:
    """The ageing test on what is known when the first deployment begins: models of CUTS past dates, judged on what followed."""
    first, until = matrix.stream.first, matrix.stream.begin
    means = matrix.means()
    cuts = [Cut(float(place), means[place, place:until]) for place in np.unique(np.linspace(first, first + 2 * (until - first) // 3, CUTS).astype(int))]
    return History(tuple(lives(cuts, plan.harm.margin)), calendar(decay(cuts), plan.renew.cost))


def reference(matrix: Matrix, trained: int, known: History) -> Reference:
    """Of the model trained at the beginning of a batch, from the rows that were held back."""
    held = matrix.loss[matrix.model(trained), matrix.held(trained)]
    every = known.calendar.every
    return Reference({}, float(held.mean()), len(held), streams.is_share(matrix.stream), matrix.expected(trained), {}, known.lives, 0.0, JUDGED,
                     None if math.isinf(every) else every)


JUDGED = Judged("answer", 1.0)
SCHEMAS = {True: Schema(inputs={}, outputs={"answer": Category()}), False: Schema(inputs={}, outputs={"answer": Number()})}


def window(matrix: Matrix, trained: int, batch: int) -> Window:
    """A batch as a look takes it: all of its labels came, evenly drawn; its inputs are not looked at."""
    rows, seconds = slice(batch * matrix.stream.batch, (batch + 1) * matrix.stream.batch), matrix.stream.seconds
    place = matrix.model(trained)
    return Window(batch * seconds, (batch + 1) * seconds, matrix.stream.batch, 0, (batch + 1) * seconds, {}, matrix.score[place, rows],
                  matrix.loss[place, rows], {})


def live(matrix: Matrix, plan: Plan, *, challenged: bool = False) -> Lived:
    """From the first deployment to the end of the stream. The labels of a batch are known at its end; a model trained then answers the next batch:
    at once, or where it is `challenged` first in the shade of the champion, until the plan's challenge says that it may answer."""
    stream, known = matrix.stream, history(matrix, plan)
    champion, beside, trial = stream.begin, -1, challenge.begun(plan.challenge)
    settled, memory = reference(matrix, champion, known), Memory()
    newest, labels, unanswered, gains, before = champion, 0, False, list[Gain](), -1
    error, trained, reasons, looks = 0.0, list[int](), dict[str, int](), list[Look]()
    schema = SCHEMAS[settled.share]
    for batch in range(stream.begin, stream.batches):
        now = window(matrix, champion, batch)
        error += float(now.losses.mean())
        memory, found = look(plan, schema, settled, memory, now)
        looks.append(found)
        labels, unanswered = labels + found.labels, unanswered or found.alarm
        memory = answered(memory) if found.alarm else memory
        if before >= 0:  # the one that was replaced is asked once more, in the shade
            gains.append(Gain(champion - before, float(matrix.of(before, batch).mean() - now.losses.mean())))
            before = -1
        harm = spell(memory.losses, settled.claim())
        said = decide(plan, Known(now.end, newest * stream.seconds, unanswered, found.forecast, _calendar(settled), labels, "", beside >= 0, harm,
                                  tuple(gains)))
        if beside >= 0:
            trial = trial.after_labels(now.losses, matrix.of(beside, batch))
            gains[-1] = Gain(beside - champion, trial.better.mean)
            trial, verdict = carried(plan, trial, now.end)
            if verdict == "promote":
                champion, settled, memory = beside, reference(matrix, beside, known), Memory()
            beside = -1 if verdict != "wait" else beside
        elif said.retrain and batch + 1 < stream.batches:
            newest, labels, unanswered = batch + 1, 0, False
            trained.append(newest)
            reasons[said.reason] = reasons.get(said.reason, 0) + 1
            if challenged:
                beside, trial = newest, challenge.begun(plan.challenge)
                gains.append(Gain(newest - champion, 0.0))
            else:
                before = champion
                champion, settled, memory = newest, reference(matrix, newest, known), Memory()
    return Lived(error, trained, reasons, sum(one.alarm for one in looks), looks)


def carried(plan: Plan, trial: challenge.Trial, now: float) -> tuple[challenge.Trial, str]:
    """The trial with all the steps of a canary that a batch has time for, and what is said at the end of them."""
    while (said := challenge.verdict(plan.challenge, trial, now, younger=True)).verdict == "next share":
        trial = trial.at_share(trial.place + 1, now - plan.challenge.step)
    return trial, said.verdict


def _calendar(settled: Reference) -> float:
    return math.inf if settled.calendar is None else settled.calendar


def replaced(matrix: Matrix, at: Sequence[int]) -> Lived:
    """What it costs to train at the beginning of these batches, and at no others."""
    means, error, model = matrix.means(), 0.0, matrix.stream.begin
    for batch in range(matrix.stream.begin, matrix.stream.batches):
        model = batch if batch in at else model
        error += float(means[model, batch])
    return Lived(error, list(at), {}, 0, [])


def calendars(matrix: Matrix) -> dict[int, Lived]:
    """Every fixed rhythm, by the batches between two trainings; the longest is never."""
    begin, end = matrix.stream.begin, matrix.stream.batches
    return {every: replaced(matrix, range(begin + every, end, every)) for every in range(1, end - begin + 1)}


def oracle(matrix: Matrix, cost: float) -> float:
    """The least cost of any choice of times, with the future known (dynamic programming)."""
    means, begin, end = matrix.means(), matrix.stream.begin, matrix.stream.batches
    ahead = np.zeros(end + 1)
    for batch in range(end - 1, begin - 1, -1):
        ages = np.cumsum(means[batch, batch:end])
        then = ahead[batch + 1 : end + 1] + np.where(np.arange(batch + 1, end + 1) < end, cost, 0.0)
        ahead[batch] = float((ages + then).min())
    return float(ahead[begin])
