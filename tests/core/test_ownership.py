"""One process at a time trains a run."""

import os
from pathlib import Path

import pytest

from thuja.core.errors import TrainError
from thuja.core.ownership import sole


def test_a_second_owner_is_refused_in_words_and_welcome_afterwards(tmp_path: Path) -> None:
    spec = tmp_path / "spec.yaml"
    spec.touch()
    with sole(spec), pytest.raises(TrainError) as caught, sole(spec):
        raise AssertionError
    assert str(caught.value) == (f"{tmp_path}: expected a run that no other process is training, found one at work on it. "
                                 "Wait until it ends, or start a run of your own.")
    with sole(spec):
        pass


def test_the_ownership_of_a_dead_process_is_over(tmp_path: Path) -> None:
    spec = tmp_path / "spec.yaml"
    spec.touch()
    child = os.fork()
    if not child:
        with sole(spec):
            os._exit(9)
    os.waitpid(child, 0)
    with sole(spec):
        pass


def test_it_leaves_no_file_behind(tmp_path: Path) -> None:
    spec = tmp_path / "spec.yaml"
    spec.write_text("thuja: 1\n")
    with sole(spec):
        pass
    assert [p.name for p in tmp_path.iterdir()] == ["spec.yaml"] and spec.read_text() == "thuja: 1\n"
