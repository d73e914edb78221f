"""A cache of its own for every test, and the shared folder of real data."""

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def cache_folder(tmp_path_factory, monkeypatch):
    folder = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("THUJA_CACHE", str(folder))
    return folder


@pytest.fixture
def real():
    """A function from a name below the shared data to its path; skips, by name, where it is absent."""
    base = Path(os.environ.get("THUJA_DATA", ROOT / ".." / "shared" / "data"))

    def find(name: str) -> Path:
        if not (base / name).exists():
            pytest.skip(f"{name} is not in the shared data (THUJA_DATA)")
        return base / name

    return find
