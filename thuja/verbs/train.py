"""The verb `train`: from a spec to a Run, or on from where a Run stopped, to the same bits."""

import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

from thuja.core import ownership
from thuja.run import SPEC, Run
from thuja.spec import Spec
from thuja.training import allocator
from thuja.training.checkpoint import NotFinite
from thuja.training.loop import steps
from thuja.training.prepare import Prepared, prepare, reopen
from thuja.training.session import Progress as Progress
from thuja.training.session import Session


def train(spec: Spec[Any] | Path | str | None, *, data: Any = None, overrides: Sequence[str] = (), root: Path = Path("runs"), resume: Path | None = None,
          progress: Callable[[Progress], None] | None = None) -> Run:
    """Train what `spec` (or its file) says, and leave a Run under `root`.

    Args:
        data: rows as a Python object, in place of `spec.data.path`.
        overrides: "name=value" changes of a spec read from a file.
        resume: the folder of a run to continue. Its own spec, settled when it began, is used and `spec` is not looked at.
        progress: called at every record (about 200 a run) and every look.
    On SIGTERM the state is saved and SystemExit(0) raised; on SIGINT, KeyboardInterrupt.
    Raises: SpecError, DataError, CheckError before step one; TrainError with a diagnosis, or where another process is training this run; StorageError when
    the disk is full.
    """
    allocator.keep_freed_memory()  # before anything is timed
    with _leaving_at_once():
        if resume is not None:
            prepared = reopen(Run.open(resume), data)
        else:
            assert spec is not None, "a spec, or a run to resume"
            prepared = prepare(spec, data, overrides, root)
        with ownership.sole(prepared.run.path / SPEC):
            carry_out(prepared, progress)
    return prepared.run


@contextmanager
def _leaving_at_once() -> Iterator[None]:
    """SIGTERM while there is nothing to save, before step one and after the last: the process ends there and then, with exit code 0, as one that is stopped
    between two steps does. (Only the main thread can ask for signals.)"""

    def leave(_number: int, _frame: FrameType | None) -> None:
        raise SystemExit(0)

    try:
        before = signal.signal(signal.SIGTERM, leave)
    except ValueError:
        yield
        return
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def carry_out(prepared: Prepared, progress: Callable[[Progress], None] | None = None) -> None:
    """All steps from the last checkpoint (or the first step) to the horizon; see `train`."""
    session = Session(prepared, progress)
    if session.over:
        return
    with _stop_signals() as asked, session.saver:
        while not session.over:
            try:
                _go_on(session, prepared, asked)
            except NotFinite as found:
                session.roll_back(found)
    session.end()


def _go_on(session: Session, prepared: Prepared, asked: list[int]) -> None:
    """Steps until the run is over and its last checkpoint written. Raises: NotFinite when it has to go back."""
    for step in steps(session.task, session.state, prepared.train, session.train):
        session.gather(step)
        done = step.number == session.total
        if done or step.number % session.record_every == 0:
            session.record(step)
        if done or step.number % session.look_every == 0:
            session.look(step)
        done = done or session.out_of_patience
        if done or asked or step.number % session.save_every == 0 or session.history.keep == step.number:
            session.save(step)
        if done:
            break
        if asked:
            session.saver.close()
            raise KeyboardInterrupt if asked[0] == signal.SIGINT else SystemExit(0)
    session.saver.close()


@contextmanager
def _stop_signals() -> Iterator[list[int]]:
    """SIGTERM and SIGINT only note themselves while inside, so that a step is never cut in two. (Only the main thread can ask for signals.)"""
    asked: list[int] = []

    def note(number: int, _frame: FrameType | None) -> None:
        asked.append(number)

    try:
        before = {number: signal.signal(number, note) for number in (signal.SIGTERM, signal.SIGINT)}
    except ValueError:
        before = {}
    try:
        yield asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
