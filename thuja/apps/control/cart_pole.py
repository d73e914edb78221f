"""A pole on a cart, many at once as tensors: a step of a thousand costs little more than a step of one.

Source: Barto, Sutton and Anderson 1983, "Neuronlike adaptive elements that can solve difficult learning control problems", in the form of gymnasium's
CartPole-v1 (Farama Foundation), equation by equation: Euler steps of 0.02 s in float64, the same random numbers for the same seed; the tests play both.
Rewards are 1 a step, 500 steps at most.
"""

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from thuja.apps.control.codec import Spaces
from thuja.apps.control.worlds import After, starts

GRAVITY, CART, POLE, HALF, PUSH, TAU = 9.8, 1.0, 0.1, 0.5, 10.0, 0.02
"""m/s^2, kg, kg, m (half the length of the pole), N, s."""
FURTHEST, STEEPEST, LIMIT = 2.4, 12 * 2 * math.pi / 360, 500
HEIGHT, WIDTH = 40, 60
"""Pixels of a picture."""
SPACES = Spaces(environment="CartPole-v1", shape=(4,), names=("left", "right"), limit=LIMIT, wanted=475.0)


class CartPoles:
    """`count` carts with a pole each. State float64 [carts, 4]: place (m), speed, angle (rad), angular speed."""

    def __init__(self, count: int, device: str = "cpu", pixels: bool = False) -> None:
        self.count, self.device, self.pixels = count, device, pixels
        self.spaces = SPACES.model_copy(update={"shape": (1, HEIGHT, WIDTH)}) if pixels else SPACES
        self.random: list[np.random.Generator] = []
        self.state = torch.zeros(count, 4, dtype=torch.float64, device=device)
        self.steps = torch.zeros(count, dtype=torch.int64, device=device)

    def reset(self, seeds: Sequence[int]) -> Tensor:
        """See `Worlds`."""
        assert len(seeds) == self.count
        self.random = starts(seeds)
        self.state = self._fresh(range(self.count))
        self.steps = torch.zeros_like(self.steps)
        return self._seen(self.state)

    def step(self, action: Tensor) -> After:
        """See `Worlds`; action int64 [carts], 0 to the left, 1 to the right."""
        state = advance(self.state, action)
        self.steps = self.steps + 1
        terminated = (state[:, 0].abs() > FURTHEST) | (state[:, 2].abs() > STEEPEST)
        truncated = ~terminated & (self.steps >= LIMIT)
        last = seen = self._seen(state)
        ended = terminated | truncated
        places = ended.nonzero()[:, 0].tolist()
        if places:
            state[places] = self._fresh(places)
            self.steps[places] = 0
            seen = self._seen(state)
        self.state = state
        return After(seen, torch.ones(self.count, device=self.device), terminated, truncated, last)

    def close(self) -> None:
        """Nothing is held."""

    def _fresh(self, places: Sequence[int]) -> Tensor:
        return torch.from_numpy(np.stack([self.random[place].uniform(-0.05, 0.05, 4) for place in places])).to(self.device)

    def _seen(self, state: Tensor) -> Tensor:
        return drawn(state) if self.pixels else state.float()


def advance(state: Tensor, action: Tensor) -> Tensor:
    """The states [carts, 4] one step later."""
    x, speed, angle, spin = state.unbind(1)
    force = torch.where(action == 1, PUSH, -PUSH).to(state.dtype)
    cosine, sine = angle.cos(), angle.sin()
    total, moment = CART + POLE, POLE * HALF
    push = (force + moment * spin.square() * sine) / total
    turn = (GRAVITY * sine - cosine * push) / (HALF * (4.0 / 3.0 - POLE * cosine.square() / total))
    drive = push - moment * turn * cosine / total
    return torch.stack([x + TAU * speed, speed + TAU * drive, angle + TAU * spin, spin + TAU * turn], dim=1)


def drawn(state: Tensor, height: int = HEIGHT, width: int = WIDTH) -> Tensor:
    """Grey pictures uint8 [carts, height, width] of states, all at once: the cart a dark box, the pole a thick line, edges blended over one pixel.

    The picture spans 2.4 m on either side; the pole is drawn at its full length of 1 m and twice as large as life, so that its angle shows.
    """
    scale = width / (2 * FURTHEST)
    rows = torch.arange(height, device=state.device, dtype=torch.float32)[None, :, None] + 0.5
    columns = torch.arange(width, device=state.device, dtype=torch.float32)[None, None, :] + 0.5
    x = ((state[:, 0].float() + FURTHEST) * scale)[:, None, None]
    angle = state[:, 2].float()[:, None, None]
    floor, thick = height * 0.85, height / 40
    box = torch.maximum((columns - x).abs() - 0.4 * scale, (rows - floor).abs() - 3 * thick)
    along = (columns - x) * angle.sin() - (rows - floor) * angle.cos()
    across = (columns - x) * angle.cos() + (rows - floor) * angle.sin()
    length = 0.75 * height
    line = torch.maximum(across.abs() - 1.5 * thick, torch.maximum(-along, along - length))
    shade = torch.minimum((box + 0.5).clamp(0, 1) * 205 + 50, (line + 0.5).clamp(0, 1) * 155 + 100)
    return shade.round().to(torch.uint8)
