"""One error with four parts: where, expected, found, fix. The command line, the server and the tests all read the parts, not the prose."""

import difflib
import re
from collections.abc import Iterable

PASSWORD = re.compile(r"(\w:/{1,2})[^/\s@]*:[^/\s@]*@")
"""The name and password in an address, also where a path has swallowed one of its slashes."""


def without_password(text: str) -> str:
    """An address as it may be shown.

    >>> without_password("nothing at https://me:secret@example.org/rows.csv")
    'nothing at https://***@example.org/rows.csv'
    """
    return PASSWORD.sub(r"\1***@", text)


class ThujaError(Exception):
    """The user's mistake (ours is an `assert`). Printed as `{where}: expected {expected}, found {found}. {fix}`.

    >>> print(SpecError("task.depth", expected="one of 18, 34", found="20", fix="Choose one of these."))
    task.depth: expected one of 18, 34, found 20. Choose one of these.
    """

    exit_code = 1

    def __init__(self, where: str, *, expected: str, found: str, fix: str = "") -> None:
        self.where, self.expected, self.found, self.fix = without_password(where), expected, without_password(found), fix
        super().__init__(f"{self.where}: expected {expected}, found {self.found}." + (f" {fix}" if fix else ""))

    def parts(self) -> dict[str, str]:
        """The four parts as plain data, for JSON bodies and logs."""
        return {"where": self.where, "expected": self.expected, "found": self.found, "fix": self.fix}


class SpecError(ThujaError):
    """The spec, or an option on the command line, cannot be read or makes no sense."""

    exit_code = 2


class DataError(ThujaError):
    """The data cannot be read, or are not what the spec says."""

    exit_code = 3


class BadRows(DataError):
    """Some rows of a batch cannot be encoded; `rows` maps their position in the batch to the reason."""

    def __init__(self, rows: dict[int, ThujaError]) -> None:
        self.rows = rows
        first = rows[min(rows)]
        super().__init__(first.where, expected=first.expected, found=first.found, fix=first.fix)


class CheckError(ThujaError):
    """A data check blocks training until it is resolved or waived."""

    exit_code = 4


class TrainError(ThujaError):
    """Training stopped with a diagnosis: a number that is not finite, a dead layer, a loss worse than guessing."""

    exit_code = 5


class ArtifactError(ThujaError):
    """An artefact or a run folder is damaged, edited, incomplete, or written by a newer version."""

    exit_code = 6


class ParityError(ArtifactError):
    """Training code, artefact and server disagree about the same raw input."""


class StorageError(ThujaError):
    """The disk refused: full, read-only, or not permitted."""

    exit_code = 7


class LimitError(ThujaError):
    """A request is larger or slower than the stated limit."""

    exit_code = 8


class ShapeError(ThujaError):
    """A tensor or array has another shape or type than the one asked for."""

    exit_code = 9


class MissingExtra(ThujaError):
    """An optional package is needed; the fix says what to type."""

    exit_code = 10


class DeploymentError(ThujaError):
    """A step in the life of a deployment that is not open: a shut gate, an unknown version, a standing from which it cannot be taken."""

    exit_code = 11


def did_you_mean(word: str, options: Iterable[str]) -> str:
    """A sentence that names the nearest known word, or lists the choices.

    >>> did_you_mean("clases", ["classes", "size"])
    "Did you mean 'classes'?"
    """
    known = sorted(options)
    close = difflib.get_close_matches(word, known, n=1)
    if close:
        return f"Did you mean {close[0]!r}?"
    return f"Choose from: {', '.join(known)}." if known else "Nothing can be named here."
