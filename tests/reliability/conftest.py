"""The three artefacts of the command line's tests stand in for those that the harnesses would train, so that they are made once."""

from pathlib import Path

import pytest

from reliability import applications


@pytest.fixture
def artifacts(people: Path, pictures: Path, texts: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Path]:
    """Artefacts by application; every harness in the test asks these."""
    found = {"table": people / "artifact", "image": pictures / "artifact", "text": texts / "artifact"}
    monkeypatch.setattr(applications, "artifacts", lambda: found)
    return found
