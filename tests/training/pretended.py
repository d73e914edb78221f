"""A clock that only pretended work moves, and a number of threads that is only a number, so that tests of timing depend on no machine."""

from collections.abc import Callable

import pytest
import torch
from torch import nn
from toy import Ring, RingCodec, columns

from thuja.training.timing import Bench


class Pretended:
    """Seconds; every loss of the Ring task moves it by `cost(number of losses before, model)`."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, cost: Callable[[int, nn.Module], float]) -> None:
        self.now, self.losses, self.threads = 1000.0, 0, 1
        real = Ring.loss

        def loss(task, model, batch, rng):
            self.now += cost(self.losses, model)
            self.losses += 1
            return real(task, model, batch, rng)

        monkeypatch.setattr(Ring, "loss", loss)
        monkeypatch.setattr(torch, "get_num_threads", lambda: self.threads)
        monkeypatch.setattr(torch, "set_num_threads", self.use)

    def use(self, threads: int) -> None:
        self.threads = threads

    def __call__(self) -> float:
        return self.now

    @property
    def bench(self) -> Bench:
        return Bench(Ring(), RingCodec(), columns(64), columns(32), self)


def bf16() -> bool:
    """Whether the loss that asks is computed in bfloat16."""
    return torch.is_autocast_enabled("cpu")
