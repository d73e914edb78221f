"""The torch-free half of the contract: a Codec joins raw values and arrays, in training, evaluation and serving alike."""

import importlib
import importlib.metadata
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, Protocol, Self, runtime_checkable

import numpy as np
from pydantic import BaseModel, ConfigDict

from thuja.core import digest
from thuja.core.errors import ArtifactError, did_you_mean
from thuja.fields import Schema

Rows = Mapping[str, Sequence[Any]]
"""Some rows of raw values, column by column, all of one length."""


class Ragged(NamedTuple):
    """Rows of different lengths, laid end to end: row i is `values[offsets[i]:offsets[i + 1]]`."""

    values: np.ndarray
    offsets: np.ndarray
    """int64, one more than there are rows."""

    def take(self, index: np.ndarray) -> "Ragged":
        """The rows at `index`, in that order."""
        starts, lengths = self.offsets[:-1][index], np.diff(self.offsets)[index]
        offsets = np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths)])
        places = np.arange(offsets[-1]) - np.repeat(offsets[:-1], lengths) + np.repeat(starts, lengths)
        return Ragged(self.values[places], offsets)

    def padded(self, fill: float = 0) -> np.ndarray:
        """A rectangle (rows, longest, ...), filled at the end of short rows; at least one place wide."""
        lengths = np.diff(self.offsets)
        out = np.full((len(lengths), max(int(lengths.max(initial=0)), 1), *self.values.shape[1:]), fill, self.values.dtype)
        places = np.arange(self.offsets[-1] - self.offsets[0]) - np.repeat(self.offsets[:-1] - self.offsets[0], lengths)
        out[np.repeat(np.arange(len(lengths)), lengths), places] = self.values[self.offsets[0] : self.offsets[-1]]
        return out


Column = np.ndarray | Ragged
Columns = dict[str, Column]
"""Encoded rows: fixed-size arrays with the row first, or ragged ones."""
Arrays = dict[str, np.ndarray]
"""Rectangular arrays, row first: what a program takes and gives."""


def ragged(rows: Sequence[np.ndarray]) -> Ragged:
    """Lay rows of different lengths end to end. An empty sequence needs at least one row to know its type."""
    offsets = np.concatenate([np.zeros(1, np.int64), np.cumsum([len(r) for r in rows], dtype=np.int64)])
    return Ragged(np.concatenate(rows) if len(rows) else np.zeros(0, np.int64), offsets)


def count(columns: Columns) -> int:
    """How many rows there are."""
    column = next(iter(columns.values()))
    return len(column.offsets) - 1 if isinstance(column, Ragged) else len(column)


def take(columns: Columns, index: np.ndarray) -> Columns:
    """The rows at `index`, still encoded."""
    return {name: c.take(index) if isinstance(c, Ragged) else np.take(c, index, axis=0) for name, c in columns.items()}


def rectangular(columns: Columns) -> Arrays:
    """Columns as arrays: ragged ones padded with zeros to the longest row. The one padding used by training, evaluation and serving."""
    return {name: c.padded() if isinstance(c, Ragged) else np.asarray(c) for name, c in columns.items()}


STEP, DONE, HIDDEN = "step", "done", "_"
"""An artefact with a program `step` answers by repeating it: `predict` gives a state, arrays with a row for each row, and `step` takes some of them by name and
gives new values for some. `done`, bool [rows], says which rows are finished. Names that begin with `_` (caches, memories) are nobody's answer."""
AFTER = ":after"
"""Follows the name of a new value in the file of a program, where a value of that name goes in: a graph has room for one of each name."""


def end_to_end(parts: Sequence[np.ndarray]) -> np.ndarray:
    """Rows of several batches one after the other; what has more places in one than in another (texts that were made) is padded with zeros at the end."""
    if parts[0].ndim == 1 or len({part.shape[1:] for part in parts}) == 1:
        return parts[0] if len(parts) == 1 else np.concatenate(parts)
    shape = np.max([part.shape[1:] for part in parts], axis=0)
    return np.concatenate([np.pad(part, [(0, 0), *((0, int(want) - have) for have, want in zip(part.shape[1:], shape, strict=True))]) for part in parts])


def repeated(state: Arrays, step: Callable[[Arrays], Arrays]) -> Iterator[Arrays]:
    """The states from the first until every row is done; `step` gives what changes. The programs see to it that rows end; a row that is done stays as it is."""
    yield state
    while not state[DONE].all():
        state = state | step(state)
        yield state


def last(states: Iterable[Arrays]) -> Arrays:
    """The state that a repetition ends with. Only one is held at a time: all states of a search together would fill the memory."""
    return deque(states, maxlen=1).pop()


def answer_of(state: Arrays) -> Arrays:
    """What a codec decodes, out of a state."""
    return {name: array for name, array in state.items() if name != DONE and not name.startswith(HIDDEN)}


class Codec(BaseModel, ABC):
    """What stands between raw values and arrays; frozen, plain data (it is saved as JSON in the artefact), numpy only.

    It holds everything learned from the data that is not a weight: names, vocabulary, statistics, sizes. A subclass sits one level below, has a
    `kind: Literal[...] = ...`, and lives in `apps/<application>/codec.py`, which never imports torch.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: str

    @abstractmethod
    def schema(self) -> Schema:  # type: ignore[override]  # pydantic still has a deprecated class method of that name
        """The typed fields in and out."""

    @abstractmethod
    def encode(self, rows: Rows) -> Columns:
        """Raw values to arrays: deterministic, row by row independent, a batch at a time.

        Encodes every input column; encodes the target columns (named as in the spec) where `rows` holds them, and leaves them out where not.
        Raises: BadRows naming every row of the batch that cannot be encoded; DataError if an input column is absent.
        """

    @abstractmethod
    def decode(self, outputs: Arrays) -> dict[str, list[Any]]:
        """Outputs of the programs to typed values, one list per output field of the schema."""

    def partial(self, state: Arrays) -> list[str] | None:
        """What can already be shown of each row's answer while `step` is being repeated, for streaming: each text begins with the one before it.
        None where there is nothing to show before the end."""
        return None

    def cautions(self) -> tuple[str, ...]:
        """What whoever uses the model must know of its limits and of what it must not be used for; a section of the card. Default: nothing of its own."""
        return ()

    def digest(self) -> str:
        """The hash of its plain form; equal codecs encode alike."""
        return digest.of_data(self.model_dump(mode="json"))

    def dumps(self) -> bytes:
        """JSON bytes that `load` reads back to an equal codec."""
        return digest.canonical(self.model_dump(mode="json"))

    @classmethod
    def parse(cls, data: dict[str, Any]) -> Self:
        """Read the plain form. Raises: ArtifactError when it is not of this kind."""
        try:
            return cls.model_validate(data)
        except ValueError as error:
            raise ArtifactError("codec.json", expected=f"a {cls.__name__}", found=str(error).splitlines()[0], fix="Export the artefact again.") from error


@runtime_checkable
class Conversational(Protocol):
    """A codec whose model goes on with a text, and so can be asked over the protocol of chat completions.

    Inputs of its schema: `prompt`, and of `temperature`, `top_k`, `top_p`, `max_tokens`, `seed` those it knows (numbers that may be missing). Outputs: `text`,
    what comes after the prompt, and where it has them `tokens`, how many were made, and `finish`, why it ended ("stop" or "length").
    """

    def conversation(self, messages: list[dict[str, str]]) -> str:
        """The prompt after which the assistant speaks; each message has `role` (system, user, assistant) and `content`.

        Raises: DataError naming `messages[i].role` or `messages`, also where the model has never seen a dialogue.
        """

    def count(self, text: str) -> int:
        """How many tokens a text is."""


@runtime_checkable
class Embedder(Protocol):
    """A codec whose model turns a file into a vector of length 1 that stands for someone or something, so that a server can keep galleries of them: the larger
    the dot product of two, the more alike they are."""

    def enrolled(self) -> tuple[str, str]:
        """The one input of its schema, a file, and the output that is compared."""

    def thresholds(self) -> dict[float, str]:
        """For each false accept rate of two compared files, the metric in scores.json from whose value on they count as one's."""


def load(data: dict[str, Any], kinds: Mapping[str, str]) -> Codec:
    """Read a codec from its plain form; `kinds` is the closed table `thuja.apps.CODECS`, from kind to "module:Class". What the operator has installed
    with an entry point in the group `thuja.codecs` is known as well.

    The file only ever names a short id; which code that is, this program decides.
    """
    kind = data.get("kind") if isinstance(data, dict) else None
    if isinstance(kind, str) and kind in kinds:
        module, _, name = kinds[kind].partition(":")
        codec: type[Codec] = getattr(importlib.import_module(module), name)
        return codec.parse(data)
    plugins = {e.name: e for e in importlib.metadata.entry_points(group="thuja.codecs")}
    if isinstance(kind, str) and kind in plugins:
        plugin: type[Codec] = plugins[kind].load()
        return plugin.parse(data)
    raise ArtifactError("codec.json: kind", expected="a known application", found=repr(kind), fix=did_you_mean(str(kind), [*kinds, *plugins]))
