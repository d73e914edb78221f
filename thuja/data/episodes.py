"""Episodes of an environment as rows: each is a seed, and nothing else lies anywhere. What follows from a seed is played when it is wanted."""

import os
import re
from pathlib import Path

import numpy as np

from thuja.core import digest
from thuja.core.errors import DataError, MissingExtra, did_you_mean
from thuja.data.objects import ColumnsSource

SEED = "seed"
PARTS = {"train": (0, 1000), "validation": (1_000_000, 20), "test": (2_000_000, 100)}
"""The first seed of each part, and how many episodes there are. Training plays on after an episode has ended, from the environment's own random numbers."""


class EpisodesSource(ColumnsSource):
    """The episodes of one part; an id is the environment's name with the seed."""

    def __init__(self, environment: str, part: str) -> None:
        first, count = PARTS[part]
        super().__init__({SEED: [float(seed) for seed in range(first, first + count)]}, {SEED: "number"})
        self.environment, self.first = environment, first

    def ids(self, index: np.ndarray) -> list[str]:
        return [f"{self.environment}:{self.first + place}" for place in index]

    def fingerprint(self) -> str:
        return digest.of_data(["episodes", self.environment, self.first, len(self)])


def is_environment(path: Path) -> bool:
    """Whether a path is no file but the name of an environment in gymnasium's registry.

    Raises: for what reads like such a name (`-v1` at the end) and is none, DataError with the nearest one; MissingExtra where gymnasium is not installed.
    """
    if os.path.exists(path):
        return False
    named = re.search(r"\w-v\d+$", path.name) is not None
    try:
        import gymnasium  # 0.2 s, and only where there is no such file
    except ImportError as error:
        if not named:
            return False
        raise MissingExtra(path.name, expected="the package gymnasium, or a file", found="none", fix="Type: pip install 'thuja[control]'.") from error
    if named and path.name not in gymnasium.registry:
        near = [name for name in gymnasium.registry if name[:3].lower() == path.name[:3].lower()]
        raise DataError("data.path", expected="a file, or the name of an environment", found=repr(path.name),
                        fix=did_you_mean(path.name, near or ["CartPole-v1"]))
    return path.name in gymnasium.registry


def open_episodes(path: Path) -> dict[str, EpisodesSource]:
    """The parts of an environment's episodes. Whether there is such an environment, the task finds out: it may be one of the caller's own."""
    return {part: EpisodesSource(path.name, part) for part in PARTS}
