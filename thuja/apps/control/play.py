"""A policy at play without exploring: whole episodes from fixed seeds, what it sees on the way, and pictures of it."""

import io
import sys
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from thuja.apps.control.codec import OBSERVATION, Spaces
from thuja.apps.control.environments import Ask, make, open_worlds
from thuja.codec import Rows
from thuja.core.errors import DataError, MissingExtra
from thuja.core.seeds import mix

TOGETHER = 64
"""Episodes played side by side."""
LONGEST = 100_000
"""Steps after which an episode is given up that neither ends nor is cut off."""
SEEN = 256
"""Observations that are shown as examples of what a server is asked."""
FRAMES, FRAME = 8, 240
"""Pictures of a film strip, and their largest side in pixels."""

Choose = Callable[[Tensor], Tensor]
"""From observations to actions."""


class Play(nn.Module):
    """What is judged: from seeds int64 [rows] to what each episode brought, float32 `return` and int64 `length` [rows]. No graph holds a world."""

    def __init__(self, policy: nn.Module, ask: Ask) -> None:
        super().__init__()
        self.policy, self.ask = policy, ask

    def forward(self, seeds: Tensor) -> tuple[Tensor, Tensor]:
        """Plays them all, some side by side."""
        choose = chooser(self.policy)
        parts = [episodes(self.ask, part.tolist(), choose, str(seeds.device)) for part in torch.split(seeds, TOGETHER)]
        return torch.cat([gained for gained, _ in parts]), torch.cat([lasted for _, lasted in parts])


def chooser(policy: nn.Module) -> Choose:
    """The action that a policy answers: the best of the named ones, or the numbers."""

    def choose(seen: Tensor) -> Tensor:
        found: Tensor = policy(seen)
        return found.argmax(1) if getattr(policy, "named", False) else found

    return choose


def random_chooser(spaces: Spaces, seed: int) -> Choose:
    """Anything that is allowed, evenly."""
    rng = torch.Generator().manual_seed(mix(seed, "random play"))
    low, high = torch.tensor(spaces.lowest), torch.tensor(spaces.highest)

    def choose(seen: Tensor) -> Tensor:
        if spaces.names:
            return torch.randint(len(spaces.names), (len(seen),), generator=rng)
        return low + (high - low) * torch.rand((len(seen), len(low)), generator=rng)

    return choose


def episodes(ask: Ask, seeds: list[int], choose: Choose, device: str = "cpu") -> tuple[Tensor, Tensor]:
    """Return float32 and length int64 of an episode from each seed."""
    worlds = open_worlds(ask, len(seeds), device)
    try:
        seen = worlds.reset(seeds)
        gained, lasted = torch.zeros(len(seeds), device=device, dtype=torch.float64), torch.zeros(len(seeds), device=device, dtype=torch.int64)
        playing = torch.ones(len(seeds), device=device, dtype=torch.bool)
        for _ in range(LONGEST):
            after = worlds.step(choose(seen))
            gained += torch.where(playing, after.reward.double(), 0.0)
            lasted += playing
            playing &= ~after.ended
            seen = after.seen
            if not playing.any():
                break
        return gained.float(), lasted
    finally:
        worlds.close()


def observed(ask: Ask, seeds: list[int], choose: Choose, rows: int, device: str = "cpu") -> np.ndarray:
    """So many observations [rows, ...] on the way of a few episodes, spread over a few hundred steps."""
    worlds = open_worlds(ask, min(len(seeds), 8), device)
    try:
        seen, found = worlds.reset(seeds[: worlds.count]), []
        for _ in range(max(1, rows // worlds.count)):
            found.append(seen.cpu())
            seen = worlds.step(choose(seen)).seen
        return torch.cat(found)[:rows].numpy()
    finally:
        worlds.close()


class Observed:
    """Observations in memory as a source of rows. Stacked pictures become one, frame under frame."""

    names: tuple[str, ...] = (OBSERVATION,)

    def __init__(self, seen: np.ndarray, name: str) -> None:
        pictures = seen.ndim == 4
        self.seen, self.name = seen.reshape(len(seen), -1, seen.shape[-1]) if pictures else seen, name

    def __len__(self) -> int:
        return len(self.seen)

    def take(self, index: np.ndarray) -> Rows:
        """See `thuja.task.Source`."""
        chosen = self.seen[index]
        return {OBSERVATION: list(chosen) if chosen.ndim == 3 else chosen.astype(float).tolist()}

    def batches(self, size: int = 1024) -> Iterator[Rows]:
        """See `thuja.task.Source`."""
        for start in range(0, len(self), size):
            yield self.take(np.arange(start, min(start + size, len(self))))

    def ids(self, index: np.ndarray) -> list[str]:
        """See `thuja.task.Source`."""
        return [f"{self.name}, observation {place}" for place in index]


def film(ask: Ask, seed: int, choose: Choose, device: str = "cpu") -> list[tuple[int, bytes]]:
    """Some steps of one episode as pictures: (step, PNG). Nothing where this environment, or this machine, draws none."""
    try:
        environment = make(ask.name, "rgb_array")
    except (MissingExtra, DataError):
        return []
    length = int(episodes(ask, [seed], choose, device)[1][0])
    wanted = set(np.unique(np.linspace(0, max(0, length - 1), FRAMES).astype(int)).tolist())
    worlds, found = open_worlds(ask, 1, device), []
    try:
        seen = worlds.reset([seed])
        environment.reset(seed=seed)
        for step in range(length):
            if step in wanted:
                picture = _rendered(environment)
                if picture is None:
                    return []
                found.append((step, picture))
            action = choose(seen)
            seen = worlds.step(action).seen
            environment.step(_plain(environment, action))
    finally:
        worlds.close()
        environment.close()
    return found


def _plain(environment: Any, action: Tensor) -> Any:
    space = environment.action_space
    if action.dtype == torch.int64:
        return int(action[0]) + int(space.start)
    return np.clip(action[0].cpu().numpy(), space.low.ravel(), space.high.ravel()).astype(space.dtype).reshape(space.shape)


def _rendered(environment: Any) -> bytes | None:
    """A frame as a small PNG; None where there is no screen to draw on, not even one in memory."""
    from PIL import Image

    try:
        pixels = environment.render()
    except _no_screen():
        return None
    picture = Image.fromarray(np.asarray(pixels))
    picture.thumbnail((FRAME, FRAME))
    out = io.BytesIO()
    picture.convert("P", palette=Image.Palette.ADAPTIVE, colors=64).save(out, "PNG", optimize=True)
    return out.getvalue()


def _no_screen() -> tuple[type[Exception], ...]:
    """What is raised where GL is missing; MuJoCo has an error of its own for it."""
    import gymnasium

    ours: type[Exception] = getattr(sys.modules.get("mujoco"), "FatalError", RuntimeError)
    return ImportError, AttributeError, RuntimeError, OSError, gymnasium.error.Error, ours
