"""Episodes as rows: parts that share no seed, ids, and which names are environments."""

import sys
from pathlib import Path

import numpy as np
import pytest

from thuja.core.errors import DataError, MissingExtra
from thuja.data.episodes import is_environment, open_episodes
from thuja.data.source import open_source
from thuja.data.split import split
from thuja.settings import Data


def test_parts_share_no_seed_and_stay_as_they_are() -> None:
    parts = split(open_source(Data(path="CartPole-v1")), Data())
    assert {name: len(part) for name, part in parts.items()} == {"train": 1000, "validation": 20, "test": 100}
    seeds = [set(part.take(np.arange(len(part)))["seed"]) for part in parts.values()]
    assert not (seeds[0] & seeds[1] or seeds[0] & seeds[2] or seeds[1] & seeds[2])
    assert parts["test"].ids(np.array([0, 99])) == ["CartPole-v1:2000000", "CartPole-v1:2000099"]


def test_fingerprints_tell_environments_and_parts_apart() -> None:
    one, other = open_episodes(Path("CartPole-v1")), open_episodes(Path("Acrobot-v1"))
    prints = [part.fingerprint() for parts in (one, other) for part in parts.values()]
    assert len(set(prints)) == 6 and prints[:3] == [part.fingerprint() for part in open_episodes(Path("CartPole-v1")).values()]


def test_a_file_of_that_name_comes_first(tmp_path: Path) -> None:
    assert is_environment(Path("CartPole-v1")) and not is_environment(Path("pictures"))
    (tmp_path / "CartPole-v1").write_text("seed\n1\n")
    assert not is_environment(tmp_path / "CartPole-v1")


def test_a_name_that_is_nearly_one_is_corrected() -> None:
    with pytest.raises(DataError) as error:
        open_source(Data(path="CartPol-v1"))
    assert str(error.value) == "data.path: expected a file, or the name of an environment, found 'CartPol-v1'. Did you mean 'CartPole-v1'?"


def test_without_gymnasium_it_says_what_to_type(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "gymnasium", None)
    with pytest.raises(MissingExtra) as error:
        open_source(Data(path="CartPole-v1"), tmp_path)
    assert str(error.value) == "CartPole-v1: expected the package gymnasium, or a file, found none. Type: pip install 'thuja[control]'."
    with pytest.raises(DataError, match="expected a folder or a file, found nothing at"):
        open_source(Data(path="pictures"), tmp_path)


def test_episodes_of_ones_own_environment_are_asked_for_by_format() -> None:
    """Whether there is such an environment, the task finds out, which knows what was registered."""
    assert len(open_source(Data(path="my-room-v0", format="episodes"))["test"]) == 100
