"""A pendulum that must be swung up and held, many at once as tensors.

Source: the equations of gymnasium's Pendulum-v1 (Farama Foundation), in float64, with the same random numbers for the same seed; the tests play both.
The reward is minus (angle^2 + 0.1 speed^2 + 0.001 torque^2) a step, for 200 steps.
"""

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from thuja.apps.control.codec import Spaces
from thuja.apps.control.worlds import After, starts

FASTEST, STRONGEST, TAU, GRAVITY, LIMIT = 8.0, 2.0, 0.05, 10.0, 200
SPACES = Spaces(environment="Pendulum-v1", shape=(3,), lowest=(-STRONGEST,), highest=(STRONGEST,), limit=LIMIT)


class Pendulums:
    """`count` pendulums of 1 kg and 1 m. State float64 [pendulums, 2]: angle from upright (rad), angular speed."""

    def __init__(self, count: int, device: str = "cpu") -> None:
        self.count, self.device, self.spaces = count, device, SPACES
        self.random: list[np.random.Generator] = []
        self.state = torch.zeros(count, 2, dtype=torch.float64, device=device)
        self.steps = 0

    def reset(self, seeds: Sequence[int]) -> Tensor:
        """See `Worlds`."""
        assert len(seeds) == self.count
        self.random, self.steps = starts(seeds), 0
        self.state = self._fresh()
        return seen(self.state)

    def step(self, action: Tensor) -> After:
        """See `Worlds`; action float32 [pendulums, 1], a torque in N m. All episodes are of one length, and so end together."""
        angle, speed = self.state.unbind(1)
        torque = action[:, 0].clamp(-STRONGEST, STRONGEST)  # float32, as gymnasium leaves it
        upright = torch.remainder(angle + math.pi, 2 * math.pi) - math.pi
        cost = upright.square() + 0.1 * speed.square() + (0.001 * torque.square()).double()
        speed = (speed + (3 * GRAVITY / 2 * angle.sin() + (3.0 * torque).double()) * TAU).clamp(-FASTEST, FASTEST)
        self.state = torch.stack([angle + speed * TAU, speed], dim=1)
        self.steps += 1
        over = self.steps >= LIMIT
        last = seen(self.state)
        if over:
            self.state, self.steps = self._fresh(), 0
        ended = torch.full((self.count,), over, device=self.device)
        return After(seen(self.state) if over else last, -cost.float(), torch.zeros_like(ended), ended, last)

    def close(self) -> None:
        """Nothing is held."""

    def _fresh(self) -> Tensor:
        return torch.from_numpy(np.stack([random.uniform((-math.pi, -1.0), (math.pi, 1.0)) for random in self.random])).to(self.device)


def seen(state: Tensor) -> Tensor:
    """float32 [pendulums, 3]: cosine and sine of the angle, angular speed."""
    return torch.stack([state[:, 0].cos(), state[:, 0].sin(), state[:, 1]], dim=1).float()
