"""The verb `watch`: keep a deployment's life going (look when it is time, carry a challenge on, tell people) and, where asked to, train when the policy wishes.

A training runs in a process of its own, one at a time by a lock, and what came of it is written into the ledger. When it fails, watching goes on, and no other
is begun before the cool-down is over.
"""

import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, NamedTuple

from thuja.core.clock import Clock, wall
from thuja.core.errors import ThujaError
from thuja.core.storage import locked
from thuja.life.board import Board, board
from thuja.life.conduct import QUIET_S, tick
from thuja.life.deployment import Deployment
from thuja.life.ledger import Event, Said, last_of
from thuja.life.plan import Plan
from thuja.life.queue import Queue
from thuja.life.registry import Mirror

LOCK = "training.lock"
CHILD = "import sys; from pathlib import Path; from thuja.verbs.watch import train; train(Path(sys.argv[1]))"
TENDED_S = QUIET_S + 120.0
"""A challenge that somebody else has carried on so lately is in good hands: a server does it every minute, and knows more of it."""
LEAVING_S = 10.0
"""Time that a training has to end, once it has been told to."""
SAID = 2000
"""Bytes of what a training said last, to tell why it failed."""


class Turn(NamedTuple):
    """What one turn came to."""

    board: Board
    trouble: str
    """What could not be done this time; empty: nothing. The next turn tries again."""


def watch(deployment: Deployment, show: Callable[[Turn], None], *, every: float = 60.0, once: bool = False, training: bool = False,
          wait: Callable[[float], None] = time.sleep) -> None:
    """Turn after turn until interrupted, or once; each is given to `show`. A training that runs when this ends is ended as well."""
    watcher = Watcher(deployment, training)
    try:
        while True:
            show(watcher.turn())
            if once:
                return
            wait(every)
    except KeyboardInterrupt:
        return
    finally:
        watcher.close(patient=once)


@dataclass
class Watcher:
    """Watches one deployment, for as long as a process lives."""

    deployment: Deployment
    training: bool = False
    """Whether to train when the policy wishes it and the plan allows it."""
    command: Sequence[str] = (sys.executable, "-c", CHILD)
    """What trains; the folder is added."""
    _child: "subprocess.Popen[bytes] | None" = field(default=None, repr=False)
    _said: IO[bytes] | None = field(default=None, repr=False)
    _carried: int = field(default=0, repr=False)
    """The event in which this last carried a challenge on."""

    def __post_init__(self) -> None:
        self._queue = Queue(self.deployment)
        self._mirror = Mirror(self.deployment, self.deployment.plan.registry)

    def turn(self) -> Turn:
        """Do what is due, and see how it is."""
        trouble, waiting = [], None
        try:
            if not self._tended():
                tick(self.deployment)
                self._carried = _last_number(self.deployment.ledger.events(), "comparison")
            self._tend()
            self._mirror.refresh()
            if self.deployment.plan.record.inputs == "full":
                waiting = len(self._queue.open())
        except ThujaError as error:
            trouble.append(str(error))
        return Turn(board(self.deployment, waiting=waiting), "; ".join(trouble))

    def close(self, *, patient: bool = False) -> None:
        """End what was begun. `patient`: let a training come to its end."""
        if self._child is None:
            return
        if patient:
            self._child.wait()
        elif self._child.poll() is None:
            self._child.terminate()
            try:
                self._child.wait(LEAVING_S)
            except subprocess.TimeoutExpired:
                self._child.kill()
                self._child.wait()
        self._ended(self._child.returncode)

    def _tended(self) -> bool:
        """Whether a server beside this one does what is due."""
        events = self.deployment.ledger.events()
        last = _last_number(events, "comparison")
        return last > self._carried and self.deployment.clock() - events[last - 1].at < TENDED_S

    def _tend(self) -> None:
        if self._child is not None and self._child.poll() is not None:
            self._ended(self._child.returncode)
        if self.training and self._child is None and wish(self.deployment.plan, self.deployment.ledger.events(), self.deployment.clock()):
            self._said = tempfile.TemporaryFile()  # noqa: SIM115 - it lives as long as the child
            self._child = subprocess.Popen([*self.command, str(self.deployment.path)], stdin=subprocess.DEVNULL, stdout=self._said, stderr=subprocess.STDOUT,
                                           start_new_session=True)  # ctrl-C is for the watcher, which tells it to end

    def _ended(self, code: int) -> None:
        """Write down the end of a training that could not do so itself: it was killed, or it has a defect."""
        assert self._said is not None, "it was opened with the child"
        last = next((event for event in reversed(self.deployment.ledger.events()) if event.kind == "training"), None)
        if code and last is not None and last.body["outcome"] == "began":
            said = f"it was ended by signal {-code}" if code < 0 else _last_line(self._said) or f"it ended with code {code}"
            self.deployment.ledger.append([Said("training", "", {"outcome": "failed", "words": said})])
        self._said.close()
        self._child = self._said = None


def wish(plan: Plan, events: Sequence[Event], now: float) -> str:
    """Why a training should begin now; empty where none should: nobody wishes it, the plan leaves it to a person, one has answered it, or failed lately."""
    look = last_of(events, "look")
    if look is None or not look.body["decision"]["retrain"] or "retrain" not in plan.alone:
        return ""
    if any(event.kind == "version" for event in events[look.number :]):
        return ""
    last = last_of(events, "training")
    if last is not None and last.body["outcome"] != "trained" and now - last.at < plan.renew.cool_down:
        return ""
    return str(look.body["decision"]["words"])


def train(path: Path, work: Callable[[Deployment], str] | None = None, clock: Clock = wall) -> None:
    """Train what the policy wishes of the deployment at `path`, if it still does once nobody else is at it; what came of it is in the ledger.

    `work` trains, and gives the version's name; by default the verb `retrain`.
    """
    deployment = Deployment.open(path, clock)
    with locked(path / LOCK, deployment.disk):
        words = wish(deployment.plan, deployment.ledger.events(), clock())
        if not words:
            return
        _say(deployment, outcome="began", words=words)
        start = clock()
        try:
            version = (work or _retrained)(deployment)
        except ThujaError as error:
            _say(deployment, outcome="failed", words=str(error))
        else:
            _say(deployment, version, outcome="trained", words=words, seconds=round(clock() - start, 3))


def _say(deployment: Deployment, version: str = "", **body: Any) -> None:
    deployment.ledger.append([Said("training", version, body)])


def _retrained(deployment: Deployment) -> str:
    from thuja.verbs.retrain import retrain

    return retrain(deployment)


def _last_number(events: Sequence[Event], kind: str) -> int:
    """Of the last event of a kind; 0 where there is none."""
    last = last_of(events, kind)
    return 0 if last is None else last.number


def _last_line(said: IO[bytes]) -> str:
    end = said.seek(0, 2)
    said.seek(max(0, end - SAID))
    lines = said.read().decode("utf-8", "replace").strip().splitlines()
    return lines[-1] if lines else ""
