"""Seeds of episodes and observations to arrays, and what a policy answers to actions. No torch."""

from collections.abc import Sequence
from functools import cached_property
from typing import Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict

from thuja.codec import Arrays, Codec, Columns, Rows
from thuja.core.errors import BadRows, DataError, did_you_mean
from thuja.fields import Category, Image, Observation, Schema, Scores

SEED, OBSERVATION, WANTED = "seed", "observation", "return"
LARGEST_SEED = 2**32 - 1


class Spaces(BaseModel):
    """What an environment shows and what may be done in it, as plain data."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    environment: str
    """Its name."""
    shape: tuple[int, ...]
    """Of an observation: (numbers,), or (frames, height, width) of grey pictures."""
    names: tuple[str, ...] = ()
    """Of the actions, where one of a few is taken; empty where an action is numbers."""
    lowest: tuple[float, ...] = ()
    """Of the numbers of an action."""
    highest: tuple[float, ...] = ()
    limit: int = 0
    """Steps after which an episode is cut off; 0 where it ends by itself."""
    wanted: float | None = None
    """The return from which on the environment counts as solved."""

    @property
    def pixels(self) -> bool:
        """Whether observations are pictures."""
        return len(self.shape) == 3


class ControlCodec(Codec):
    """A row is an episode, named by its `seed` (int64), or a single `observation`: float32 [numbers], or uint8 [frames * height, width, 1].

    Every episode comes with the return that is wanted of it, float32 `return`, minus infinity where nobody has said.
    """

    kind: Literal["control"] = "control"
    spaces: Spaces
    low: tuple[float, ...] = ()
    """Where each number of an observation usually begins, as seen in random play."""
    high: tuple[float, ...] = ()
    scores: str = "probabilities"
    """What stands beside a named action: how likely each of them is taken, or how much each is preferred."""

    @cached_property
    def field(self) -> Observation | Image:
        """What an observation may be."""
        if not self.spaces.pixels:
            return Observation(size=self.spaces.shape[0], low=self.low, high=self.high, description=f"What {self.spaces.environment} shows.")
        frames, height, width = self.spaces.shape
        return Image(channels=1, description=f"The last {frames} frames, the latest at the bottom: {width} x {frames * height} grey pixels.")

    def schema(self) -> Schema:  # type: ignore[override]
        """An observation in; the action out, with a score for each where actions have names."""
        spaces = self.spaces
        if spaces.names:
            return Schema(inputs={OBSERVATION: self.field}, outputs={"action": Category(names=spaces.names), self.scores: Scores(names=spaces.names)})
        action = Observation(size=len(spaces.lowest), low=spaces.lowest, high=spaces.highest, description="What to do.")
        return Schema(inputs={OBSERVATION: self.field}, outputs={"action": action})

    def encode(self, rows: Rows) -> Columns:
        """`seed` int64 and `return` float32 where rows are episodes, `observation` where they are observations.

        Raises: BadRows for seeds that are no whole numbers, and observations of another length or with numbers that are none; DataError where rows are neither.
        """
        bad: dict[int, DataError] = {}
        columns: Columns = {}
        if SEED in rows:
            columns[SEED] = _seeds(rows[SEED], bad)
            wanted = -np.inf if self.spaces.wanted is None else self.spaces.wanted
            columns[WANTED] = np.full(len(rows[SEED]), wanted, np.float32)
        if OBSERVATION in rows:
            columns[OBSERVATION] = self._observations(rows[OBSERVATION], bad)
        if not columns:
            raise DataError(OBSERVATION, expected=f"a column {SEED!r} or {OBSERVATION!r}", found=f"{len(rows)} others",
                            fix=did_you_mean(next(iter(rows), ""), (SEED, OBSERVATION)))
        if bad:
            raise BadRows(dict(bad))
        return columns

    def decode(self, outputs: Arrays) -> dict[str, list[Any]]:
        """`probability` float [rows, actions] as the best action and all by name; `action` float [rows, numbers] as lists."""
        if not self.spaces.names:
            return {"action": outputs["action"].astype(float).tolist()}
        probability = outputs["probability"].astype(float)
        names = self.spaces.names
        return {"action": [names[place] for place in probability.argmax(axis=1)],
                self.scores: [dict(zip(names, row, strict=True)) for row in probability.tolist()]}

    def _observations(self, values: Sequence[Any], bad: dict[int, DataError]) -> np.ndarray:
        field, shape = self.field, self.spaces.shape
        found = np.zeros((len(values), shape[0] * shape[1], shape[2], 1), np.uint8) if len(shape) == 3 else np.zeros((len(values), *shape), np.float32)
        for i, value in enumerate(values):
            where = f"rows[{i}].{OBSERVATION}"
            try:
                found[i] = field.array(value, where) if isinstance(field, Observation) else self._picture(field, value, where)
            except DataError as error:
                bad.setdefault(i, error)
        return found

    def _picture(self, field: Image, value: Any, where: str) -> np.ndarray:
        """Pixels as they are: frames that are scaled would be another observation, and are made nearly right only."""
        frames, height, width = self.spaces.shape
        return field.decode(value, where, (frames * height, width))


def _seeds(values: Sequence[Any], bad: dict[int, DataError]) -> np.ndarray:
    found = np.zeros(len(values), np.int64)
    for i, value in enumerate(values):
        number = isinstance(value, (int, float, np.integer, np.floating)) and not isinstance(value, bool)
        if number and 0 <= value <= LARGEST_SEED and value == int(value):
            found[i] = int(value)
        else:
            bad[i] = DataError(f"rows[{i}].{SEED}", expected=f"a whole number from 0 to {LARGEST_SEED}", found=str(value)[:40],
                               fix="Give every episode a seed.")
    return found
