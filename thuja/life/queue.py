"""The audit queue: kept answers that a person is asked about, minus those that have been labelled.

Questions come from windows that are over, so that each answer had its chance among all of its window: the same plan, calls and window give the same questions
to everybody, and tell for each whether it was drawn evenly. A window is drawn once in a process and remembered by its ids.
"""

import math
import threading
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from thuja.core.errors import DataError, DeploymentError
from thuja.fields import Schema
from thuja.life.audit import Asked, draw
from thuja.life.calls import Call
from thuja.life.deployment import Deployment
from thuja.life.loss import judged_field, score_of

WINDOWS = 7
"""Newest windows that questions come from: what is older says little about the model of today."""
SETTLED = 120.0
"""Seconds after its end until a window is drawn from: answers are written with a delay."""


class Question(NamedTuple):
    """One answer that a person is asked about."""

    call: Call
    evenly: bool
    left: int
    """Questions that are open, this one included."""
    schema: Schema
    asked: str
    """The output that the label is about."""


@dataclass
class Queue:
    """The questions of one deployment, for as long as a process lives; for any number of threads, one after the other."""

    deployment: Deployment
    _drawn: dict[int, list[Asked]] = field(default_factory=dict, repr=False)
    _labelled: dict[int, tuple[int, frozenset[str]]] = field(default_factory=dict, repr=False)
    _erased: set[str] = field(default_factory=set, repr=False)
    _schema: tuple[str, Schema] | None = field(default=None, repr=False)
    _alone: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def open(self) -> list[Asked]:
        """What waits for a label, the newest window first. Raises: ArtifactError for a damaged ledger or artefact."""
        with self._alone:
            return self._open()

    def _open(self) -> list[Asked]:
        if not self.deployment.standings().champion or self.deployment.plan.record.inputs != "full":
            return []
        last = self._last()
        done = self._labels((last - WINDOWS + 1) * self._window) | self._erased
        self._drawn = {number: asked for number, asked in self._drawn.items() if number > last - WINDOWS}
        return [asked for number in range(last, last - WINDOWS, -1) for asked in self._of(number) if asked.call not in done]

    def next(self, after: str = "") -> Question | None:
        """The first open question, or the one that follows `after` (which was passed over); None when none is left. Inputs that were erased are not asked
        about. Raises: as `open`."""
        with self._alone:
            waiting = self._open()
            place = next((place for place, asked in enumerate(waiting) if asked.call == after), -1) + 1
            for number, asked in enumerate((*waiting[place:], *waiting[:place])):
                call = self.deployment.calls.named([asked.call]).get(asked.call)
                if call is not None and call.inputs is not None:
                    schema = self._fields()
                    return Question(call, asked.evenly, len(waiting) - number, schema, judged_field(schema))
                self._erased.add(asked.call)
            return None

    def evenly(self, ids: Iterable[str]) -> dict[str, bool]:
        """Of those ids that were drawn: whether they would have been without regard to how sure the model was. Only labels of such answers speak for all."""
        with self._alone:
            drawn = ((name, one) for name in ids for number in self._windows_of(name) for one in self._of(number) if one.call == name)
            return {name: one.evenly for name, one in drawn}

    def opens(self) -> float:
        """When the next questions come: a while after this window is over."""
        return (self._last() + 2) * self._window + SETTLED

    @property
    def _window(self) -> float:
        return self.deployment.plan.harm.window

    def _last(self) -> int:
        """The newest window that is over."""
        return math.floor((self.deployment.clock() - SETTLED) / self._window) - 1

    def _windows_of(self, name: str) -> range:
        """The windows that an answer with this id may be of."""
        head, dash, _ = name.partition("-")
        try:
            span = int(head, 16) if dash and len(head) <= 12 else None
        except ValueError:
            span = None
        if span is None:
            return range(0)
        length = self.deployment.calls.span
        first, last = span * length, (span + 1) * length
        return range(math.floor(first / self._window), min(math.ceil(last / self._window), self._last() + 1))

    def _of(self, number: int) -> list[Asked]:
        """The draw of a window."""
        if number not in self._drawn:
            start, calls, scores = number * self._window, [], []
            schema = self._fields()
            for call in self.deployment.calls.between(start, start + self._window):
                if not call.shade:
                    scores.append(_score(schema, call))
                    calls.append(call._replace(inputs=None, answer={}))  # a day of pictures would not fit
            self._drawn[number] = draw(self.deployment.plan.audit, calls, np.array(scores), number)
        return self._drawn[number]

    def _labels(self, start: float) -> frozenset[str]:
        """The ids of what was labelled since then; a file that has not grown is not read again."""
        segments = self.deployment.labels.segments
        known: dict[int, tuple[int, frozenset[str]]] = {}
        for number in segments.numbers():
            if (number + 1) * segments.span > start:
                size = segments.file(number).stat().st_size
                before = self._labelled.get(number, (-1, frozenset()))
                known[number] = before if before[0] == size else (size, frozenset(record["call"] for record in segments.of(number)))
        self._labelled = known
        return frozenset().union(*(ids for _, ids in known.values()))

    def _fields(self) -> Schema:
        """The champion's schema; those of others are the same, or they had not passed their gate."""
        champion = self.deployment.standings().champion
        if not champion:
            raise DeploymentError(str(self.deployment.path), expected="a version that answers", found="none", fix="Deploy one with `thuja deploy ARTEFACT`.")
        if self._schema is None or self._schema[0] != champion:
            self._schema = champion, self.deployment.artifact(champion).codec.schema()
        return self._schema[1]


def _score(schema: Schema, call: Call) -> float:
    """How sure the model was; NaN where it does not say."""
    try:
        return float(score_of(schema, [call.answer])[0][0])
    except (DataError, KeyError, TypeError, ValueError):  # no output that labels are about, or an answer of another schema
        return math.nan
