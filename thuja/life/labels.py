"""What turned out to be true: labels that come late, twice, in contradiction, or for answers that nobody remembers.

A label names the call it is about. All that came is kept, with when and from whom; what counts is decided on reading, by rules that are the same every time:
the latest label of a call counts, an equal one is a repetition, another one a contradiction and told of.

Source: the delay from answer to label as a distribution with censored values (`life.lifetime`), Kaplan and Meier 1958.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from thuja.core.storage import DISK, Disk
from thuja.life.calls import Call
from thuja.life.index import Index
from thuja.life.lifetime import Life, Survival, survival
from thuja.life.segments import HOUR, Segments


class Label(NamedTuple):
    """What somebody says was true."""

    call: str
    at: float
    truth: dict[str, Any]
    """By output field, plain data."""
    by: str = ""
    evenly: bool = True
    """Whether the call was drawn evenly (or all calls get labels): only such labels speak for all answers. False: it was asked about for being unsure."""


class Joined(NamedTuple):
    """One answer with its truth."""

    call: Call
    label: Label


class Counted(NamedTuple):
    """What became of some labels."""

    joined: list[Joined]
    unknown: int
    """About calls that are not kept."""
    repeated: int
    contradicted: int
    early: int
    """Dated before the answer that they are about: a clock is wrong, or an id was guessed. They do not count."""


@dataclass
class Labels:
    """The labels of a deployment; any number of writers."""

    path: Path
    disk: Disk = field(default=DISK, repr=False)
    span: float = HOUR
    """Seconds of which one file holds the labels that came."""

    def __post_init__(self) -> None:
        self.segments = Segments(self.path, self.disk, self.span)

    def add(self, labels: Sequence[Label], came: float) -> None:
        """Keep labels durably, under the time at which they came (`Label.at` is what they say themselves). Raises: StorageError."""
        self.segments.add([(came, {"came": came, **label._asdict()}) for label in labels])

    def between(self, start: float, end: float) -> list[Label]:
        """The labels that came from `start` to just before `end`, in the order in which they came."""
        found = []
        for record in self.segments.between(start, end):
            if start <= record.pop("came") < end:
                found.append(Label(**record))
        return found

    def truths(self, calls: Iterable[str], start: float, end: float) -> dict[str, dict[str, Any]]:
        """What the latest label that came in that time says of each of these answers, as far as there is one. Not all labels are read for it (`life.index`)."""
        return Index(self.segments, self.disk).truths(calls, start, end)


def join(calls: Iterable[Call], labels: Sequence[Label], before: Mapping[str, dict[str, Any]] | None = None) -> Counted:
    """Answers with the labels that count. `before`: what was true of calls that were labelled earlier, which have been counted and are not again."""
    known = {call.id: call for call in calls if not call.shade}
    latest: dict[str, Label] = {}
    earlier = before or {}
    unknown = repeated = contradicted = early = 0
    for label in labels:
        call = known.get(label.call)
        if call is None:
            unknown += 1
        elif label.at < call.at:
            early += 1
        else:
            known_truth = latest[label.call].truth if label.call in latest else earlier.get(label.call)
            repeated += known_truth == label.truth
            contradicted += known_truth is not None and known_truth != label.truth
            if label.call not in earlier:
                latest[label.call] = label
    return Counted([Joined(known[name], label) for name, label in latest.items()], unknown, repeated, contradicted, early)


def delays(calls: Iterable[Call], labels: Sequence[Label], now: float) -> Survival | None:
    """How long labels take: the share of answers still without one after each delay, in seconds; None without answers. Answers that have none yet are censored
    at their age, so that young ones do not make labels look rare."""
    first: dict[str, float] = {}
    for label in labels:
        first[label.call] = min(label.at, first.get(label.call, label.at))
    lives = [Life(max(0.0, first[call.id] - call.at), True) if call.id in first else Life(max(0.0, now - call.at), False)
             for call in calls if not call.shade]
    return survival(lives) if lives else None


def coverage(counted: Counted, calls: int) -> Mapping[str, float]:
    """In figures, for the page."""
    return {"labelled": len(counted.joined), "share": len(counted.joined) / calls if calls else 0.0, "unknown": counted.unknown,
            "repeated": counted.repeated, "contradicted": counted.contradicted, "early": counted.early}
