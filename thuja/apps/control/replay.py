"""Learning from what was played earlier: a ring of single steps in `Task.memory`, a few new ones before every update.

Source: Lin 1992, "Self-improving reactive agents based on reinforcement learning, planning and teaching", Machine Learning 8; Mnih et al. 2015, Nature 518.
Where a step lies in the ring, and which ones are drawn, follows from its number and the seed, so that a run is continued to the same bits.
"""

from collections.abc import Callable, Iterator
from itertools import count
from typing import NamedTuple

import torch
from torch import Tensor

from thuja.apps.control.codec import Spaces
from thuja.apps.control.stretches import Played, Stretches, empty, memory
from thuja.core.seeds import stream
from thuja.task import Batch, Draw

KEPT = ("before", "action", "reward", "after", "over")
"""Of each step: what was seen, done, gained, seen then, and whether the episode was over."""
STRETCH = 10_000
"""Steps after which environments start afresh."""


class Plan(NamedTuple):
    """How much is played. All are steps of each environment."""

    warm: int
    """Before the first update."""
    every: int
    """Before each one, the first included."""


class Ways(NamedTuple):
    """What differs between algorithms."""

    act: Callable[[int, Tensor], Tensor]
    """From the number of the step, and what is seen, to what is done."""
    follow: Callable[[int], None]
    """Moves the target networks, before update number `n` from 1 on."""


def room(spaces: Spaces, environments: int, rows: int) -> dict[str, Tensor]:
    """Memory for so many steps, rounded up to whole ones of all environments."""
    rows = -(-rows // environments) * environments
    done = torch.zeros(rows, dtype=torch.int64) if spaces.names else torch.zeros(rows, len(spaces.lowest))
    return memory(spaces, environments, STRETCH) | {"before": empty(spaces, rows), "action": done, "reward": torch.zeros(rows), "after": empty(spaces, rows),
                                                    "over": torch.zeros(rows, dtype=torch.bool)}


def replayed(kept: dict[str, Tensor], played: Played, draw: Draw, plan: Plan, ways: Ways) -> Iterator[Batch]:
    """Endless batches of steps drawn from all that are remembered, while play goes on."""
    stretches, worlds, rows = Stretches(played, kept), played.worlds.count, len(kept["reward"])
    stretches.go_to(plan.warm + plan.every * draw.start if draw.start else 0)
    for number in count(draw.start):
        if number:
            ways.follow(number)
        until = plan.warm + plan.every * (number + 1)
        while stretches.at < until:
            place, before = stretches.at * worlds % rows, stretches.seen
            with torch.no_grad():
                action = ways.act(stretches.at, before)
            after = stretches.step(action)
            for name, values in zip(KEPT, (before, action, after.reward, after.last, after.terminated), strict=True):
                kept[name][place : place + worlds] = values.to(kept[name].device)
        index = torch.from_numpy(stream(draw.seed, "replay", number).integers(0, min(until * worlds, rows), draw.size))
        yield {name: kept[name][index].to(draw.device) for name in KEPT}


@torch.no_grad()
def towards(target: list[Tensor], online: list[Tensor], share: float) -> None:
    """Move the weights of a target network by a share of the way; the whole way copies them."""
    if share == 1:
        torch._foreach_copy_(target, online)
    else:
        torch._foreach_lerp_(target, online, share)
