"""Many environments played at once: what an algorithm sees of them, wherever they are computed."""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

import numpy as np
import torch
from torch import Tensor

from thuja.apps.control.codec import Spaces


class After(NamedTuple):
    """What came of one action in every environment."""

    seen: Tensor
    """[worlds, ...]: what to act upon next; where an episode has ended, the first of the next one."""
    reward: Tensor
    """float32 [worlds]."""
    terminated: Tensor
    """bool [worlds]: it is over, nothing more can be gained."""
    truncated: Tensor
    """bool [worlds]: cut off by the limit of steps, though it could have gone on."""
    last: Tensor
    """[worlds, ...]: what the action led to; differs from `seen` where an episode has ended."""

    @property
    def ended(self) -> Tensor:
        """bool [worlds]."""
        return self.terminated | self.truncated


class Worlds(Protocol):
    """Environments of one kind, side by side. Everything that happens in them follows from the seeds and the actions."""

    spaces: Spaces
    count: int

    def reset(self, seeds: Sequence[int]) -> Tensor:
        """A fresh episode in each, from a seed each: float32 [worlds, numbers], or uint8 [worlds, height, width] for pictures."""
        ...

    def step(self, action: Tensor) -> After:
        """Act: int64 [worlds] or float32 [worlds, numbers], clipped to what is allowed."""
        ...

    def close(self) -> None:
        """Let go of what they hold."""
        ...


class Stacked:
    """The last few pictures of each world as one observation, uint8 [worlds, frames, height, width], the latest last: from one alone no speed can be seen.

    Source: Mnih et al. 2015, "Human-level control through deep reinforcement learning", Nature 518, methods. At the start the first picture is there as often
    as needed.
    """

    def __init__(self, worlds: Worlds, frames: int) -> None:
        self.worlds, self.count, self.frames = worlds, worlds.count, frames
        self.spaces = worlds.spaces.model_copy(update={"shape": (frames, *worlds.spaces.shape[-2:])})
        self.seen = torch.zeros(0)

    def reset(self, seeds: Sequence[int]) -> Tensor:
        """See `Worlds`."""
        self.seen = self._alone(self.worlds.reset(seeds))
        return self.seen

    def step(self, action: Tensor) -> After:
        """See `Worlds`."""
        after = self.worlds.step(action)
        last = torch.cat([self.seen[:, 1:], after.last[:, None]], dim=1)
        self.seen = torch.where(after.ended[:, None, None, None], self._alone(after.seen), last)
        return after._replace(seen=self.seen, last=last)

    def close(self) -> None:
        """See `Worlds`."""
        self.worlds.close()

    def _alone(self, picture: Tensor) -> Tensor:
        return picture[:, None].expand(-1, self.frames, -1, -1).clone()


def starts(seeds: Sequence[int]) -> list[np.random.Generator]:
    """The random numbers of each environment, as gymnasium makes them from a seed: a tensor environment then begins its episodes where gymnasium's does."""
    return [np.random.default_rng(int(seed)) for seed in seeds]
