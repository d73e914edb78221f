"""Play that can be taken up anywhere: environments start afresh after every stretch of steps, and what was done since then is remembered.

An environment's state cannot be saved in general. But all that happens in it follows from its seed and the actions, so it can be rebuilt: from the seeds of the
stretch, by doing again what was done. The actions lie in `Task.memory`, and with them a checkpoint; a run that is continued goes on to the same bits.
"""

import warnings
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from thuja.apps.control.codec import Spaces
from thuja.apps.control.worlds import After, Worlds
from thuja.core.seeds import mix


class Played(NamedTuple):
    """Where play takes place."""

    worlds: Worlds
    seeds: np.ndarray
    """int64: of the training episodes."""
    seed: int
    """Of the run."""
    device: str


def memory(spaces: Spaces, worlds: int, length: int) -> dict[str, Tensor]:
    """Room for what was done in a stretch, and what was seen last, after which step."""
    done = torch.zeros(length, worlds, dtype=torch.int64) if spaces.names else torch.zeros(length, worlds, len(spaces.lowest))
    return {"done": done, "seen": empty(spaces, worlds), "at": torch.zeros((), dtype=torch.int64)}


def empty(spaces: Spaces, rows: int) -> Tensor:
    """Room for observations [rows, ...]."""
    return torch.zeros(rows, *spaces.shape, dtype=torch.uint8 if spaces.pixels else torch.float32)


class Stretches:
    """Environments that are played for ever, a stretch at a time. `seen` is what to act upon next."""

    def __init__(self, played: Played, memory: dict[str, Tensor]) -> None:
        self.played, self.worlds, self.memory = played, played.worlds, memory
        self.length, self.at = len(memory["done"]), 0
        self.seen = torch.zeros(0)

    def go_to(self, step: int) -> None:
        """Be where play was before step `step`: the stretch from its beginning, by the actions remembered."""
        number, done = divmod(step, self.length)
        self.at = step
        self.seen = self._begin(number)
        for place in range(done):
            self.seen = self.worlds.step(self.memory["done"][place].to(self.played.device)).seen
        if done and self.memory["at"] == step and not torch.equal(self.seen.cpu(), self.memory["seen"]):
            said = "does not do the same when the same is done: the run goes on from other episodes than it left, and not to the same bits."
            warnings.warn(f"{self.worlds.spaces.environment} {said}", RuntimeWarning, stacklevel=2)

    def step(self, action: Tensor) -> After:
        """Act everywhere. At the end of a stretch, episodes that are under way are cut off."""
        self.memory["done"][self.at % self.length] = action.cpu()
        after = self.worlds.step(action)
        self.at += 1
        if self.at % self.length == 0:
            after = after._replace(seen=self._begin(self.at // self.length), truncated=~after.terminated)
        self.seen = after.seen
        self.memory["seen"].copy_(after.seen)
        self.memory["at"].fill_(self.at)
        return after

    def _begin(self, number: int) -> Tensor:
        count, seeds = self.worlds.count, self.played.seeds
        chosen = [int(seeds[mix(self.played.seed, "episode", number * count + place) % len(seeds)]) for place in range(count)]
        return self.worlds.reset(chosen)
