"""The three applications, trained for a few steps and exported once for all tests that go through the command line; and how long an example may take."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from shell import thuja, write_pictures, write_table, write_texts

settings.register_profile("house", deadline=None, suppress_health_check=[HealthCheck.too_slow])  # speed is measured in benchmarks: no test fails for being slow
settings.load_profile("house")


@pytest.fixture(scope="session")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder in which every command of the fixtures below was run, with its own cache."""
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("home")
        patch.setenv("THUJA_CACHE", str(folder / "cache"))
        yield folder


def exported(home: Path, data: Path, *options: str) -> Path:
    """The folder of a run (two steps) of whatever `thuja init` makes of the data, with its artefact inside."""
    spec, runs = home / f"{data.stem}.yaml", home / f"runs-{data.stem}"
    hurry = [option for value in ("train.steps=2", "train.watch=false", "check.enabled=false") for option in ("--set", value)]
    for arguments in (["init", data, "--out", spec, *options], ["train", spec, "--runs", runs, *hurry], ["export", "--runs", runs]):
        said = thuja(*arguments)
        assert said.code == 0, said.err
    return runs / "0001"


@pytest.fixture(scope="session")
def people(home: Path) -> Path:
    """A run of a table with `age` and `city`."""
    return exported(home, write_table(home / "people.csv"), "--target", "bought")


@pytest.fixture(scope="session")
def pictures(home: Path) -> Path:
    """A run of pictures, `dark` and `light`."""
    return exported(home, write_pictures(home / "shades"))


@pytest.fixture(scope="session")
def texts(home: Path) -> Path:
    """A run of sentences, `good` and `bad`."""
    return exported(home, write_texts(home / "films.csv"), "--target", "label")
