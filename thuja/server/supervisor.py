"""A server that comes back: the parent holds the listening socket and nothing else, a child answers, and when something kills it there is another.

A fault in native code (a kernel of onnxruntime, an image decoder) or the kernel's out-of-memory killer ends a process whatever Python does. The calls in
flight then end with their connection; connections that come meanwhile wait in the socket's queue, which belongs to the parent, and the next child answers
them. The child is forked before anything large is imported, so that the parent stays small and a restart imports nothing twice.
"""

import functools
import json
import logging
import os
import signal
import socket
import sys
import time
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

from thuja.core import errors
from thuja.core.errors import ArtifactError, ThujaError
from thuja.server.listening import listener
from thuja.server.settings import ServeSettings

LOG = logging.getLogger("thuja.server")
FORWARDED = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
FIRST_PAUSE_S = 0.1
LONGEST_PAUSE_S = 1.0
STEADY_S = 60.0
"""A child that lived so long did not die of starting; the pauses begin anew."""
READY = b"+"


def supervise(path: Path, settings: ServeSettings, ready: Callable[[str], None]) -> None:
    """`serve` in a child that is replaced whenever a signal kills it (a crash, not an error that it reports); signals to the parent are passed on.

    `ready` is called in the first child. Raises: what `serve` raises; ArtifactError when the first child is killed before it answers; SystemExit with the
    child's code at the end.
    """
    with listener(settings.host, settings.port) as listening:
        _Supervisor(path, settings, ready, listening).run()


class _Supervisor:
    """The parent of one child at a time."""

    def __init__(self, path: Path, settings: ServeSettings, ready: Callable[[str], None], listening: socket.socket) -> None:
        self.path, self.settings, self.ready, self.listening = path, settings, ready, listening
        self.child = 0
        self.leaving = False
        self.answered = False
        """Whether a child has ever been ready."""

    def run(self) -> None:
        """Fork, wait, and fork again. Raises: SystemExit with the code of a child that left, the error that it ended with, or ArtifactError."""
        before: dict[int, Any] = {number: signal.signal(number, self._pass_on) for number in FORWARDED}
        try:
            self._keep_up(before)
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _keep_up(self, before: Mapping[int, Any]) -> NoReturn:
        pause = FIRST_PAUSE_S
        while True:
            start = time.monotonic()
            line, other = socket.socketpair()
            if self._fork() == 0:
                line.close()
                for number, handler in before.items():
                    signal.signal(number, handler)
                signal.pthread_sigmask(signal.SIG_UNBLOCK, FORWARDED)
                self._answer(other)
            other.close()
            signal.pthread_sigmask(signal.SIG_UNBLOCK, FORWARDED)
            _, status = os.waitpid(self.child, 0)
            self._listen(line)
            if self.leaving or not os.WIFSIGNALED(status):
                sys.exit(os.waitstatus_to_exitcode(status) if os.WIFEXITED(status) else 128 + os.WTERMSIG(status))
            killer = signal.Signals(os.WTERMSIG(status)).name
            if not self.answered:
                raise ArtifactError(str(self.path), expected="a program that loads and answers", found=f"{killer} while it was loaded",
                                    fix="Run `thuja verify` on it; look into the kernel's log for lack of memory.")
            pause = FIRST_PAUSE_S if time.monotonic() - start > STEADY_S else min(2 * pause, LONGEST_PAUSE_S)
            LOG.error("the server was killed by %s; starting it again", killer)
            time.sleep(pause)

    def _fork(self) -> int:
        """Signals wait until both sides know who they are."""
        sys.stdout.flush()
        sys.stderr.flush()
        signal.pthread_sigmask(signal.SIG_BLOCK, FORWARDED)
        self.child = os.fork()
        return self.child

    def _answer(self, line: socket.socket) -> NoReturn:
        """In the child: serve, tell the parent of it or of the error, and leave when the parent is gone. It never returns to where it was forked."""
        from thuja.server.server import answer

        os.setpgid(0, 0)  # ctrl-C reaches the parent alone, which passes it on once
        code: int | str | None = 1
        try:
            answer(self.path, self.settings, self.listening, functools.partial(self._announce, line), line)
            code = 0
        except ThujaError as error:
            line.send(json.dumps([type(error).__name__, error.parts()]).encode())
        except SystemExit as leaving:
            code = leaving.code
        finally:
            if sys.exc_info()[0] is not None:
                traceback.print_exc()
            sys.stdout.flush()
            os._exit(code if isinstance(code, int) else 1)

    def _announce(self, line: socket.socket, url: str) -> None:
        line.send(READY)
        if not self.answered:
            self.ready(url)

    def _listen(self, line: socket.socket) -> None:
        """What the dead child had said: that it was ready, then perhaps the error that it ended with, which is raised here."""
        with line, line.makefile("rb") as said:
            told = said.read()
        self.answered |= told.startswith(READY)
        if error := told.removeprefix(READY):
            kind, parts = json.loads(error)
            raise getattr(errors, kind, ArtifactError)(parts.pop("where"), **parts)

    def _pass_on(self, number: int, frame: FrameType | None) -> None:
        if number != signal.SIGHUP:
            self.leaving = True
            self.listening.close()  # nobody will come after this child: let it alone decide how long connections are taken
        try:
            os.kill(self.child, number)
        except ProcessLookupError:  # between two children
            if self.leaving:
                sys.exit(0)
